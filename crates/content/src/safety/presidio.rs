//! Microsoft Presidio's analyzer: where a text holds names, addresses and what else it was taught.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Judgement, Unreadable, is_name};
use crate::split::Bounds;

/// Texts up to this long share questions, up to [`SHARED_CHARS_MAX`] together.
const SHORT_CHARS_MAX: usize = 200;
const SHARED_CHARS_MAX: usize = 1_000;

#[derive(Serialize)]
struct Request<'a> {
    text: &'a str,
    language: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entities: &'a [String],
    score_threshold: f64,
}

/// `entities` empty: all that the analyzer knows.
pub fn request(text: &str, language: &str, entities: &[String], score_min: f64) -> Vec<u8> {
    let request = Request {
        text,
        language,
        entities,
        score_threshold: score_min,
    };
    serde_json::to_vec(&request).expect("texts and numbers can be written")
}

/// One value, in bytes of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    pub kind: String,
    pub range: Range<usize>,
    pub score: f64,
}

#[derive(Deserialize)]
struct Found {
    entity_type: String,
    start: usize,
    end: usize,
    score: f64,
}

/// In the order of the text. The analyzer counts in characters; a place outside the text is another
/// text's.
pub fn read(answer: &[u8], text: &str) -> Result<Vec<Entity>, Unreadable> {
    let found: Vec<Found> = serde_json::from_slice(answer).map_err(|_| Unreadable)?;
    let mut places: Vec<usize> = Vec::new();
    if !text.is_ascii() {
        places.extend(text.char_indices().map(|(at, _)| at));
        places.push(text.len());
    }
    let byte = |at: usize| {
        if text.is_ascii() {
            (at <= text.len()).then_some(at)
        } else {
            places.get(at).copied()
        }
    };
    let mut entities = Vec::with_capacity(found.len().min(64));
    for entity in found {
        let (Some(start), Some(end)) = (byte(entity.start), byte(entity.end)) else {
            return Err(Unreadable);
        };
        if start >= end || !is_name(&entity.entity_type) {
            return Err(Unreadable);
        }
        entities.push(Entity {
            kind: entity.entity_type,
            range: start..end,
            score: entity.score,
        });
    }
    entities.sort_by_key(|entity| (entity.range.start, entity.range.end));
    Ok(entities)
}

/// One question about texts of a document: a window of a long one, or several short ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    pub text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    /// Which text, and from where on.
    of: usize,
    from: usize,
    /// Where it stands in the question.
    at: Range<usize>,
}

/// What was found in one text: what takes its place is the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub range: Range<usize>,
    pub kind: String,
}

/// Of what was found in a window of a stream, what can still be edited: what ends within what was told
/// already stays, and so does that part of what goes on behind it. What begins behind what is given out
/// next is looked at again with what follows.
pub fn editable(spans: &mut Vec<Span>, given_out: &Range<usize>) {
    spans.retain_mut(|span| {
        span.range.start = span.range.start.max(given_out.start);
        span.range.start < span.range.end.min(given_out.end)
    });
}

/// Every text that has a letter is in one question at least.
pub fn inquiries(texts: &[&str], bounds: Bounds) -> Vec<Inquiry> {
    let mut inquiries: Vec<Inquiry> = Vec::new();
    // The question that short texts are added to, and how many characters it has.
    let mut open: Option<(usize, usize)> = None;
    for (of, text) in texts.iter().enumerate() {
        if !text.chars().any(char::is_alphabetic) {
            continue;
        }
        let chars = text.chars().take(SHORT_CHARS_MAX + 1).count();
        let shared_max = SHARED_CHARS_MAX.min(bounds.chars_max());
        if chars > SHORT_CHARS_MAX.min(shared_max) {
            for window in bounds.windows(text) {
                let piece = Piece {
                    of,
                    from: window.start,
                    at: 0..window.len(),
                };
                inquiries.push(Inquiry {
                    text: text[window].to_owned(),
                    pieces: vec![piece],
                });
            }
            continue;
        }
        let (number, before) = match open {
            Some((number, before)) if before + 1 + chars <= shared_max => (number, before + 1),
            _ => {
                inquiries.push(Inquiry {
                    text: String::new(),
                    pieces: Vec::new(),
                });
                (inquiries.len() - 1, 0)
            }
        };
        let inquiry = &mut inquiries[number];
        if before > 0 {
            inquiry.text.push('\n');
        }
        let start = inquiry.text.len();
        inquiry.text.push_str(text);
        inquiry.pieces.push(Piece {
            of,
            from: 0,
            at: start..inquiry.text.len(),
        });
        open = Some((number, before + chars));
    }
    inquiries
}

impl Inquiry {
    /// Where in the document's texts, by their numbers, the entities of an answer stand.
    pub fn place(&self, entities: &[Entity], texts: &mut [Vec<Span>]) {
        for entity in entities {
            for piece in &self.pieces {
                let start = entity.range.start.max(piece.at.start);
                let end = entity.range.end.min(piece.at.end);
                let Some(spans) = texts.get_mut(piece.of).filter(|_| start < end) else {
                    continue;
                };
                spans.push(Span {
                    range: piece.from + start - piece.at.start..piece.from + end - piece.at.start,
                    kind: entity.kind.clone(),
                });
            }
        }
    }
}

/// The text with something in the place of each value, as `replace` says it for its kind and itself, and
/// how often each kind was found. What overlaps is one, of the kind that begins first; placeholders that
/// stand for values already stay as they are.
pub fn edited(
    text: &str,
    spans: Vec<Span>,
    kept: &[Range<usize>],
    found: &mut Judgement,
    mut replace: impl FnMut(&str, &str) -> String,
) -> Option<String> {
    let spans = without(text, merged(spans), kept);
    if spans.is_empty() {
        return None;
    }
    let mut edited = String::with_capacity(text.len());
    let mut at = 0;
    for span in &spans {
        edited.push_str(text.get(at..span.range.start)?);
        edited.push_str(&replace(&span.kind, text.get(span.range.clone())?));
        at = span.range.end;
        found.count(&span.kind);
    }
    edited.push_str(text.get(at..)?);
    Some(edited)
}

/// What takes the place of a value that is not put back: `[PERSON]`.
pub fn redaction(kind: &str) -> String {
    format!("[{kind}]")
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|one, other| {
        let order = one.range.start.cmp(&other.range.start);
        order.then(other.range.end.cmp(&one.range.end))
    });
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.range.start < last.range.end => {
                last.range.end = last.range.end.max(span.range.end);
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// Cuts `kept`, in the order of the text, out of the spans; of what is left, what says something.
fn without(text: &str, spans: Vec<Span>, kept: &[Range<usize>]) -> Vec<Span> {
    if kept.is_empty() {
        return spans;
    }
    let mut left: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        let mut start = span.range.start;
        let cut = kept
            .iter()
            .filter(|kept| kept.start < span.range.end && span.range.start < kept.end);
        let end = span.range.end..span.range.end;
        for place in cut.chain([&end]) {
            let range = start..place.start.max(start);
            let says = text.get(range.clone()).unwrap_or_default();
            if says.chars().any(char::is_alphanumeric) {
                let kind = span.kind.clone();
                left.push(Span { range, kind });
            }
            start = place.end.max(start);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn redacted(text: &str, spans: Vec<Span>, found: &mut Judgement) -> Option<String> {
        edited(text, spans, &[], found, |kind, _| redaction(kind))
    }

    /// An analyzer that knows every `NAME`.
    fn analyzed(texts: &[&str], bounds: Bounds) -> (Vec<String>, Judgement) {
        let mut spans = vec![Vec::new(); texts.len()];
        for inquiry in inquiries(texts, bounds) {
            let found = inquiry.text.match_indices("NAME").map(|(at, name)| Entity {
                kind: "PERSON".to_owned(),
                range: at..at + name.len(),
                score: 0.9,
            });
            inquiry.place(&found.collect::<Vec<_>>(), &mut spans);
        }
        let mut judgement = Judgement::default();
        let edited = texts.iter().zip(spans).map(|(text, spans)| {
            redacted(text, spans, &mut judgement).unwrap_or_else(|| (*text).to_owned())
        });
        (edited.collect(), judgement)
    }

    #[test]
    fn short_texts_share_a_question_and_each_gets_its_own_back() {
        let texts = ["I am NAME.", "12", "", "NAME and NAME", "nobody"];
        assert_eq!(inquiries(&texts, Bounds::new(10_000, 100)).len(), 1);
        let (edited, found) = analyzed(&texts, Bounds::new(10_000, 100));
        assert_eq!(
            edited,
            [
                "I am [PERSON].",
                "12",
                "",
                "[PERSON] and [PERSON]",
                "nobody"
            ]
        );
        assert_eq!(found.findings(), [("PERSON".to_owned(), 3)]);
    }

    #[test]
    fn what_was_told_is_not_edited_any_more() {
        let text = "Anna met Bert, and Eva ca";
        let span = |range: Range<usize>| Span {
            range,
            kind: "PERSON".to_owned(),
        };
        // "Anna met Be" was told, and the window goes on behind "and ".
        let mut spans = vec![span(0..4), span(9..13), span(19..22)];
        editable(&mut spans, &(11..19));
        assert_eq!(spans, [span(11..13)]);
        let edited = redacted(text, spans, &mut Judgement::default());
        assert_eq!(edited.as_deref(), Some("Anna met Be[PERSON], and Eva ca"));
    }

    #[test]
    fn what_overlaps_is_one() {
        let span = |range, kind: &str| Span {
            range,
            kind: kind.to_owned(),
        };
        let spans = vec![
            span(4..9, "PERSON"),
            span(4..14, "LOCATION"),
            span(12..16, "PERSON"),
        ];
        let mut found = Judgement::default();
        let edited = redacted("is: Anna Musterweg 5", spans, &mut found);
        assert_eq!(edited.as_deref(), Some("is: [LOCATION]eg 5"));
        assert_eq!(found.findings(), [("LOCATION".to_owned(), 1)]);
    }

    #[test]
    fn placeholders_that_stand_for_values_stay_in_whatever_is_found_around_them() {
        let text = "I am Anna <EMAIL_1> Schmidt, <PERSON_1>.";
        let span = |found: &str| Span {
            range: text.find(found).map(|at| at..at + found.len()).unwrap(),
            kind: "PERSON".to_owned(),
        };
        let kept: Vec<_> = ["<EMAIL_1>", "<PERSON_1>"]
            .map(|place| span(place).range)
            .into();
        for (found, expected, count) in [
            ("Anna <EMAIL_1> Schmidt", "I am [X][X][X], <PERSON_1>.", 2),
            ("PERSON_1", text, 0),
            ("<PERSON_1>", text, 0),
            ("EMAIL_1> Schmidt", "I am Anna <EMAIL_1>[X], <PERSON_1>.", 1),
        ] {
            let mut judgement = Judgement::default();
            let edited = edited(
                text,
                vec![span(found)],
                &kept,
                &mut judgement,
                |_, value| {
                    assert!(!value.contains('<') && !value.contains('>'), "{value}");
                    "[X]".to_owned()
                },
            );
            let expected = expected.replace("[X][X][X]", "[X]<EMAIL_1>[X]");
            assert_eq!(edited.as_deref().unwrap_or(text), expected, "{found}");
            let counted = judgement.findings().first().map_or(0, |(_, count)| *count);
            assert_eq!(counted, count, "{found}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_analyzer_knows_is_taken_out_of_texts_of_any_length(
            texts in prop::collection::vec("([a-z ]{0,40}|NAME |é){0,40}", 0..6),
            (window, overlap) in (250usize..400, 10usize..40),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (edited, _) = analyzed(&texts, Bounds::new(window, overlap));
            for (text, edited) in texts.iter().zip(&edited) {
                prop_assert_eq!(&text.replace("NAME", "[PERSON]"), edited);
            }
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "😀 é Anna Müller lives";
        let answer = json!([{ "entity_type": "PERSON", "start": 4, "end": 15, "score": 0.85,
            "analysis_explanation": null, "recognition_metadata": {} }]);
        let found = read(answer.to_string().as_bytes(), text).unwrap();
        assert_eq!(&text[found[0].range.clone()], "Anna Müller");
        assert_eq!(found[0].kind, "PERSON");
    }

    #[test]
    fn places_outside_the_text_are_unreadable() {
        for (start, end) in [(0, 5), (3, 3), (2, 1), (9, 12)] {
            let answer =
                json!([{ "entity_type": "PERSON", "start": start, "end": end, "score": 1 }]);
            assert_eq!(read(answer.to_string().as_bytes(), "anna"), Err(Unreadable));
        }
        assert_eq!(read(b"{\"error\":\"x\"}", "anna"), Err(Unreadable));
        assert_eq!(read(b"[]", "anna"), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn every_place_that_is_read_is_within_the_text(
            text in "\\PC{0,40}",
            (start, end) in (0usize..60, 0usize..60),
            noise in any::<Vec<u8>>(),
        ) {
            let answer = json!([{ "entity_type": "X", "start": start, "end": end, "score": 0.5 }]);
            for entity in read(answer.to_string().as_bytes(), &text).unwrap_or_default() {
                prop_assert!(text.get(entity.range).is_some());
            }
            let _ = read(&noise, &text);
        }
    }
}
