//! A stream that a service looks at, a window of its text at a time. Events are held whole until
//! what they say has passed, and leave as they came. Where a window does not fill up in time, what is
//! there of it is judged.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::snapshot::{AnswerWindows, GuardKind, Guards};
use content::redact::Masks;
use content::safety::presidio::Span;
use content::split::{Bounds, Windower};
use dialect::texts::{self, EventTexts, Meaning, Part, Place};
use domain::Mono;
use tokio::time::Sleep;

use super::super::judges::{Judged, Judges, apply};
use super::super::service::Failure;
use super::super::{findings, service_wait};
use super::{Judgement, Stop};

/// Past this, what is held is judged although its window is not full, and nothing more is taken.
const HELD_BYTES_MAX: usize = 256 * 1024;

pub struct JudgedStage {
    judges: Judges,
    guards: Arc<Guards>,
    index: usize,
    bounds: Bounds,
    /// Longer than this, no text waits for a window to fill up.
    hold: Duration,
    /// Wakes when the first of what is held has waited so long.
    patience: Option<Pin<Box<Sleep>>>,
    reader: EventTexts,
    /// For judges that edit: it makes events of the texts that they gave.
    writer: Option<EventTexts>,
    texts: Vec<Text>,
    held: VecDeque<Event>,
    held_bytes: usize,
    /// The window that is being judged, by its text.
    asked: Option<(usize, Asked)>,
    found: content::safety::Judgement,
    is_edited: bool,
    has_ended: bool,
}

type Asked = Pin<Box<dyn Future<Output = Judged> + Send>>;

struct Event {
    bytes: Bytes,
    came_at: Mono,
    /// Texts that it goes on with, and how far each goes with it.
    says: Vec<(usize, u64)>,
}

/// One of the answer's texts. Bounded by the places of `EventTexts`.
struct Text {
    place: Place,
    windower: Windower,
    came_bytes: u64,
    /// What passed, of what came.
    passed_bytes: u64,
    /// What passed and has not left yet: so many bytes, and what takes their place if not they
    /// themselves. Of judges that edit alone.
    edits: Option<VecDeque<(usize, Option<String>)>>,
}

impl JudgedStage {
    pub fn new(judges: Judges, guards: Arc<Guards>, index: usize, windows: AnswerWindows) -> Self {
        let AnswerWindows { bounds, hold } = windows;
        let edits = match guards.list[index].kind {
            GuardKind::Webhook(_) | GuardKind::Presidio(_) => true,
            GuardKind::Pii(_)
            | GuardKind::Lists(_)
            | GuardKind::ContentSafety(_)
            | GuardKind::Moderation(_) => false,
        };
        Self {
            judges,
            guards,
            index,
            bounds,
            hold,
            patience: None,
            reader: EventTexts::default(),
            writer: edits.then(EventTexts::default),
            texts: Vec::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            asked: None,
            found: content::safety::Judgement::default(),
            is_edited: false,
            has_ended: false,
        }
    }

    /// What may leave; pending while nothing may before the service has answered.
    pub fn judge(
        &mut self,
        queue: &mut BytesMut,
        is_last: bool,
        masks: &mut Masks,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Stop>> {
        if let Err(stop) = self.take(queue, is_last) {
            return Poll::Ready(Err(stop));
        }
        let mut given = BytesMut::new();
        loop {
            if let Some((text, asked)) = &mut self.asked {
                let text = *text;
                let Poll::Ready(judged) = asked.as_mut().poll(cx) else {
                    break;
                };
                self.asked = None;
                if let Err(stop) = self.judged(text, judged, masks, queue) {
                    return Poll::Ready(Err(stop));
                }
            }
            // What was left for want of room may be taken now.
            if let Err(stop) = self.take(queue, is_last) {
                return Poll::Ready(Err(stop));
            }
            self.give(&mut given);
            if self.ask() {
                continue;
            }
            if self.asked.is_some() || !self.has_waited(cx) {
                break;
            }
            self.hurry();
            self.give(&mut given);
            if !self.ask() {
                break;
            }
        }
        self.give(&mut given);
        if given.is_empty() && self.asked.is_some() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(given.freeze()))
    }

    /// Whether the first of what is held has waited long enough for more. If not, `cx` is woken then.
    fn has_waited(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(first) = self.held.front() else {
            return false;
        };
        let waited = self.judges.clock.mono().since(first.came_at);
        if waited >= self.hold {
            return true;
        }
        let left = self.hold.saturating_sub(waited);
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
        let is_over = patience.as_mut().poll(cx).is_ready();
        if is_over {
            self.patience = None;
        }
        is_over
    }

    /// Nothing waits for more any longer.
    fn hurry(&mut self) {
        for text in &mut self.texts {
            if let Some(given) = text.windower.hurry() {
                text.pass(given.of_bytes, given.edited);
            }
        }
    }

    /// Nothing is held.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.asked.is_none()
    }

    pub fn judgement(&self) -> Judgement {
        Judgement {
            is_edited: self.is_edited,
            findings: findings(&self.found),
            ..Judgement::default()
        }
    }

    fn take(&mut self, queue: &mut BytesMut, is_last: bool) -> Result<(), Stop> {
        while !queue.is_empty() && self.held_bytes < HELD_BYTES_MAX {
            let length = texts::event_length(queue);
            let event = queue.split_to(length).freeze();
            let Some(says) = self.read(&event) else {
                let mut rest = self.all_held();
                rest.extend_from_slice(&event);
                rest.extend_from_slice(&queue.split());
                return Err(Stop::fails("unreadable event", rest));
            };
            self.held_bytes += event.len();
            self.held.push_back(Event {
                bytes: event,
                came_at: self.judges.clock.mono(),
                says,
            });
        }
        if is_last && queue.is_empty() && !self.has_ended {
            self.has_ended = true;
            let form = (self.bounds, self.writer.is_some());
            let texts = &mut self.texts;
            self.reader.finish(&mut |place, part| {
                follow(texts, form, place, part);
                String::new()
            });
        }
        Ok(())
    }

    /// Which texts an event goes on with.
    fn read(&mut self, event: &Bytes) -> Option<Vec<(usize, u64)>> {
        let form = (self.bounds, self.writer.is_some());
        let texts = &mut self.texts;
        let mut says: Vec<(usize, u64)> = Vec::new();
        let read = self.reader.edit(event, &mut |place, part| {
            let at = follow(texts, form, place, part);
            let Part::More(text) = part else {
                return String::new();
            };
            let came = texts[at].came_bytes;
            match says.iter_mut().find(|(text, _)| *text == at) {
                Some((_, length)) => *length = came,
                None => says.push((at, came)),
            }
            text.to_owned()
        });
        read.ok().map(|_| says)
    }

    /// Asks about the next window. False if there is none, or one is being judged.
    fn ask(&mut self) -> bool {
        if self.asked.is_some() {
            return false;
        }
        if self.held_bytes >= HELD_BYTES_MAX {
            self.hurry();
        }
        // Events leave in order: what the first waits for goes first.
        let first = self.held.iter().flat_map(|event| &event.says);
        let waited_for = first
            .map(|(text, _)| *text)
            .find(|text| self.texts[*text].windower.is_due());
        let Some(at) = waited_for else { return false };
        let is_escaped = self.is_shown_meaning(at);
        let text = &mut self.texts[at];
        let Some(window) = text.windower.window() else {
            return false;
        };
        let meaning = is_escaped.then(|| Meaning::of(window));
        let window = match &meaning {
            Some(meaning) => meaning.text.clone(),
            None => window.to_owned(),
        };
        if window.trim().is_empty() {
            let given = text.windower.pass();
            text.pass(given.of_bytes, None);
            return true;
        }
        let place = |at| meaning.as_ref().map_or(at, |meaning| meaning.place(at));
        let given_out = place(text.windower.shown_bytes())..place(text.windower.settled_bytes());
        let (judges, guards, index) = (self.judges.clone(), self.guards.clone(), self.index);
        let asked = async move {
            let guard = &guards.list[index];
            judges.window(guard, &window, given_out).await
        };
        self.asked = Some((at, Box::pin(asked)));
        true
    }

    /// Of arguments, which are JSON, who only says where something stands is shown what they mean; who
    /// returns another text is shown what that takes the place of.
    fn is_shown_meaning(&self, text: usize) -> bool {
        let returns_text = match self.guards.list[self.index].kind {
            GuardKind::Webhook(_) => true,
            GuardKind::Presidio(_)
            | GuardKind::Pii(_)
            | GuardKind::Lists(_)
            | GuardKind::ContentSafety(_)
            | GuardKind::Moderation(_) => false,
        };
        self.texts[text].place.is_json() && !returns_text
    }

    fn judged(
        &mut self,
        text: usize,
        mut judged: Judged,
        masks: &mut Masks,
        queue: &mut BytesMut,
    ) -> Result<(), Stop> {
        let is_escaped = self.is_shown_meaning(text);
        if let GuardKind::Presidio(presidio) = &self.guards.list[self.index].kind
            && let Some(window) = self.texts[text].windower.window()
        {
            let meant = |value: &str| {
                if is_escaped {
                    Meaning::of(value).text
                } else {
                    value.to_owned()
                }
            };
            if is_escaped {
                place(&mut judged, &Meaning::of(window));
            }
            apply(presidio, &[window], &mut judged, masks, meant);
        }
        let Judged {
            judgement,
            failure,
            edited,
            spans: _,
        } = judged;
        self.found.add(&judgement);
        if judgement.is_blocked {
            return Err(Stop::Blocks);
        }
        if let Some(failure) = failure {
            let mut rest = self.all_held();
            rest.extend_from_slice(&queue.split());
            return Err(stopped_by(failure, rest));
        }
        let text = &mut self.texts[text];
        let given = match edited.and_then(|texts| texts.into_iter().next()) {
            Some(edited) => text.windower.replace(&edited),
            None => text.windower.pass(),
        };
        self.is_edited |= given.edited.is_some();
        text.pass(given.of_bytes, given.edited);
        Ok(())
    }

    /// The events whose texts have passed.
    fn give(&mut self, given: &mut BytesMut) {
        while let Some(event) = self.held.front() {
            let mut says = event.says.iter();
            if !says.all(|(text, until)| self.texts[*text].passed_bytes >= *until) {
                break;
            }
            let Some(event) = self.held.pop_front() else {
                break;
            };
            self.held_bytes -= event.bytes.len();
            // What is behind it came later.
            self.patience = None;
            let written = self.write(&event.bytes);
            given.extend_from_slice(written.as_deref().unwrap_or(&event.bytes));
        }
    }

    /// The event with what judges put in, if they ever edited anything.
    fn write(&mut self, event: &Bytes) -> Option<Vec<u8>> {
        let texts = &mut self.texts;
        let written = self.writer.as_mut()?.edit(event, &mut |place, part| {
            let Part::More(came) = part else {
                return String::new();
            };
            let text = texts.iter_mut().find(|text| text.place == *place);
            text.map_or_else(|| came.to_owned(), |text| text.leave(came))
        });
        written.ok().filter(|_| self.is_edited)
    }

    fn all_held(&mut self) -> Vec<u8> {
        self.held_bytes = 0;
        self.asked = None;
        let held = self.held.drain(..);
        held.flat_map(|event| event.bytes).collect()
    }
}

impl Text {
    fn pass(&mut self, bytes: usize, edited: Option<String>) {
        self.passed_bytes += bytes as u64;
        if let Some(edits) = &mut self.edits {
            edits.push_back((bytes, edited));
        }
    }

    /// What takes the place of `came`, which has passed.
    fn leave(&mut self, came: &str) -> String {
        let mut said = String::with_capacity(came.len());
        let mut rest = came;
        while !rest.is_empty() {
            let edits = self.edits.as_mut();
            let Some((bytes, edited)) = edits.and_then(VecDeque::front_mut) else {
                said.push_str(rest);
                break;
            };
            let length = rest.len().min(*bytes);
            match edited {
                // Said where its window began; the window's other events say nothing.
                Some(text) => said.push_str(&std::mem::take(text)),
                None => said.push_str(&rest[..length]),
            }
            rest = &rest[length..];
            *bytes -= length;
            if *bytes == 0
                && let Some(edits) = &mut self.edits
            {
                edits.pop_front();
            }
        }
        said
    }
}

/// What was found in the meaning of a window, where it is written.
fn place(judged: &mut Judged, meaning: &Meaning) {
    for spans in &mut judged.spans {
        let found = std::mem::take(spans).into_iter();
        spans.extend(found.flat_map(|span| {
            let written = meaning.written(span.range).into_iter();
            written.map(move |range| Span {
                range,
                kind: span.kind.clone(),
            })
        }));
    }
}

/// Takes the next of a text, and says which it is.
fn follow(
    texts: &mut Vec<Text>,
    (bounds, keeps_edits): (Bounds, bool),
    place: &Place,
    part: Part<'_>,
) -> usize {
    let known = texts.iter().position(|text| text.place == *place);
    let at = known.unwrap_or_else(|| {
        texts.push(Text {
            place: place.clone(),
            windower: Windower::new(bounds),
            came_bytes: 0,
            passed_bytes: 0,
            edits: keeps_edits.then(VecDeque::new),
        });
        texts.len() - 1
    });
    let text = &mut texts[at];
    match part {
        Part::Called(_) => {}
        Part::More(more) => {
            text.windower.push(more);
            text.came_bytes += more.len() as u64;
        }
        Part::End => text.windower.end(),
    }
    at
}

fn stopped_by(failure: Failure, events: Vec<u8>) -> Stop {
    Stop::Fails {
        why: failure.to_string().into(),
        wait: Some(service_wait(failure)),
        events,
    }
}

#[cfg(test)]
mod tests;
