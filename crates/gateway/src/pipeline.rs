//! The life of a call, in order. Start reading here.
//!
//! `run` is everything before the first byte of an answer; `settle` is everything that makes it a
//! record. Each step takes what the one before it returned. Between the two lies [`crate::reply`],
//! which streams the answer through the meter.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use dialect::Route;
use domain::record::CacheOutcome;
use domain::{Metered, Spent};
use http::header::EXPECT;
use http::request::Parts;
use http::{Request, Response};
use smallvec::SmallVec;

use crate::admission::{self, Applicant};
use crate::audit;
use crate::body::{self, Body};
use crate::cache::{self, Found};
use crate::gateway::Gateway;
use crate::guards::{self, Told as Judged};
use crate::refusal::Refusal;
use crate::reply::{self, Reply};
use crate::router::Errand;
use crate::telemetry::{Asked, Told};
use crate::trail::{self, Facts, Held, Settlement, Trail};

impl Gateway {
    /// Answers one request. Never fails: a refusal is an answer too.
    pub async fn handle<B>(self: &Arc<Self>, request: Request<B>, ip: IpAddr) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        let (head, mut body) = request.into_parts();
        let (place, shed) = self.overload.enter();
        let dialect = dialect::route::dialect_of(head.uri.path());
        let mut trail = Trail::open(self.clone(), dialect, place);
        let replied = match shed {
            None => self.run(&head, &mut body, ip, trail.facts()).await,
            Some(shed) => Err(Refusal::Overloaded(shed)),
        };
        match replied {
            Ok(reply) => reply::send(reply, trail),
            Err(refusal) => {
                if let Refusal::Overloaded(shed) = &refusal {
                    self.telemetry.count_shed(*shed);
                } else if trail.facts().caller.is_none() {
                    self.telemetry
                        .count_unauthenticated(refusal.row().code, ip, self.clock.now());
                }
                let mut refused = reply::refuse(&refusal, trail);
                if !body.is_end_stream() && head.headers.contains_key(EXPECT) {
                    // This answer is what its client waits for before it sends its body.
                    reply::close_after(&mut refused, head.version);
                } else if !body.is_end_stream() {
                    let timeout = self.snapshot.load().settings.body_timeout;
                    self.tasks.spawn(body::discard(body, timeout));
                }
                refused
            }
        }
    }

    async fn run<B>(
        self: &Arc<Self>,
        head: &Parts,
        body: B,
        ip: IpAddr,
        facts: &mut Facts,
    ) -> Result<Reply, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let snapshot = self.snapshot.load_full();
        facts.origin.revision = snapshot.revision;
        facts.origin.trace = self.telemetry.trace(&head.headers, &self.chance);
        let route = dialect::route::route(&head.method, head.uri.path(), head.uri.query())?;

        // Authenticate: who calls, and who pays.
        let now = facts.origin.started;
        let caller = self
            .authenticator
            .authenticate(&snapshot, &head.headers, Some(ip), now)
            .await?;
        let caller = facts.caller.insert(caller);
        caller.may_call()?;
        let (operation, deployment) = match route {
            Route::Call {
                operation,
                deployment,
                ..
            } => (operation, deployment),
            Route::Models { .. } => return Ok(Reply::models(&snapshot, caller)),
            Route::Model { id, .. } => return Reply::model(&snapshot, caller, &id),
        };

        // Read the call, and look up everything that applies to it.
        let (bounds, room) = (
            body::Bounds::of(&snapshot.settings),
            self.overload.body_room(),
        );
        let bytes = body::read(body, &head.headers, bounds, room).await?;
        let call = facts.call.insert(dialect::request::read(
            operation,
            bytes,
            deployment.as_deref(),
        )?);
        let context = admission::context(caller, call, &head.headers, ip);
        facts.recording = audit::begin(self, &snapshot, caller, &facts.origin, &context)?;
        if let Some(recording) = &facts.recording {
            facts.said.want(recording.answer_bytes_wanted());
        }
        let plan = admission::plan(&snapshot, caller, call)?;
        facts.series = self.telemetry.usage_series(&context);

        // Limit: reserve in every counter or in none. `settle` trues it up. A budget that is used up
        // may have another model answer.
        let applicant = Applicant {
            snapshot: &snapshot,
            caller,
            headers: &head.headers,
            ip,
            began: facts.origin.started.wall,
        };
        let (plan, admitted) = admission::admit(self, plan, &applicant, call).await?;
        if admitted.downgraded.is_some() {
            let context = admission::context(caller, call, &head.headers, ip);
            facts.series = self.telemetry.usage_series(&context);
        }
        self.telemetry
            .count_past(admitted.budgets.as_deref(), admitted.downgraded.as_deref());
        let held = facts.held.insert(Held::open(
            &facts.origin,
            caller,
            call,
            admitted,
            &self.ledger,
        ));
        self.telemetry.reserved(held.reserved_tokens);

        // Guard: what may not leave is taken out of the prompt, or the call ends here.
        let verdicts = &mut facts.verdicts;
        let guarded = match &caller.subscription.guards {
            None => None,
            Some(guards) => {
                let judged = guards::judge_prompt(
                    self,
                    guards,
                    (&*caller, &facts.origin),
                    call,
                    held,
                    verdicts,
                );
                let guarded = Box::pin(judged).await?;
                if let Some(recording) = &mut facts.recording {
                    recording.prompt_was_judged();
                }
                Some(guarded)
            }
        };

        // Cache: what was answered before is answered again, and who asks the same at the same time
        // waits for one answer.
        let context = admission::context(caller, call, &head.headers, ip);
        let errand = Errand {
            plan: &plan,
            context: &context,
            call,
            headers: &head.headers,
            request_id: &facts.request_id,
        };
        let found = match cache::asked(
            self,
            &snapshot,
            (&*caller, &facts.origin),
            &errand,
            guarded.as_ref(),
        )? {
            None => None,
            Some(asked) => {
                let (cached, said) = (&mut facts.cached, &mut facts.said);
                Box::pin(asked.look_up(self, &facts.origin, cached, said)).await
            }
        };

        // Route and forward: priority, weight, breaker; retry until the first byte, never after.
        let mut answer = match found {
            Some(Found::Answer(answer)) => *answer,
            Some(Found::Stream(reader)) => return Ok(Reply::Followed(reader)),
            None => {
                let forwarded = self.router.forward(&errand, held, &facts.origin).await;
                if let Some(part) = &facts.cached {
                    part.tell_followers(forwarded.as_ref().ok(), call, held, &facts.origin);
                }
                forwarded?
            }
        };
        let told = match guarded {
            None => Judged::AsItCame,
            Some(guarded) => {
                let origin = &facts.origin;
                let judged = guarded.judge_answer(self, call, held, origin, &mut answer, verdicts);
                Box::pin(judged).await?
            }
        };
        Ok(Reply::Answered(Box::new(answer), told))
    }

    /// Once per call, however it ended, before its last byte is sent: true up, learn, write down.
    pub(crate) fn settle(self: &Arc<Self>, facts: Facts, metered: Metered) {
        let now = self.clock.now();
        let Settlement {
            origin,
            record,
            call,
            kept,
            recording,
            cached,
            said,
            series,
        } = facts.into_settlement(metered, now);
        let Some(mut record) = record else { return };
        let operation = call.as_ref().map(|call| call.operation);
        let (mut entry, mut asked, mut sent_at) = (None, None, SmallVec::new());
        if let Some(kept) = kept {
            self.telemetry.released(kept.reserved_tokens);
            let spent = Spent {
                tokens: metered.usage().total(),
                nanos: u64::try_from(record.cost.amount().0).unwrap_or(0),
            };
            self.counters.settle(kept.reservation, spent, now);
            if let Some(call) = call.as_ref().filter(|_| record.cache != CacheOutcome::Hit) {
                self.estimates.learn(kept.precedent, &record, call);
            }
            trail::remember_prices(&kept.prices, &record, &self.ledger);
            (entry, asked, sent_at) = (Some(kept.entry), kept.asked, kept.sent_at);
        }
        let said = said.into_document();
        if let (Some(part), Some(call)) = (cached, &call) {
            part.settle(self, &record, call, &said, now);
        }
        if let Some(recording) = recording {
            recording.write(self, &mut record, call.as_ref(), said.bytes, now);
        }
        let told = Told {
            record: &record,
            origin: &origin,
            operation,
            asked: operation.zip(asked).map(|(operation, provider)| Asked {
                operation,
                provider,
            }),
            series: series.as_deref(),
            sent_at: &sent_at,
        };
        self.telemetry.tell(&told, self.router.backends());
        self.ledger.append(entry, record);
    }
}
