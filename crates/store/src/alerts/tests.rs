use tempfile::TempDir;

use super::*;

const NOW: Wall = Wall::from_secs(1_790_000_000);

fn later(s: i64) -> Wall {
    Wall(NOW.0 + s * 1000)
}

fn open() -> (TempDir, Alerts) {
    let dir = tempfile::tempdir().unwrap();
    let alerts = Alerts::open(dir.path()).unwrap();
    (dir, alerts)
}

fn crossing(mark: &str) -> Crossing {
    Crossing {
        rule: "search-month".to_owned(),
        subject: "all".to_owned(),
        period: Wall(0),
        mark: mark.to_owned(),
        kept_until: later(86_400),
    }
}

fn alert(id: &str, channels: &[&str]) -> NewAlert {
    NewAlert {
        id: id.to_owned(),
        kind: "budget",
        rule: "search-month".to_owned(),
        subject: "all".to_owned(),
        title: format!("title of {id}"),
        body: format!("body of {id}"),
        channels: channels.iter().map(|id| ChannelId::from(*id)).collect(),
    }
}

fn heads(alerts: &Alerts) -> Vec<(String, String)> {
    let heads = alerts.heads().unwrap();
    let named = heads
        .into_iter()
        .map(|due| (due.channel.to_string(), due.id));
    named.collect()
}

fn head(alerts: &Alerts, channel: &str) -> Due {
    let heads = alerts.heads().unwrap();
    let found = heads
        .into_iter()
        .find(|due| due.channel.as_str() == channel);
    found.unwrap()
}

#[test]
fn a_crossing_is_told_once_also_after_the_database_was_opened_again() {
    let (dir, alerts) = open();
    let raised = alerts.raise(&[crossing("50%")], NOW, |_| alert("a", &["ops"]));
    assert_eq!(raised.unwrap(), Some(0));
    drop(alerts);
    let alerts = Alerts::open(dir.path()).unwrap();
    let raised = alerts.raise(&[crossing("50%")], NOW, |_| panic!("it is not new"));
    assert_eq!(raised.unwrap(), None);
    assert_eq!(heads(&alerts).len(), 1);
}

#[test]
fn several_crossings_at_once_make_one_alert_that_knows_the_new_ones() {
    let (_dir, alerts) = open();
    alerts
        .raise(&[crossing("50%")], NOW, |_| alert("a", &["ops"]))
        .unwrap();
    let all = ["50%", "80%", "100%"].map(crossing);
    let mut told = Vec::new();
    alerts
        .raise(&all, NOW, |new| {
            told = new.iter().map(|crossing| crossing.mark.clone()).collect();
            alert("b", &["ops"])
        })
        .unwrap();
    assert_eq!(told, ["80%", "100%"]);
    assert_eq!(
        alerts.raise(&all, NOW, |_| panic!("none is new")).unwrap(),
        None
    );
    assert_eq!(recent(_dir.path(), 10).unwrap().len(), 2);
}

#[test]
fn each_channel_gets_its_messages_in_order_and_one_does_not_wait_for_another() {
    let (_dir, alerts) = open();
    alerts.tell(&alert("a", &["mail", "ops"]), NOW).unwrap();
    alerts.tell(&alert("b", &["mail", "ops"]), NOW).unwrap();
    let first = [("mail", "a"), ("ops", "a")].map(|(c, id)| (c.to_owned(), id.to_owned()));
    assert_eq!(heads(&alerts), first);
    alerts
        .note_failed(&head(&alerts, "mail"), "cannot be reached", later(4))
        .unwrap();
    alerts.note_delivered(&head(&alerts, "ops"), NOW).unwrap();
    let next = [("mail", "a"), ("ops", "b")].map(|(c, id)| (c.to_owned(), id.to_owned()));
    assert_eq!(heads(&alerts), next);
    let mail = head(&alerts, "mail");
    assert_eq!((mail.attempts, mail.next_at), (1, later(4)));
}

#[test]
fn a_message_that_a_channel_refuses_does_not_hold_up_the_next() {
    let (dir, alerts) = open();
    alerts.tell(&alert("a", &["ops"]), NOW).unwrap();
    alerts.tell(&alert("b", &["ops"]), NOW).unwrap();
    let long = format!("400 {}", "ä".repeat(1000));
    alerts
        .note_refused(&head(&alerts, "ops"), &long, later(1))
        .unwrap();
    assert_eq!(head(&alerts, "ops").id, "b");
    let told = recent(dir.path(), 10).unwrap();
    let refused = &told[1].deliveries[0];
    assert_eq!(refused.state, DeliveryState::Refused);
    assert_eq!(refused.ended_at, Some(later(1)));
    assert!(refused.fault.as_ref().unwrap().len() <= 300);
}

#[test]
fn what_waits_is_bounded_in_number_and_in_age_and_what_goes_is_counted() {
    let (dir, alerts) = open();
    let mut dropped = 0;
    for number in 0..1_003 {
        dropped += alerts
            .tell(&alert(&number.to_string(), &["ops"]), NOW)
            .unwrap();
    }
    assert_eq!(dropped, 3);
    assert_eq!(head(&alerts, "ops").id, "3");
    let waiting = alerts.waiting().unwrap();
    assert_eq!(waiting[0].deliveries, 1_000);
    assert_eq!(waiting[0].since, NOW);
    assert_eq!(alerts.sweep(later(3 * 86_400)).unwrap(), Swept::default());
    let swept = alerts.sweep(later(3 * 86_400 + 1)).unwrap();
    assert_eq!(swept.dropped, 1_000);
    assert!(alerts.heads().unwrap().is_empty());
    assert_eq!(
        recent(dir.path(), 1).unwrap()[0].deliveries[0].state,
        DeliveryState::Dropped
    );
    let swept = alerts.sweep(later(91 * 86_400)).unwrap();
    assert_eq!(swept.forgotten, 1_003);
    assert!(recent(dir.path(), 1).unwrap().is_empty());
}

#[test]
fn a_crossing_is_forgotten_only_after_its_period() {
    let (_dir, alerts) = open();
    let raise = || {
        let raised = alerts.raise(&[crossing("50%")], NOW, |_| alert("a", &[]));
        raised.unwrap().is_some()
    };
    assert!(raise());
    alerts.sweep(later(86_400)).unwrap();
    assert!(!raise());
    alerts.sweep(later(86_401)).unwrap();
    // The alert's id would be taken: only that it is new matters.
    let raised = alerts.raise(&[crossing("50%")], NOW, |_| alert("b", &[]));
    assert!(raised.unwrap().is_some());
}

#[test]
fn episodes_and_the_last_look_are_kept() {
    let (dir, alerts) = open();
    assert_eq!(alerts.looked_until().unwrap(), None);
    let stored = StoredEpisode {
        rule: "breakers".to_owned(),
        subject: "eastus".to_owned(),
        episode: Episode {
            began: NOW,
            seen: later(60),
            is_raised: true,
        },
    };
    alerts.keep_episode(&stored).unwrap();
    alerts.note_looked(later(5)).unwrap();
    alerts.note_looked(later(1)).unwrap();
    drop(alerts);
    let alerts = Alerts::open(dir.path()).unwrap();
    assert_eq!(alerts.episodes().unwrap(), [stored]);
    assert_eq!(alerts.looked_until().unwrap(), Some(later(5)));
    alerts.end_episode("breakers", "eastus").unwrap();
    assert!(alerts.episodes().unwrap().is_empty());
}

#[test]
fn a_newer_layout_is_left_alone() {
    let (dir, alerts) = open();
    let version = "PRAGMA user_version = 2";
    alerts.connection().execute_batch(version).unwrap();
    drop(alerts);
    let error = Alerts::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("layout 2"), "{error}");
}
