//! The life of a question to a service that judges: as late, full or broken as calls are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;

use super::reply::{add, wait};
use super::{Active, Answered, Dropped, Region, has_key};
use crate::delivery::{Delivery, Ending, Pieces, break_off};
use crate::judge::{self, Judge, Reply};
use crate::ledger::Slot;
use crate::random::Random;
use crate::{body, clock};

impl Region {
    pub(super) async fn judged<B: Body<Data = Bytes>>(
        &self,
        slot: &Arc<Slot>,
        active: &Active,
        judge: Judge,
        headers: &HeaderMap,
        body: B,
    ) -> Answered {
        let mut random = Random::of(self.seed, self.calls.fetch_add(1, Ordering::Relaxed));
        let asked = body::read(body).await.map_err(|_| Dropped)?;
        self.ledger.judged();
        let behaviour = &active.behaviour;
        let earlier = active.calls.fetch_add(1, Ordering::Relaxed);
        wait(behaviour.latency + behaviour.hang + behaviour.jitter.mul_f64(random.unit())).await;
        let fails =
            earlier < behaviour.fail_first || clock::now() < active.since + behaviour.fail_for;
        let injected = behaviour
            .status
            .or(fails.then_some(behaviour.fail_status))
            .or_else(|| {
                behaviour
                    .error_rates
                    .iter()
                    .find_map(|(status, rate)| (random.unit() < *rate).then_some(*status))
            });
        let (status, found): Reply = if !has_key(headers, behaviour) {
            judge::failure(judge, 401)
        } else if let Some(status) = injected {
            judge::failure(judge, status)
        } else {
            judge::judge(judge, &asked, behaviour)
        };
        let text = match &behaviour.garbage {
            Some(garbage) if status == 200 => garbage.clone(),
            _ => found.to_string(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        if let Some(after) = behaviour.retry_after.filter(|_| status != 200) {
            let seconds = after.as_secs_f64().ceil();
            add(&mut headers, "retry-after", &seconds.to_string());
        }
        let mut pieces = Pieces::whole(text, 0).into_queue();
        let ending = break_off(&mut pieces, behaviour);
        if pieces.is_empty() && matches!(ending, Ending::Reset | Ending::Close) {
            slot.break_off(ending == Ending::Reset);
            return Err(Dropped);
        }
        let mut response = Response::new(Delivery::new(pieces, ending, None, slot.clone()));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        Ok(response)
    }
}
