//! Several questions about one document: a few at once, and none more than it takes.

use std::pin::Pin;
use std::task::Poll;

use content::safety::Judgement;

use super::service::Failure;

/// Of one guard about one document.
const AT_ONCE: usize = 8;

/// One question, not asked yet.
pub type Asking<'q> = Pin<Box<dyn Future<Output = Result<Judgement, Failure>> + Send + 'q>>;

/// Asks until one answer blocks or one question fails: then the verdict is clear. A failure says
/// nothing of what the others found so far.
pub async fn all(questions: Vec<Asking<'_>>) -> (Judgement, Option<Failure>) {
    let mut questions = questions.into_iter();
    let mut asked = Vec::with_capacity(AT_ONCE);
    let mut sum = Judgement::default();
    loop {
        let room = AT_ONCE - asked.len();
        asked.extend(questions.by_ref().take(room));
        if asked.is_empty() {
            return (sum, None);
        }
        match first(&mut asked).await {
            Ok(judgement) => sum.add(&judgement),
            Err(failure) => return (sum, Some(failure)),
        }
        if sum.is_blocked {
            return (sum, None);
        }
    }
}

/// The answer that comes first; its question is asked no more.
async fn first(asked: &mut Vec<Asking<'_>>) -> Result<Judgement, Failure> {
    std::future::poll_fn(|cx| {
        for at in 0..asked.len() {
            if let Poll::Ready(answer) = asked[at].as_mut().poll(cx) {
                drop(asked.remove(at));
                return Poll::Ready(answer);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn judged(category: &str, is_blocked: bool) -> Judgement {
        let mut judgement = Judgement::default();
        judgement.note(category, 4);
        judgement.is_blocked = is_blocked;
        judgement
    }

    fn questions(
        count: usize,
        asked: &AtomicUsize,
        answer: impl Fn(usize) -> Result<Judgement, Failure> + Send + Copy,
    ) -> Vec<Asking<'_>> {
        let mut questions: Vec<Asking<'_>> = Vec::new();
        for number in 0..count {
            let answer = answer(number);
            questions.push(Box::pin(async move {
                asked.fetch_add(1, Ordering::Relaxed);
                answer
            }));
        }
        questions
    }

    #[tokio::test]
    async fn nothing_more_is_asked_once_an_answer_blocks() {
        let asked = AtomicUsize::new(0);
        let questions = questions(100, &asked, |number| Ok(judged("hate", number == 3)));
        let (judgement, failure) = all(questions).await;
        assert!(judgement.is_blocked && failure.is_none());
        assert!(asked.into_inner() <= AT_ONCE + 4);
    }

    #[tokio::test]
    async fn a_failure_ends_it_and_keeps_what_was_found() {
        let asked = AtomicUsize::new(0);
        let questions = questions(20, &asked, |number| match number {
            2 => Err(Failure::Timeout),
            _ => Ok(judged("hate", false)),
        });
        let (judgement, failure) = all(questions).await;
        assert_eq!(failure, Some(Failure::Timeout));
        assert_eq!(judgement.findings().len(), 1);
    }

    #[tokio::test]
    async fn every_question_is_asked_where_nothing_is_found() {
        let asked = AtomicUsize::new(0);
        let questions = questions(50, &asked, |_| Ok(Judgement::default()));
        assert!(all(questions).await.0.is_clean());
        assert_eq!(asked.into_inner(), 50);
    }
}
