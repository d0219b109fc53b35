//! Puts masked values back into a stream, for the client alone.

use bytes::Bytes;
use content::redact::{Masks, Restore};
use dialect::texts::{EventTexts, Part, Place};

use super::Stop;
use super::places::Places;

pub struct RestoreStage {
    /// Values may still be masked when part of the answer has passed.
    masks_answer: bool,
    events: EventTexts,
    texts: Places<Restore>,
}

impl RestoreStage {
    pub fn new(masks_answer: bool) -> Self {
        Self {
            masks_answer,
            events: EventTexts::default(),
            texts: Places::default(),
        }
    }

    pub fn restore(&mut self, events: Bytes, is_last: bool, masks: &Masks) -> Result<Bytes, Stop> {
        if masks.is_empty() && !self.masks_answer {
            return Ok(events);
        }
        let Self {
            events: event_texts,
            texts,
            masks_answer: _,
        } = self;
        let mut edit = |place: &Place, part: Part<'_>| {
            let mut edit_one = |restore: &mut Option<Restore>, part: Part<'_>| {
                let mut out = String::new();
                match part {
                    Part::Called(_) => {}
                    Part::More(text) => {
                        let restore = restore.get_or_insert_default();
                        restore.push(text, masks, &mut out);
                    }
                    Part::End => {
                        if let Some(restore) = restore.take() {
                            restore.finish(&mut out);
                        }
                    }
                }
                out
            };
            texts.say(place, part, &mut edit_one)
        };
        let edited = event_texts.edit(&events, &mut edit);
        let is_readable = edited.is_ok();
        let mut given = edited.unwrap_or_default();
        if is_last || !is_readable {
            given.extend(event_texts.finish(&mut edit));
        }
        if !is_readable {
            // A guard let it pass: it stays as it is.
            given.extend_from_slice(&events);
            return Err(Stop::fails("unreadable event", given));
        }
        Ok(given.into())
    }
}
