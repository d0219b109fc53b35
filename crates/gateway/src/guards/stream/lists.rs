//! Words, patterns and topics in a stream: of each text only so much is held back as the longest of
//! them needs.

use std::sync::Arc;

use bytes::Bytes;
use config::snapshot::Guards;
use content::lists::{Found, Lists, Stream};
use dialect::texts::{EventTexts, Part, Place};

use super::super::lists_of;
use super::places::Places;
use super::{Judgement, Stop};

pub struct ListsStage {
    guards: Arc<Guards>,
    index: usize,
    events: EventTexts,
    texts: Places<Stream>,
    found: Found,
}

impl ListsStage {
    pub fn new(guards: Arc<Guards>, index: usize) -> Self {
        Self {
            guards,
            index,
            events: EventTexts::default(),
            texts: Places::default(),
            found: Found::default(),
        }
    }

    pub fn judge(&mut self, events: &Bytes, is_last: bool) -> Result<Bytes, Stop> {
        let Some(lists) = lists_of(&self.guards, self.index) else {
            return Ok(events.clone());
        };
        let Self {
            events: event_texts,
            texts,
            found,
            ..
        } = self;
        let mut edit = |place: &Place, part: Part<'_>| {
            let mut edit_one =
                |stream: &mut Option<Stream>, part: Part<'_>| say(stream, part, lists, found);
            texts.say(place, part, &mut edit_one)
        };
        let edited = event_texts.edit(events, &mut edit);
        let is_readable = edited.is_ok();
        let mut given = edited.unwrap_or_default();
        if is_last || !is_readable {
            given.extend(event_texts.finish(&mut edit));
        }
        if self.found.is_blocked {
            return Err(Stop::Blocks);
        }
        if !is_readable {
            given.extend_from_slice(events);
            return Err(Stop::fails("unreadable event", given));
        }
        Ok(given.into())
    }

    pub fn judgement(&self) -> Judgement {
        let kinds = self.found.kinds().into_iter();
        Judgement {
            is_edited: !self.found.is_empty(),
            findings: kinds.map(|(kind, count)| (kind.into(), count)).collect(),
            ..Judgement::default()
        }
    }
}

fn say(stream: &mut Option<Stream>, part: Part<'_>, lists: &Lists, found: &mut Found) -> String {
    let mut out = String::new();
    match part {
        Part::Called(_) => {}
        Part::More(text) => {
            let stream = stream.get_or_insert_default();
            stream.push(text, lists, found, &mut out);
        }
        Part::End => {
            if let Some(stream) = stream.take() {
                stream.finish(lists, found, &mut out);
            }
        }
    }
    out
}
