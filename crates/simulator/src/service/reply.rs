//! Puts an answer together: head, pieces, pace, and where it breaks off.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;

use super::call::Asked;
use super::{Answered, Dropped};
use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::delivery::{Delivery, Ending, Pace, Piece, Pieces, break_off, fail};
use crate::ledger::Slot;
use crate::provider_error::Failure;
use crate::random::Random;
use crate::route::{Operation, Provider};
use crate::{chat, clock, completions, compress, embeddings};

pub async fn deliver(
    slot: &Arc<Slot>,
    asked: &Asked<'_>,
    operation: Operation,
    answer: &Answer,
    mut headers: HeaderMap,
) -> Answered {
    let behaviour = asked.behaviour;
    let streams = asked.question.stream && operation != Operation::Embeddings;
    let pieces = match (operation, streams) {
        (Operation::Chat, true) => chat::stream(asked, answer),
        (Operation::Chat, false) => chat::unary(asked, answer),
        (Operation::Completions, true) => completions::stream(asked, answer),
        (Operation::Completions, false) => completions::unary(asked, answer),
        (Operation::Embeddings, _) => embeddings::unary(asked),
    };
    let mut pieces = pieces.into_queue();
    let mut ending = Ending::Whole;
    if let Some(after) = behaviour.error_after_chunks.filter(|_| streams) {
        let failure = Failure::Injected {
            status: 500,
            retry_after: None,
        };
        ending = fail(
            &mut pieces,
            after,
            &failure.body(asked.provider).to_string(),
        );
    }
    let mut pieces = encoded(pieces, behaviour, &mut headers)?;
    let whole_length: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    if ending == Ending::Whole {
        ending = break_off(&mut pieces, behaviour);
    }
    if pieces.is_empty() && matches!(ending, Ending::Reset | Ending::Close) {
        slot.break_off(ending == Ending::Reset);
        return Err(Dropped);
    }
    let mut pace = Pace {
        first: clock::now() + behaviour.time_to_first_token,
        tokens_per_second: behaviour.tokens_per_second,
    };
    if streams {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    } else {
        wait(
            pace.due(answer.visible_tokens)
                .saturating_duration_since(clock::now()),
        )
        .await;
        pace.tokens_per_second = 0;
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole_length));
    }
    slot.answer(200, answer.completion_tokens());
    Ok(response(
        200,
        headers,
        Delivery::new(pieces, ending, streams.then_some(pace), slot.clone()),
    ))
}

fn encoded(
    pieces: VecDeque<Piece>,
    behaviour: &Behaviour,
    headers: &mut HeaderMap,
) -> Result<VecDeque<Piece>, Dropped> {
    let Some(compression) = behaviour.compress else {
        return Ok(pieces);
    };
    let name = compress::encoding_name(compression);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    compress::pieces(compression, &pieces).map_err(|error| {
        tracing::error!(%error, "an answer could not be compressed");
        Dropped
    })
}

pub fn provider_headers(
    provider: Provider,
    behaviour: &Behaviour,
    random: &mut Random,
    started: Instant,
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    add(
        &mut headers,
        "x-request-id",
        &format!("req_{}", random.id(32)),
    );
    let took = clock::now().saturating_duration_since(started).as_millis();
    match provider {
        Provider::OpenAi => {
            add(
                &mut headers,
                "openai-processing-ms",
                &took.max(1).to_string(),
            );
            add(&mut headers, "openai-version", "2020-10-01");
            add(&mut headers, "openai-organization", "org-simulated");
        }
        Provider::Azure => {
            add(&mut headers, "apim-request-id", &random.id(32));
            add(&mut headers, "x-ms-region", &behaviour.region);
        }
    }
    headers
}

pub fn say_when(failure: &Failure, headers: &mut HeaderMap) {
    if let Some(retry_after) = failure.retry_after() {
        add(
            headers,
            "retry-after",
            &retry_after.as_secs_f64().ceil().to_string(),
        );
        add(
            headers,
            "retry-after-ms",
            &retry_after.as_millis().to_string(),
        );
    }
}

pub fn reply(
    slot: &Arc<Slot>,
    status: u16,
    mut headers: HeaderMap,
    body: &Value,
) -> Response<Delivery> {
    let body = body.to_string();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let pieces = Pieces::whole(body, 0).into_queue();
    response(
        status,
        headers,
        Delivery::new(pieces, Ending::Whole, None, slot.clone()),
    )
}

fn response(status: u16, headers: HeaderMap, body: Delivery) -> Response<Delivery> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

pub async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// A value that no header can carry is left out.
pub fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

pub fn text_of<'head>(headers: &'head HeaderMap, name: &str) -> &'head str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
