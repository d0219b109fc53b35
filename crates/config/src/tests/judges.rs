//! Guards that ask services, and lists: what they compile to, and what is wrong with them.

use content::lists::Found;

use super::*;
use crate::snapshot::{BackendAuth, ClientTls, Guard, GuardKind, OnError, PresidioAction};

fn text(guards: &str) -> String {
    format!(
        "
backends:
  - {{ id: a, dialect: openai, url: \"https://a.example.com/v1\", auth: {{ api_key: k }} }}
  - {{ id: z, dialect: azure-openai, url: \"https://z.example.com\", api_version: \"2024-10-21\", auth: none }}
  - {{ id: safety, dialect: azure-content-safety, url: \"https://s.cognitiveservices.azure.com/\", auth: {{ api_key: k }} }}
models: [ {{ name: m, backend: a }} ]
products: [ {{ id: standard, models: [m], guards: [ {guards} ] }} ]
subscriptions: [ {{ id: search, product: standard }} ]
"
    )
}

fn with_guard(guard: &str, look: impl FnOnce(&Guard)) {
    let snapshot = loaded(&text(guard));
    let guards = snapshot.subscriptions["search"].guards.clone().unwrap();
    look(&guards.list[0]);
}

#[test]
fn content_safety_looks_at_all_four_categories_unless_told() {
    with_guard("{ content_safety: { backend: safety } }", |guard| {
        assert_eq!(&*guard.rule, "product/standard/guard/content_safety");
        assert!(guard.on.prompt && guard.on.answer && guard.on_error == OnError::Block);
        let GuardKind::ContentSafety(safety) = &guard.kind else {
            panic!("{guard:?}");
        };
        assert_eq!(safety.rules.thresholds, [Some(4); 4]);
        assert_eq!(&*safety.api_version, "2024-09-01");
        assert_eq!(&*safety.service.name, "backend/safety");
        let windows = safety.windows;
        assert_eq!(
            (
                windows.prompt.chars_max(),
                windows.answer.bounds.chars_max()
            ),
            (10_000, 1_000)
        );
    });
    let only =
        "{ content_safety: { backend: safety, categories: { violence: 2 }, blocklists: [names] } }";
    with_guard(only, |guard| {
        let GuardKind::ContentSafety(safety) = &guard.kind else {
            panic!("{guard:?}");
        };
        assert_eq!(safety.rules.thresholds, [None, None, None, Some(2)]);
        assert_eq!(safety.rules.blocklists, ["names"]);
    });
}

#[test]
fn an_overlap_is_a_hundred_characters_or_what_is_written_up_to_half_a_window() {
    for (settings, overlap) in [
        ("", 100),
        (", answer_window: 100", 50),
        (", answer_window: 100, overlap: 50", 50),
        (", overlap: 500", 500),
        (", overlap: 0", 0),
    ] {
        let guard = format!("{{ webhook: {{ url: \"https://judge.example.com\"{settings} }} }}");
        with_guard(&guard, |guard| {
            let GuardKind::Webhook(webhook) = &guard.kind else {
                panic!("{guard:?}");
            };
            assert_eq!(webhook.windows.bounds.overlap(), overlap, "{settings}");
        });
    }
}

#[test]
fn moderation_blocks_what_is_flagged_unless_it_has_thresholds() {
    for (guard, flagged, thresholds) in [
        ("{ moderation: { backend: a } }", true, 0),
        (
            "{ moderation: { backend: a, thresholds: { violence: 0.5 } } }",
            false,
            1,
        ),
        (
            "{ moderation: { backend: a, flagged: true, thresholds: { violence: 0.5 } } }",
            true,
            1,
        ),
    ] {
        with_guard(guard, |compiled| {
            let GuardKind::Moderation(moderation) = &compiled.kind else {
                panic!("{guard}");
            };
            assert_eq!(moderation.rules.block_flagged, flagged, "{guard}");
            assert_eq!(moderation.rules.thresholds.len(), thresholds, "{guard}");
            assert_eq!(&*moderation.model, "omni-moderation-latest");
        });
    }
}

#[test]
fn lists_are_compiled_when_they_are_loaded() {
    let guard = "{ lists: { words: [falcon], topics: { arms: { phrases: { rifle: 1, scope: 1 }, threshold: 2 } } } }";
    with_guard(guard, |guard| {
        let GuardKind::Lists(lists) = &guard.kind else {
            panic!("{guard:?}");
        };
        let mut found = Found::default();
        lists.edit("a Falcon, a rifle and its scope", &mut found);
        assert_eq!(
            found.kinds(),
            [("word".to_owned(), 1), ("topic/arms".to_owned(), 2)]
        );
    });
}

#[test]
fn a_webhook_and_its_secret_are_not_printed() {
    let guard =
        "{ webhook: { url: \"https://judge.example.com/hook-path\", secret: sixteen-characters } }";
    with_guard(guard, |guard| {
        let printed = format!("{guard:?}");
        assert!(
            !printed.contains("hook-path") && !printed.contains("sixteen"),
            "{printed}"
        );
    });
}

#[test]
fn mistakes_are_named_with_their_place_and_fix() {
    for (guards, expected) in [
        (
            "{ content_safety: { backend: a } }",
            "this backend hosts models and judges nothing",
        ),
        (
            "{ content_safety: { backend: none } }",
            "no backend is called `none`",
        ),
        (
            "{ content_safety: { backend: safety, categories: {} } }",
            "content_safety: it looks for nothing",
        ),
        (
            "{ content_safety: { backend: safety, categories: { hate: 0, violence: 4 } } }",
            "`0` is not a whole number in range",
        ),
        (
            "{ content_safety: { backend: safety, categories: { hat: 4, violence: 4 } } }",
            "did you mean `hate`?",
        ),
        (
            "{ content_safety: { backend: safety, shield_prompt: true, where: [answer] } }",
            "it does not look at prompts",
        ),
        (
            "{ content_safety: { backend: safety, where: [prompt, audit] } }",
            "only `pii` edits what audit records keep",
        ),
        (
            "{ moderation: { backend: z } }",
            "only backends with `dialect: openai`",
        ),
        (
            "{ moderation: { backend: a, flagged: false } }",
            "it never blocks anything",
        ),
        (
            "{ moderation: { backend: a, thresholds: { violence: 2 } } }",
            "not a share",
        ),
        ("{ lists: {} }", "lists: it looks for nothing"),
        (
            "{ lists: { words: [ok, \" \"] } }",
            "lists.words[1]: holds no letter",
        ),
        (
            "{ lists: { patterns: [\"(\"] } }",
            "lists.patterns[0]: unclosed group",
        ),
        ("{ lists: { patterns: [\"a*\"] } }", "matches an empty text"),
        (
            "{ lists: { topics: { arms: { phrases: { rifle: 1 }, threshold: 2 } } } }",
            "lists.topics[arms].threshold: can never be reached: its phrases add up to 1",
        ),
        (
            "{ lists: { topics: { \"a b\": { phrases: { rifle: 2 }, threshold: 2 } } } }",
            "a topic's name stands in records",
        ),
        (
            "{ presidio: { url: \"http://analyzer:5002\", entities: [] } }",
            "presidio.entities: it looks for nothing",
        ),
        (
            "{ content_safety: { backend: safety, answer_window: 100, overlap: 51 } }",
            "content_safety.overlap: more than half of `answer_window`, which is 100; at most 50 with \
             `answer_window: 100`, or `answer_window` of at least 102",
        ),
        (
            "{ presidio: { url: \"http://analyzer:5002\", prompt_window: 399, overlap: 200 } }",
            "presidio.overlap: more than half of `prompt_window`, which is 399; at most 199",
        ),
        (
            "{ moderation: { backend: a, overlap: 501 } }",
            "moderation.overlap: more than half of `answer_window`, which is 1000; at most 500",
        ),
        (
            "{ webhook: { url: \"https://judge.example.com\", overlap: 501 } }",
            "webhook.overlap: more than half of `answer_window`, which is 1000; at most 500",
        ),
        (
            "{ webhook: { url: \"ftp://x\" } }",
            "neither `http` nor `https`",
        ),
        (
            "{ lists: { words: [a] }, pii: {} }",
            "not exactly one kind of guard",
        ),
    ] {
        let problems = problems(&text(guards));
        assert_eq!(problems.len(), 1, "{guards}: {problems:?}");
        assert!(problems[0].contains(expected), "{guards}: {problems:?}");
    }
}

#[test]
fn what_judges_content_hosts_no_models_and_has_no_prices() {
    let safety = |more: &str| {
        format!(
            "backends: [ {{ id: safety, dialect: azure-content-safety, url: \"https://s.example.com\", auth: none{more} }} ]"
        )
    };
    for (text, expected) in [
        (
            format!("{}\nmodels: [ {{ name: m, backend: safety }} ]", safety("")),
            "models[m].backend: `safety` judges content and hosts no models",
        ),
        (
            format!(
                "{}\npools: [ {{ id: p, members: [ {{ backend: safety }} ] }} ]",
                safety("")
            ),
            "pools[p].members: `safety` judges content and hosts no models",
        ),
        (
            safety(", catalogue: openai"),
            "it hosts no models, so nothing there has a price",
        ),
        (safety(", api_version: \"1&x\""), "not an API version"),
    ] {
        let problems = problems(&text);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn judges_of_ones_own_have_credentials_and_certificates_as_backends_have() {
    let guard =
        "{ webhook: { url: \"https://judge.example.com\", auth: { managed_identity: {} } } }";
    with_guard(guard, |guard| {
        let GuardKind::Webhook(webhook) = &guard.kind else {
            panic!("{guard:?}");
        };
        assert!(matches!(webhook.service.auth, BackendAuth::Token(_)));
        assert_eq!(webhook.service.tls, ClientTls::default());
    });
    let pem = "\"-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\"";
    let guard = format!(
        "{{ presidio: {{ url: \"https://pii.example.com\", auth: {{ bearer: analyst }}, tls: {{ ca: {pem} }} }} }}"
    );
    with_guard(&guard, |guard| {
        let GuardKind::Presidio(presidio) = &guard.kind else {
            panic!("{guard:?}");
        };
        assert!(matches!(presidio.service.auth, BackendAuth::Bearer(_)));
        assert!(presidio.service.tls.ca.is_some());
    });
}

#[test]
fn certificates_for_plain_http_and_halves_of_pairs_are_told() {
    let pem = "\"-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\"";
    let guard = format!("{{ presidio: {{ url: \"http://pii.internal\", tls: {{ ca: {pem} }} }} }}");
    let told = problems(&text(&guard));
    let expected = "presidio.tls: the URL is plain `http`, which has no certificates";
    assert!(
        told.iter().any(|problem| problem.contains(expected)),
        "{told:?}"
    );
    let guard =
        format!("{{ webhook: {{ url: \"https://a.b.example.com\", tls: {{ cert: {pem} }} }} }}");
    let told = problems(&text(&guard));
    let expected = "a certificate without its key";
    assert!(
        told.iter().any(|problem| problem.contains(expected)),
        "{told:?}"
    );
}

#[test]
fn what_presidio_finds_is_redacted_unless_told() {
    for (settings, action, masks) in [
        ("", PresidioAction::Redact, false),
        (", action: mask", PresidioAction::Mask, true),
        (", action: block", PresidioAction::Block, false),
    ] {
        let guard = format!("{{ presidio: {{ url: \"https://pii.example.com\"{settings} }} }}");
        let snapshot = loaded(&text(&guard));
        let guards = snapshot.subscriptions["search"].guards.clone().unwrap();
        let GuardKind::Presidio(presidio) = &guards.list[0].kind else {
            panic!("{guards:?}");
        };
        assert_eq!(
            (presidio.action, guards.mask()),
            (action, masks),
            "{settings}"
        );
    }
}
