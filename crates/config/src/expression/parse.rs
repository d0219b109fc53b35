//! Text to the interpreter's program, within bounds that keep its parser harmless.

use cel::Program;

use super::Fault;

/// A key is a line, not a program.
const CHARACTERS_MAX: usize = 1024;

/// Each costs the parser some 100 KiB of stack in an unoptimised build.
const BRACKETS_MAX: usize = 24;

const STACK_BYTES: usize = 32 * 1024 * 1024;

/// The parser recurses far past a worker thread's stack on input that is well within bounds, so it
/// has a thread of its own for the moment. Plain paths never come here.
pub(super) fn program(source: &str) -> Result<Program, Fault> {
    if source.chars().count() > CHARACTERS_MAX {
        return Err(Fault::of(format!(
            "longer than {CHARACTERS_MAX} characters"
        )));
    }
    if deepest_bracket(source) > BRACKETS_MAX {
        return Err(Fault::of(format!(
            "more than {BRACKETS_MAX} brackets inside each other"
        )));
    }
    let parsed = std::thread::scope(|scope| {
        let parser = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || Program::compile(source));
        parser.map(std::thread::ScopedJoinHandle::join)
    });
    let Ok(Ok(parsed)) = parsed else {
        return Err(Fault::of("not CEL: the parser gave up"));
    };
    parsed.map_err(|errors| {
        let error = errors.errors.first();
        let reason = error.map_or("not an expression", |error| {
            error.msg.lines().next().unwrap_or_default()
        });
        Fault::of(match error.map(|error| error.pos) {
            Some((line, column)) if line > 0 => format!("not CEL at {line}:{column}: {reason}"),
            _ => format!("not CEL: {reason}"),
        })
    })
}

/// Brackets in strings count too: an expression with so many is not refused by mistake often.
fn deepest_bracket(source: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}
