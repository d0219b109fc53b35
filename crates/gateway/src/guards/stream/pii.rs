//! Personal data and secrets in a stream: of each text only its last words are held back.

use bytes::Bytes;
use content::redact::{Editor, Findings, Masks, Rules};
use dialect::texts::{EventTexts, Part, Place};

use super::super::document::counts;
use super::places::Places;
use super::{Judgement, Stop};

pub struct PiiStage {
    rules: Rules,
    events: EventTexts,
    texts: Places<Editor>,
    findings: Findings,
}

impl PiiStage {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            events: EventTexts::default(),
            texts: Places::default(),
            findings: Findings::default(),
        }
    }

    pub fn judge(
        &mut self,
        events: &Bytes,
        is_last: bool,
        masks: &mut Masks,
    ) -> Result<Bytes, Stop> {
        let Self {
            rules,
            events: event_texts,
            texts,
            findings,
        } = self;
        let mut edit = |place: &Place, part: Part<'_>| {
            let mut edit_one = |editor: &mut Option<Editor>, part: Part<'_>| {
                let mut out = String::new();
                match part {
                    Part::Called(name) => *editor = Some(Editor::called(rules, name)),
                    Part::More(text) => editor
                        .get_or_insert_with(|| Editor::new(rules))
                        .push(text, rules, masks, findings, &mut out),
                    Part::End => {
                        if let Some(editor) = editor.take() {
                            editor.finish(rules, masks, findings, &mut out);
                        }
                    }
                }
                out
            };
            texts.say(place, part, &mut edit_one)
        };
        let edited = event_texts.edit(events, &mut edit);
        let is_readable = edited.is_ok();
        let mut given = edited.unwrap_or_default();
        if is_last || !is_readable {
            given.extend(event_texts.finish(&mut edit));
        }
        if self.findings.blocked.is_some() {
            return Err(Stop::Blocks);
        }
        if !is_readable {
            given.extend_from_slice(events);
            return Err(Stop::fails("unreadable event", given));
        }
        Ok(given.into())
    }

    pub fn judgement(&self) -> Judgement {
        Judgement {
            is_edited: !self.findings.is_empty(),
            findings: counts(&self.findings),
            ..Judgement::default()
        }
    }
}
