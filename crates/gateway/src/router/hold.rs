//! A large unary answer, held on to for those who must see it whole.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use dialect::Request;
use domain::record::{AttemptFailure, AttemptRecord};

use super::{Answered, Content, Source};
use crate::gateway::Gateway;
use crate::in_time::in_time;
use crate::refusal::Refusal;
use crate::trail::Held;
use crate::upstream::AnswerBody;

/// Answers of so many bytes of text do not exist; what is larger has vectors or lists of tokens in it.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Answered {
    /// Reads a large answer to its end, and makes it one that is whole. It stays a large one where it
    /// is larger than may be held, by itself or with all other bodies.
    pub async fn hold_on(
        &mut self,
        gateway: &Gateway,
        call: &Request,
        held: &mut Held,
    ) -> Result<(), Refusal> {
        // Only backends send such.
        let (Content::Large { head, body }, Source::Backend(serving)) =
            (&mut self.content, &self.source)
        else {
            return Ok(());
        };
        let timeouts = serving.backend.definition().timeouts;
        let backend = serving.backend.id().clone();
        // A client that leaves meanwhile pays for its prompt.
        held.at_upstream = Some((backend.clone(), serving.sent_at));
        let waited = gateway.clock.mono().since(serving.sent_at);
        let read = {
            let reading = pin!(read_on(gateway, std::mem::take(head), body, timeouts.idle));
            in_time(timeouts.total.saturating_sub(waited), reading).await
        };
        held.at_upstream = None;
        let failure = match read.unwrap_or(Err(AttemptFailure::TotalTimeout)) {
            Ok(Read::Part(part)) => {
                *head = part;
                return Ok(());
            }
            Ok(Read::Whole(bytes)) => {
                let answer = dialect::answer::read(call.operation, &bytes);
                if answer.is_whole || !serving.status.is_success() {
                    self.content = Content::Whole { bytes, answer };
                    return Ok(());
                }
                AttemptFailure::Cut
            }
            Err(failure) => failure,
        };
        serving.failed();
        let metered = held.prompt_only(call);
        held.attempts.push(AttemptRecord {
            cost: held.cost(&backend, &metered),
            backend,
            status: serving.status.as_u16(),
            failure: Some(failure),
            metered,
            latency: gateway.clock.mono().since(serving.sent_at),
        });
        held.has_crossed = true;
        Err(Refusal::UpstreamCut)
    }
}

enum Read {
    Whole(Bytes),
    Part(Bytes),
}

async fn read_on(
    gateway: &Gateway,
    head: Bytes,
    body: &mut AnswerBody,
    idle: std::time::Duration,
) -> Result<Read, AttemptFailure> {
    let mut room = gateway.overload.body_room();
    let mut joined = BytesMut::from(&head[..]);
    drop(head);
    loop {
        let has_room = room.grow_to(joined.len() as u64).is_ok();
        if joined.len() > HELD_BYTES_MAX || !has_room {
            return Ok(Read::Part(joined.freeze()));
        }
        let piece = {
            let next = pin!(body.data());
            in_time(idle, next).await
        };
        match piece.ok_or(AttemptFailure::IdleTimeout)?.transpose()? {
            Some(piece) => joined.extend_from_slice(&piece),
            None => return Ok(Read::Whole(room.keep(joined.freeze()))),
        }
    }
}
