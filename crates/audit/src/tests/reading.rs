//! What comes back, to whom, and that looking leaves a trace.

use super::*;

fn search(place: &Place, query: &Query, scope: &Scope) -> Vec<u32> {
    let page = place
        .archive()
        .search(query, scope, &actor(), NOON)
        .unwrap();
    numbers(&page, &two_teams())
}

fn text(text: &str) -> Query {
    Query {
        text: Some(text.to_owned()),
        ..Query::default()
    }
}

#[test]
fn a_call_comes_back_as_it_was_handed_in() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let found = place
        .archive()
        .show(calls[3].id(), &Scope::All, &actor(), NOON)
        .unwrap()
        .unwrap();
    let draft = calls[3].draft();
    let State::Here(content) = &found.content else {
        panic!("{:?}", found.content)
    };
    assert_eq!(content.prompt.as_deref(), draft.prompt);
    assert_eq!(content.answer.as_deref(), draft.answer);
    assert_eq!(
        (content.user.as_deref(), &*content.caller),
        (Some("alice"), "key-1")
    );
    let kept = &found.skeleton;
    assert_eq!(
        (kept.call, kept.at, kept.subscription.as_str()),
        (draft.call, draft.at, "sales")
    );
    assert_eq!(
        (&*kept.model, kept.backend.as_deref(), kept.status),
        ("gpt-4o", Some("east"), 200)
    );
    assert_eq!(
        (&*kept.cost, &*kept.verdicts, kept.required),
        ("0.001234 EUR", "pii:redacted:email=2", true)
    );
    assert_eq!((kept.prompt_tokens, kept.completion_tokens), (12, 34));
    assert_eq!(kept.expires_at(), draft.at + DAY * 90);
    assert!(!kept.prompt_cut && !kept.answer_cut);
    assert_eq!(place.report().records, 5);
}

#[test]
fn conditions_are_told_together_and_newest_comes_first() {
    let place = Place::written(&two_teams());
    let all = Query::default();
    let person = |name: &str| Query {
        person: Some(name.to_owned()),
        ..Query::default()
    };
    assert_eq!(search(&place, &all, &Scope::All), [5, 4, 3, 2, 1]);
    assert_eq!(search(&place, &person("alice"), &Scope::All), [5, 4, 1]);
    assert_eq!(
        search(
            &place,
            &Query {
                subscription: Some("sales".into()),
                ..person("alice")
            },
            &Scope::All
        ),
        [4]
    );
    assert_eq!(search(&place, &person("mallory"), &Scope::All), [0_u32; 0]);
    let since = Query {
        since: Some(NOON + Duration::from_secs(120)),
        until: Some(NOON + Duration::from_secs(240)),
        ..all.clone()
    };
    assert_eq!(search(&place, &since, &Scope::All), [3, 2]);
    assert_eq!(
        search(
            &place,
            &Query {
                outcome: Some(Outcome::Refused),
                ..all.clone()
            },
            &Scope::All
        ),
        [0_u32; 0]
    );
    assert_eq!(
        search(
            &place,
            &Query {
                verdict: Some("email".to_owned()),
                model: Some("gpt-4o".into()),
                limit: 2,
                ..all
            },
            &Scope::All
        ),
        [5, 4]
    );
}

#[test]
fn words_are_found_with_an_index_and_without() {
    for index_tail in [1, 1_000_000] {
        let place = Place::new();
        let log = AuditLog::open(
            Settings {
                index_tail,
                ..place.settings()
            },
            place.keys(),
            NOON,
        )
        .unwrap();
        for call in two_teams() {
            log.append(&call.draft(), call.at()).unwrap();
        }
        log.close(NOON);
        place.archive().reindex().unwrap();
        assert_eq!(search(&place, &text("WHALES"), &Scope::All), [3, 1]);
        assert_eq!(search(&place, &text("blue"), &Scope::All), [2, 1]);
        assert_eq!(search(&place, &text("\"blue whales\""), &Scope::All), [1]);
        assert_eq!(search(&place, &text("straße"), &Scope::All), [4]);
        assert_eq!(
            search(&place, &text("answer"), &Scope::All),
            [5, 4, 3, 2, 1]
        );
        assert_eq!(search(&place, &text("whale"), &Scope::All), [0_u32; 0]);
    }
}

#[test]
fn a_reader_sees_only_the_own_scope_and_nothing_else_is_opened() {
    let place = Place::written(&two_teams());
    let sales = Scope::Subscriptions(["sales".into()].into());
    assert_eq!(search(&place, &Query::default(), &sales), [4, 3]);
    assert_eq!(search(&place, &text("whales"), &sales), [3]);
    let mut archive = place.archive();
    assert!(
        archive
            .show(two_teams()[0].id(), &sales, &actor(), NOON)
            .unwrap()
            .is_none()
    );
    assert!(
        archive
            .show(two_teams()[2].id(), &sales, &actor(), NOON)
            .unwrap()
            .is_some()
    );
    let page = archive
        .search(&text("narwhal"), &sales, &actor(), NOON)
        .unwrap();
    assert_eq!((page.found.len(), page.opened), (0, 2));
}

#[test]
fn pages_follow_one_another_without_gap_or_repeat() {
    let calls: Vec<Call> = (1..=25)
        .map(|number| Call::new(number, "search", "alice", "same words"))
        .collect();
    let place = Place::written(&calls);
    let mut archive = place.archive();
    for text in [None, Some("same".to_owned())] {
        let mut seen = Vec::new();
        let mut query = Query {
            text,
            limit: 10,
            ..Query::default()
        };
        loop {
            let page = archive.search(&query, &Scope::All, &actor(), NOON).unwrap();
            seen.extend(numbers(&page, &calls));
            query.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    }
}

#[test]
fn each_look_is_an_entry_that_says_who_and_why() {
    let place = Place::written(&two_teams());
    let mut archive = place.archive();
    archive
        .search(&text("whales"), &Scope::All, &actor(), NOON)
        .unwrap();
    let of_alice = Query {
        person: Some("alice".into()),
        text: Some("whales".into()),
        ..Query::default()
    };
    archive
        .search(&of_alice, &Scope::All, &actor(), NOON)
        .unwrap();
    archive
        .show(two_teams()[0].id(), &Scope::All, &actor(), NOON)
        .unwrap();
    let nobody = Scope::Subscriptions([].into());
    archive
        .show(two_teams()[0].id(), &nobody, &actor(), NOON)
        .unwrap();
    archive.note_empty_purge(&actor(), NOON).unwrap();
    archive
        .note(Read::Export, "to auditor.zip", &actor(), NOON)
        .unwrap();
    let read: Vec<(Read, String)> = archive
        .events(None, 100)
        .unwrap()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::Read(read) => {
                let details = entry.details.unwrap();
                assert_eq!(details.actor, actor());
                let others = details.clone().for_others();
                assert!(!others.about.contains("whales"), "{}", others.about);
                Some((read, details.about))
            }
            _ => None,
        })
        .collect();
    let id = two_teams()[0].id().to_string();
    // A person is told by pseudonym: nothing on the log leads to the name.
    let who = archive.about(&of_alice, Some(1));
    assert!(who.starts_with("who=") && !who.contains("alice"), "{who}");
    assert_eq!(
        read,
        [
            (Read::Export, "to auditor.zip".to_owned()),
            (Read::Show, format!("{id} found=0")),
            (Read::Show, format!("{id} found=1")),
            (Read::Search, who),
            (Read::Search, "found=2 text=whales".to_owned())
        ]
    );
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn asking_for_a_subscription_outside_the_scope_finds_and_opens_nothing() {
    let place = Place::written(&two_teams());
    let mut archive = place.archive();
    let sales = Scope::Subscriptions(["sales".into()].into());
    for query in [Query::default(), text("whales")] {
        let query = Query {
            subscription: Some("search".into()),
            with_content: true,
            ..query
        };
        let page = archive.search(&query, &sales, &actor(), NOON).unwrap();
        assert_eq!((page.found.len(), page.opened), (0, 0));
    }
}

#[test]
fn a_clock_that_jumps_hides_no_call() {
    let place = Place::new();
    let calls: Vec<Call> = [4_000, 1, 2]
        .map(|number| Call::new(number, "search", "alice", "same words"))
        .into();
    // The first call's clock is days ahead; then somebody sets it right.
    place.write(&calls);
    let mut archive = place.archive();
    for call in &calls {
        let found = archive
            .show(call.id(), &Scope::All, &actor(), NOON)
            .unwrap();
        assert_eq!(found.unwrap().skeleton.call, call.id());
    }
    let morning = Query {
        until: Some(NOON + Duration::from_secs(3_600)),
        ..Query::default()
    };
    let page = archive
        .search(&morning, &Scope::All, &actor(), NOON)
        .unwrap();
    assert_eq!(numbers(&page, &calls), [2, 1]);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn a_search_that_opens_nothing_says_all_the_same_what_is_gone() {
    let calls = two_teams();
    let place = Place::written(&calls);
    let mut archive = place.archive();
    let erased = archive.erase_person("bob", &actor(), NOON).unwrap();
    let page = archive.find(&Query::default(), &Scope::All).unwrap();
    let states: Vec<_> = page.found.into_iter().map(|found| found.content).collect();
    let gone = State::Gone {
        by: erased.sequence,
    };
    let closed = State::Closed;
    assert_eq!(
        states,
        [&closed, &closed, &closed, &gone, &closed].map(State::clone)
    );
    assert_eq!(page.opened, 0);
}
