//! Operators of code and arithmetic outside of any mark: `a == b` and `a = b`, `x++` and `++x`, `>` and `>>`. As words
//! they are nothing. Signs that also stand between words (`-`, `/`, `&`, `<`) count only against other operators.

use std::ops::Range;

use super::Pair;
use crate::difference::{Difference, Kind};

pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (operators(pair.cached.text), operators(pair.asked.text));
    let sure = |of: &[Operator]| -> Vec<Operator> {
        let sure = of.iter().filter(|operator| operator.is_sure);
        sure.cloned().collect()
    };
    apart(pair, &sure(&cached), &sure(&asked)).or_else(|| {
        let both = !cached.is_empty() && !asked.is_empty();
        both.then(|| apart(pair, &cached, &asked)).flatten()
    })
}

fn apart(pair: &Pair<'_>, cached: &[Operator], asked: &[Operator]) -> Option<Difference> {
    let key = |of: &[Operator], at: usize| of.get(at).map(|one| (one.text.clone(), one.side));
    let longest = cached.len().max(asked.len());
    let at = (0..longest).find(|at| key(cached, *at) != key(asked, *at))?;
    let span = |of: &[Operator]| of.get(at).map(|one| one.span.clone());
    Some(pair.differ(Kind::Code, span(cached), span(asked)))
}

#[derive(Clone)]
struct Operator {
    text: String,
    span: Range<usize>,
    side: Side,
    /// Is nothing else, whatever the other side has.
    is_sure: bool,
}

/// On which side of its operand it stands, where that matters.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Any,
    Before,
    Behind,
}

fn operators(text: &str) -> Vec<Operator> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_sign).map(|start| at + start) {
        let rest = &text[start..];
        let end = start + rest.find(|sign| !is_sign(sign)).unwrap_or(rest.len());
        at = end;
        let run = Run {
            left: &text[..start],
            signs: without_marks_of_sentence(&text[start..end], &text[end..]),
            right: &text[end..],
        };
        if let Some((side, is_sure)) = run.operates() {
            found.push(Operator {
                text: run.signs.replace('−', "-"),
                span: start..start + run.signs.len(),
                side,
                is_sure,
            });
        }
    }
    found
}

fn is_sign(sign: char) -> bool {
    matches!(
        sign,
        '<' | '>'
            | '='
            | '!'
            | '&'
            | '|'
            | '+'
            | '-'
            | '−'
            | '*'
            | '/'
            | '%'
            | '^'
            | '~'
            | '?'
            | '$'
            | '_'
    )
}

/// `in $?` asks about dollars where the sentence ends, and about a variable where it goes on.
fn without_marks_of_sentence<'a>(signs: &'a str, right: &str) -> &'a str {
    let goes_on = right.trim_start().starts_with(char::is_lowercase);
    if goes_on || right.starts_with(char::is_alphanumeric) {
        return signs;
    }
    signs.trim_end_matches(['?', '!'])
}

/// Signs side by side, and the text on both sides of them.
struct Run<'a> {
    left: &'a str,
    signs: &'a str,
    right: &'a str,
}

impl Run<'_> {
    /// Where it stands, and whether it is sure to be an operator; `None` if it is none.
    fn operates(&self) -> Option<(Side, bool)> {
        // A rule under a heading, an arrow (a word by itself), the place to fill in.
        if self.signs.len() > SIGNS_MAX || matches!(self.signs, "" | "->" | "=>" | "-->") {
            return None;
        }
        // `15%-Rabatt`.
        if self.signs.starts_with('%') && self.left.ends_with(|sign: char| sign.is_ascii_digit()) {
            return None;
        }
        let touches = |sign: char| {
            sign.is_alphanumeric() || matches!(sign, ')' | ']' | '(' | '[' | '"' | '\'')
        };
        match (
            self.left.ends_with(touches),
            self.right.starts_with(touches),
        ) {
            (true, true) => self.joins(),
            (false, false) => self.stands_free(),
            (false, true) => self.precedes(),
            (true, false) => self.follows(),
        }
    }

    /// `x<=y`, but not `and/or`, `R&D`, `24/7`, `Kolleg*innen`.
    fn joins(&self) -> Option<(Side, bool)> {
        let sure = match self.signs {
            "=" | "^" | "|" | "_" => true,
            "+" | "*" => self.operand_left() && self.operand_right(),
            "<" | ">" => return Some((Side::Any, false)),
            signs => {
                signs.len() > 1
                    && !signs
                        .chars()
                        .all(|sign| matches!(sign, '-' | '?' | '!' | '_'))
            }
        };
        sure.then_some((Side::Any, true))
    }

    /// `a - b`, but not `Rome - Oslo`; `a > b`; `??` says nothing.
    fn stands_free(&self) -> Option<(Side, bool)> {
        let operands = self.operand_left() && self.operand_right();
        match self.signs {
            "|" => Some((Side::Any, true)),
            "=" => Some((Side::Any, operands)),
            "<" | ">" => Some((Side::Any, false)),
            "-" | "−" | "/" | "&" | "%" => operands.then_some((Side::Any, false)),
            "+" | "*" | "^" => operands.then_some((Side::Any, true)),
            signs
                if signs.len() == 1
                    || signs
                        .chars()
                        .all(|sign| matches!(sign, '?' | '!' | '-' | '_')) =>
            {
                None
            }
            _ => Some((Side::Any, true)),
        }
    }

    /// `++x`, `!a`, `~a`; not `--force`, `*ptr`, `#1`.
    fn precedes(&self) -> Option<(Side, bool)> {
        let opens = self.left.is_empty() || self.left.ends_with([' ', '(', '\n', '`']);
        let letter = self.right.starts_with(char::is_alphabetic);
        let sure = match self.signs {
            "++" => true,
            "--" => self.operand_right(),
            "!" | "~" => opens && letter,
            "<" | ">" => return Some((Side::Any, false)),
            _ => self.is_comparison(),
        };
        sure.then_some((
            if self.is_comparison() {
                Side::Any
            } else {
                Side::Before
            },
            true,
        ))
    }

    /// `x++`, `x--`; not `18+`, `Ready!`, `word-- word`.
    fn follows(&self) -> Option<(Side, bool)> {
        let sure = match self.signs {
            "++" => true,
            "--" => self.operand_left(),
            "<" | ">" => return Some((Side::Any, false)),
            _ => self.is_comparison(),
        };
        sure.then_some((
            if self.is_comparison() {
                Side::Any
            } else {
                Side::Behind
            },
            true,
        ))
    }

    /// Two signs or more that are no pair of marks around a word, or a variable of the shell.
    fn is_comparison(&self) -> bool {
        matches!(
            self.signs,
            "==" | "==="
                | "!="
                | "!=="
                | "<="
                | ">="
                | "&&"
                | "||"
                | "<<"
                | ">>"
                | "<-"
                | "=~"
                | "+="
                | "-="
                | "*="
                | "/="
        ) || self.signs.len() > 1 && self.signs.starts_with('$')
    }

    fn operand_left(&self) -> bool {
        let left = self.left.trim_end();
        let word = left
            .rsplit(|sign: char| !sign.is_alphanumeric() && sign != '_')
            .next();
        left.ends_with([')', ']']) || word.is_some_and(is_operand)
    }

    fn operand_right(&self) -> bool {
        let right = self.right.trim_start();
        let word = right
            .split(|sign: char| !sign.is_alphanumeric() && sign != '_')
            .next();
        right.starts_with(['(', '[']) || word.is_some_and(is_operand)
    }
}

/// Longer runs are drawn, not computed with.
const SIGNS_MAX: usize = 4;

/// A number, a single letter, an identifier.
fn is_operand(word: &str) -> bool {
    let single = word.len() == 1;
    let digit = word.starts_with(|sign: char| sign.is_ascii_digit());
    !word.is_empty() && (single || digit || word.contains('_'))
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::difference::Kind;

    #[test]
    fn another_operator_is_another_question() {
        for (a, b) in [
            ("is x < y true?", "is x <= y true?"),
            ("is a == b?", "is a = b?"),
            ("what is a == b in js", "what is a === b in js"),
            ("what does a || b return", "what does a | b return"),
            ("what does a & b return", "what does a && b return"),
            ("is a && b true?", "is a || b true?"),
            ("what does x++ return", "what does ++x return"),
            ("what does x++ return", "what does x-- return"),
            (
                "how does i++ differ from ++i",
                "how does i-- differ from --i",
            ),
            ("compute a * b", "compute a ** b"),
            ("compute a / b", "compute a // b"),
            ("What is > in bash?", "What is >> in bash?"),
            ("is x == y true?", "is x != y true?"),
            ("is a > b?", "is a >= b?"),
            ("is !a true", "is a true"),
            ("is ~a zero", "is a zero"),
            ("what does $? mean in bash", "what does $! mean in bash"),
            ("What is 5 - 3?", "What is 5 + 3?"),
            ("What is 5 - 3?", "What is 5 / 3?"),
            ("what is 6 * 3?", "what is 6 / 3?"),
            ("explain user_id", "explain userId"),
        ] {
            let found = compare(a, b).map(|found| found.kind);
            assert_eq!(found, Some(Kind::Code), "{a} / {b}");
        }
    }

    #[test]
    fn what_stands_between_words_is_no_operator() {
        for (a, b) in [
            ("Is the desk open 24/7?", "is the desk open 24/7"),
            (
                "Which seats - and prices - are free?",
                "Which seats, and prices, are free?",
            ),
            (
                "Is it open from 9 - 17 today?",
                "Is it open from 9-17 today?",
            ),
            (
                "Are terms & conditions in the box?",
                "Are terms and conditions in the box?",
            ),
            ("Is the price in $?", "is the price in $"),
            ("Is it **really** new here?", "Is it really new here?"),
            ("Where is my parcel ??", "Where is my parcel?!"),
            ("What is 6 * 3 in all?", "What is 6*3 in all?"),
            ("Does the desk know R&D?", "does the desk know R&D"),
            ("Is x > 5 in the list?", "Is x >5 in the list?"),
        ] {
            assert_eq!(
                super::difference(&super::Pair::read(a, b)),
                None,
                "{a} / {b}"
            );
        }
    }
}
