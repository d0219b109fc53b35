//! A limit on how long work may take, where most of it is done at once.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// `None`: not done within `limit`. Unlike tokio's timeout, work that is ready when it is first asked
/// for costs no timer and no look at a clock, and work is borrowed: a future that holds it twice
/// would be copied twice for each call.
pub fn in_time<'w, F>(
    limit: Duration,
    mut work: Pin<&'w mut F>,
) -> impl Future<Output = Option<F::Output>> + use<'w, F>
where
    F: Future,
{
    let mut timer = None;
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[tokio::test]
    async fn what_is_not_done_in_time_is_given_up() {
        let never = pin!(std::future::pending::<()>());
        assert_eq!(in_time(Duration::ZERO, never).await, None);
    }

    #[tokio::test]
    async fn what_is_there_is_taken_however_short_the_limit() {
        let at_once = pin!(std::future::ready(7));
        assert_eq!(in_time(Duration::ZERO, at_once).await, Some(7));
        let soon = pin!(tokio::task::yield_now());
        assert_eq!(in_time(Duration::from_secs(60), soon).await, Some(()));
    }
}
