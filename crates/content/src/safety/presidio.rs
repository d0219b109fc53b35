//! Microsoft Presidio's analyzer: where a text holds names, addresses and what else it was taught.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Unreadable, is_name};

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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
