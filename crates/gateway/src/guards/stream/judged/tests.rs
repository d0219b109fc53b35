use std::task::Waker;

use config::snapshot::OnError;
use config::{Environment, Source};
use domain::Wall;

use super::*;
use crate::clock::Clock;
use crate::guards::judges::Subject;
use crate::guards::service::Services;

/// So long that no timer of the runtime has a part in it.
const HOLD: Duration = Duration::from_secs(3_600);

fn guards() -> Arc<Guards> {
    let text = "
backends: [ { id: a, dialect: openai, url: \"https://a.example.com\", auth: none } ]
models: [ { name: m, backend: a } ]
products: [ { id: p, models: [m], guards: [ { webhook: { url: \"https://judge.example.com\", hold: 1h } } ] } ]
subscriptions: [ { id: s, product: p } ]
";
    let source = Source {
        name: "t".into(),
        text: text.to_owned(),
    };
    let environment = Environment {
        variables: &|_| None,
        files: &|path| Err(format!("{path} is not read")),
    };
    let (snapshot, _) = config::load(&[source], &environment, &[], 1).unwrap();
    let guards = snapshot.subscriptions["s"].guards.clone().unwrap();
    assert_eq!(guards.list[0].on_error, OnError::Block);
    guards
}

/// A stage whose service is not there: it fails as soon as it asks.
fn stage(clock: &Clock) -> JudgedStage {
    let guards = guards();
    let GuardKind::Webhook(webhook) = &guards.list[0].kind else {
        panic!("{guards:?}");
    };
    let windows = webhook.windows;
    assert_eq!(windows.hold, HOLD);
    let judges = Judges {
        services: Arc::new(Services::default()),
        clock: clock.clone(),
        subject: Arc::new(Subject {
            call: String::new(),
            subscription: String::new(),
            product: String::new(),
            application: None,
            model: String::new(),
        }),
    };
    JudgedStage::new(judges, guards, 0, windows)
}

fn event(text: &str) -> BytesMut {
    let event =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    event.as_bytes().into()
}

/// What it asks about now, if it does.
fn asked(stage: &mut JudgedStage, queue: &mut BytesMut) -> Option<Vec<u8>> {
    let mut context = Context::from_waker(Waker::noop());
    match stage.judge(queue, false, &mut Masks::default(), &mut context) {
        Poll::Ready(Err(Stop::Fails { events, .. })) => Some(events),
        Poll::Ready(Err(Stop::Blocks)) => panic!("nobody blocked"),
        Poll::Ready(Ok(given)) => {
            assert!(given.is_empty(), "{given:?} left unjudged");
            None
        }
        Poll::Pending => panic!("nobody answers later"),
    }
}

#[tokio::test]
async fn text_that_waits_for_more_is_judged_when_its_time_is_over_and_not_before() {
    let clock = Clock::manual(Wall(0));
    let mut stage = stage(&clock);
    let mut queue = event("short");
    assert_eq!(asked(&mut stage, &mut queue), None);
    clock.advance(HOLD / 2);
    assert_eq!(asked(&mut stage, &mut queue), None);
    clock.advance(HOLD / 2);
    let whole = event("short").to_vec();
    assert_eq!(asked(&mut stage, &mut queue), Some(whole));
}

#[tokio::test]
async fn the_time_is_that_of_the_oldest_text_however_more_trickles_in() {
    let clock = Clock::manual(Wall(0));
    let mut stage = stage(&clock);
    let mut queue = BytesMut::new();
    for _ in 0..6 {
        queue.extend_from_slice(&event("more "));
        assert_eq!(asked(&mut stage, &mut queue), None);
        clock.advance(HOLD / 6);
    }
    let whole = event("more ").repeat(6);
    assert_eq!(asked(&mut stage, &mut queue), Some(whole));
}
