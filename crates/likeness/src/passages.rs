//! What stands in quotation marks or between backticks: it is meant to the letter.

use std::ops::Range;

/// A quoted passage and where it stands, marks included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    pub span: Range<usize>,
    pub inner: Range<usize>,
    pub code: bool,
}

/// Opening marks and what closes them. The German pair closes with the English opening mark.
const MARKS: [(char, &[char]); 5] = [
    ('`', &['`']),
    ('"', &['"']),
    ('„', &['“', '”', '"']),
    ('“', &['”']),
    ('«', &['»']),
];

pub fn find(text: &str) -> Vec<Passage> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, open)) = text[at..]
        .char_indices()
        .find(|(_, c)| MARKS.iter().any(|(o, _)| o == c))
    {
        let start = at + start;
        let fence = if text[start..].starts_with("```") {
            3
        } else {
            open.len_utf8()
        };
        let from = start + fence;
        let closing = MARKS
            .iter()
            .find(|(o, _)| *o == open)
            .map_or(&[][..], |(_, closing)| closing);
        let end = if fence == 3 && open == '`' {
            text[from..].find("```").map(|end| (end, 3))
        } else {
            text[from..].find(closing).map(|end| {
                let mark = text[from + end..].chars().next().map_or(1, char::len_utf8);
                (end, mark)
            })
        };
        // A mark that nothing closes is a stray.
        let Some((length, mark)) = end else {
            at = from;
            continue;
        };
        let inner = from..from + length;
        at = inner.end + mark;
        found.push(Passage {
            span: start..at,
            inner,
            code: open == '`',
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_three_languages_and_code_are_found() {
        let text =
            "„in Arbeit“, « en cours », \"pending\", `rm -r` and ```\nls\n```; a stray \" stays";
        let inner: Vec<&str> = find(text)
            .iter()
            .map(|p| text[p.inner.clone()].trim())
            .collect();
        assert_eq!(inner, ["in Arbeit", "en cours", "pending", "rm -r", "ls"]);
    }
}
