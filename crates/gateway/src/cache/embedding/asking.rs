//! One question to a deployment of embeddings: a call of the gateway's own, on its asker's bill.
//!
//! It goes the way of any call, from the plan to the record, but for what is a client's: no limit holds it
//! back, no guard looks at it (they have seen the text), and its record says `cache: embedding`. Budgets
//! count what it costs.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use config::{CallContext, Snapshot};
use dialect::{Dialect, Operation, embedding};
use domain::record::Outcome;
use domain::{Metered, ModelName};
use http::{HeaderMap, StatusCode};

use super::{Embedded, Payer, Unembedded};
use crate::admission;
use crate::cache::Part;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::reply;
use crate::router::{Answered, Content, Errand};
use crate::trail::{Facts, Held, Trail};

/// Dropping the future leaves the call as one whose client left: the deployment has the text by then.
pub async fn ask(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    payer: &Payer,
    model: &ModelName,
    text: &str,
) -> Result<Embedded, Unembedded> {
    let body = embedding::body(model.as_str(), text);
    let call = dialect::request::read(Operation::Embeddings, body.into(), None)
        .map_err(|_| Unembedded::Failed)?;
    let plan = snapshot
        .own_plan(&payer.caller.subscription, model.as_str())
        .ok_or(Unembedded::Failed)?;
    let (place, shed) = gateway.overload.enter();
    if shed.is_some() {
        return Err(Unembedded::Busy);
    }
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let context = CallContext {
        ip: payer.ip,
        ..admission::context(&payer.caller, &call, &payer.headers, nowhere)
    };
    let began = gateway.clock.now().wall;
    let admitted = admission::reserve(gateway, &plan, &context, &call, began)
        .await
        .map_err(|refusal| unembedded(&refusal))?;

    let mut trail = Trail::open(gateway.clone(), Dialect::OpenAi, place);
    let facts = trail.facts();
    facts.origin.revision = snapshot.revision;
    facts.series = gateway.telemetry.usage_series(&context);
    facts.cached = Some(Box::new(Part::embedding()));
    let caller = facts.caller.insert(payer.caller.clone());
    let held = Held::open(&facts.origin, caller, &call, admitted, &gateway.ledger);
    let held = facts.held.insert(held);
    gateway.telemetry.reserved(held.reserved_tokens);
    facts.call = Some(call.clone());
    // What the client said of its own call is not this one's.
    let errand = Errand {
        plan: &plan,
        context: &context,
        call: &call,
        headers: &HeaderMap::new(),
        request_id: &facts.request_id,
    };
    let answered = gateway.router.forward(&errand, held, &facts.origin).await;
    let (metered, answer) = match answered {
        Ok(answered) => {
            let metered = reply::meter(&call, held, &answered, &facts.origin);
            (metered, read(facts, model, &answered))
        }
        Err(refusal) => {
            let row = refusal.row();
            facts.end(row.status, row.outcome);
            (Metered::NOTHING, Err(unembedded(&refusal)))
        }
    };
    trail.settle(metered);
    answer
}

fn read(facts: &mut Facts, model: &ModelName, answered: &Answered) -> Result<Embedded, Unembedded> {
    let status = answered.status();
    if status != StatusCode::OK {
        facts.end(status, Outcome::ClientError);
        return Err(Unembedded::Failed);
    }
    facts.end(status, Outcome::Ok);
    let vector = match &answered.content {
        Content::Whole { bytes, .. } => embedding::vector(bytes),
        Content::Stream { .. } | Content::Large { .. } => None,
    };
    let vector = vector.ok_or(Unembedded::Unreadable)?;
    Ok(Embedded {
        vector: vector.components.into(),
        by: vector
            .model
            .map_or_else(|| Arc::from(model.as_str()), Arc::from),
        reading: None,
    })
}

fn unembedded(refusal: &Refusal) -> Unembedded {
    match refusal {
        Refusal::Limit(_) | Refusal::Unpriced { .. } => Unembedded::Refused,
        Refusal::UpstreamRateLimited { .. } => Unembedded::Throttled,
        Refusal::UpstreamTimeout => Unembedded::Late,
        Refusal::CountersFull | Refusal::Overloaded(_) => Unembedded::Busy,
        Refusal::Auth(_)
        | Refusal::Route(_)
        | Refusal::Request(_)
        | Refusal::BodyTooLarge { .. }
        | Refusal::BodyTimeout
        | Refusal::BodyBroken { .. }
        | Refusal::UnsupportedEncoding { .. }
        | Refusal::UnknownModel { .. }
        | Refusal::ModelNotGranted { .. }
        | Refusal::PolicyFault { .. }
        | Refusal::Blocked(_)
        | Refusal::AuditUnavailable { .. }
        | Refusal::NoHealthyBackend { .. }
        | Refusal::UpstreamFailed
        | Refusal::UpstreamAuthFailed
        | Refusal::UpstreamCut => Unembedded::Failed,
    }
}
