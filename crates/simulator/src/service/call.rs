//! The life of a call: read, be late, refuse or fail, decide, answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use serde_json::Value;
use tokio::time::Instant;

use super::reply::{add, deliver, provider_headers, reply, say_when, text_of, wait};
use super::{Active, Answered, Dropped, Region, has_key};
use crate::answer::{self, Answer};
use crate::behaviour::Behaviour;
use crate::body::Unread;
use crate::ledger::{Call, Slot};
use crate::provider_error::Failure;
use crate::question::{Invalid, Question};
use crate::random::Random;
use crate::route::{Operation, Provider};
use crate::{body, clock, models, question};

impl Region {
    pub(super) async fn call<B: Body<Data = Bytes>>(
        &self,
        slot: &Arc<Slot>,
        active: &Active,
        call: Incoming<'_>,
        body: B,
    ) -> Answered {
        let started = clock::now();
        let mut random = Random::of(self.seed, self.calls.fetch_add(1, Ordering::Relaxed));
        let asked = match body::read(body).await {
            Ok(body) => {
                question::read(call.operation, call.deployment, &body).map_err(Failure::Invalid)
            }
            Err(Unread::TooLarge) => Err(Failure::TooLarge),
            Err(Unread::Broken) => return Err(Dropped),
        };
        let (asked, behaviour) = call.overridden(asked, &active.behaviour);
        slot.open(Call {
            request_id: text_of(call.headers, "x-request-id").to_owned(),
            model: asked
                .as_ref()
                .map_or("", |question| &question.model)
                .to_owned(),
            prompt_tokens: asked.as_ref().map_or(0, |question| question.prompt_tokens),
            ..Call::default()
        });
        let is_own = matches!(behaviour, Cow::Owned(_));
        let earlier = if is_own && behaviour.fail_first > 0 {
            self.ledger
                .calls_with(text_of(call.headers, "x-request-id"))
        } else {
            active.calls.fetch_add(1, Ordering::Relaxed)
        };

        let late = behaviour.latency + behaviour.hang + behaviour.jitter.mul_f64(random.unit());
        wait(late).await;
        let decided = asked.and_then(|question| {
            call.admit(&question, &behaviour, active.since, earlier, &mut random)?;
            let answer = answer_of(call.operation, &question, &behaviour, &mut random);
            active.take_quota(&behaviour, &question, &answer)?;
            Ok((question, answer))
        });
        let mut headers = provider_headers(call.provider, &behaviour, &mut random, started);
        active.quota_headers(call.provider, &mut headers);
        let (question, answer) = match decided {
            Ok(decided) => decided,
            Err(failure) => {
                slot.answer(failure.status(), 0);
                say_when(&failure, &mut headers);
                return Ok(reply(
                    slot,
                    failure.status(),
                    headers,
                    &failure.body(call.provider),
                ));
            }
        };
        add(
            &mut headers,
            "openai-model",
            models::snapshot_of(&question.model),
        );
        let asked = Asked {
            provider: call.provider,
            question: &question,
            behaviour: &behaviour,
            id: format!(
                "{}-{}",
                if call.operation == Operation::Chat {
                    "chatcmpl"
                } else {
                    "cmpl"
                },
                random.id(29)
            ),
            created: clock::unix_seconds(),
            model: models::snapshot_of(&question.model),
            fingerprint: "fp_5d1a7e0c11",
        };
        deliver(slot, &asked, call.operation, &answer, headers).await
    }
}

/// A call that is to be answered, and the names that its answer carries.
pub struct Asked<'call> {
    pub provider: Provider,
    pub question: &'call Question,
    pub behaviour: &'call Behaviour,
    pub id: String,
    pub created: u64,
    pub model: &'call str,
    pub fingerprint: &'static str,
}
/// A call as its head tells it.
pub(super) struct Incoming<'head> {
    pub provider: Provider,
    pub operation: Operation,
    pub deployment: Option<&'head str>,
    pub headers: &'head HeaderMap,
}

impl Incoming<'_> {
    /// The behaviour for this call: the usual one, or with the changes that the call brings.
    fn overridden<'usual>(
        &self,
        asked: Result<Question, Failure>,
        usual: &'usual Behaviour,
    ) -> (Result<Question, Failure>, Cow<'usual, Behaviour>) {
        if !usual.allow_override {
            return (asked, Cow::Borrowed(usual));
        }
        let in_question = asked.as_ref().ok();
        let changes = match self.headers.get("x-simulate") {
            Some(header) => Some(serde_json::from_slice(header.as_bytes()).unwrap_or(Value::Null)),
            None => in_question
                .and_then(|question| question.simulate.clone().or_else(|| marked(&question.text))),
        };
        match changes.map(|changes| usual.with(&changes)) {
            None => (asked, Cow::Borrowed(usual)),
            Some(Ok(behaviour)) => (asked, Cow::Owned(behaviour)),
            Some(Err(message)) => (
                Err(Failure::Invalid(Invalid {
                    message,
                    param: Some("simulate"),
                })),
                Cow::Borrowed(usual),
            ),
        }
    }

    fn admit(
        &self,
        question: &Question,
        behaviour: &Behaviour,
        since: Instant,
        earlier_calls: u64,
        random: &mut Random,
    ) -> Result<(), Failure> {
        if !has_key(self.headers, behaviour) {
            return Err(Failure::BadKey);
        }
        if !models::knows(&behaviour.models, &question.model) {
            return Err(Failure::UnknownModel(question.model.clone()));
        }
        // Only errors can be injected: anything else is told as 500.
        let fail = |status: u16| {
            Err(Failure::Injected {
                status: if (400..600).contains(&status) {
                    status
                } else {
                    500
                },
                retry_after: behaviour.retry_after,
            })
        };
        if let Some(status) = behaviour.status {
            return fail(status);
        }
        if earlier_calls < behaviour.fail_first || clock::now() < since + behaviour.fail_for {
            return fail(behaviour.fail_status);
        }
        let mut roll = random.unit();
        for (status, rate) in &behaviour.error_rates {
            if roll < *rate {
                return fail(*status);
            }
            roll -= rate;
        }
        Ok(())
    }
}

/// `[[simulate {…}]]` anywhere in the prompt's text; the first one counts.
fn marked(text: &str) -> Option<Value> {
    let (_, after) = text.split_once("[[simulate")?;
    Some(
        serde_json::Deserializer::from_str(after)
            .into_iter()
            .next()?
            .unwrap_or(Value::Null),
    )
}
fn answer_of(
    operation: Operation,
    question: &Question,
    behaviour: &Behaviour,
    random: &mut Random,
) -> Answer {
    match operation {
        Operation::Chat | Operation::Completions => {
            answer::decide(operation, question, behaviour, random)
        }
        Operation::Embeddings => Answer {
            choices: Vec::new(),
            visible_tokens: 0,
            reasoning_tokens: 0,
            audio_tokens: 0,
        },
    }
}
