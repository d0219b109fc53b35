use std::net::Ipv4Addr;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A call of application `chat-ui` with a token and a few headers.
fn on_call<T>(work: impl FnOnce(&CallContext<'_>) -> T) -> T {
    let claims = json!({
        "azp": "search", "roles": ["AI.Consumer", "Other"], "level": 3, "share": 2.0, "exact": 0.25,
        "big": u64::MAX, "staff": true, "nothing": null, "nested": { "team": "ml", "odd name": "x" },
    });
    let mut headers = http::HeaderMap::new();
    headers.insert("x-session-id", "s-1".parse().expect("a value"));
    headers.append("x-tag", "a".parse().expect("a value"));
    headers.append("x-tag", "b".parse().expect("a value"));
    let application = ApplicationName::from("chat-ui");
    let model = ModelName::from("gpt-4o");
    work(&CallContext {
        subscription: None,
        product: None,
        application: Some(&application),
        key_id: Some("tg_ab12cd"),
        issuer: Some("entra"),
        subject: None,
        user: None,
        claims: claims.as_object(),
        model: Some(&model),
        headers: &headers,
        ip: Some(Ipv4Addr::LOCALHOST.into()),
    })
}

fn text(source: &str) -> Result<String, String> {
    let expression = Expression::compile(source).map_err(|fault| fault.message)?;
    on_call(|call| {
        expression
            .text(call)
            .map(Cow::into_owned)
            .map_err(|fault| fault.message)
    })
}

fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn is_interpreted(source: &str) -> bool {
    matches!(
        Expression::compile(source).expect("it compiles").form,
        Form::Program(..)
    )
}

#[test]
fn plain_paths_and_constants_never_meet_the_interpreter() {
    let plain = [
        ("application.name", "chat-ui"),
        (" caller.key_id ", "tg_ab12cd"),
        ("caller[\"issuer\"]", "entra"),
        ("model.name", "gpt-4o"),
        ("request.ip", "127.0.0.1"),
        ("request.headers[\"x-session-id\"]", "s-1"),
        ("request.headers['X-Session-ID']", "s-1"),
        ("claims.azp", "search"),
        ("claims['nested'].team", "ml"),
        ("claims.nested[\"odd name\"]", "x"),
        ("claims.staff", "true"),
        ("\"all\"", "all"),
        ("'all'", "all"),
        ("\"a\" + 'b'", "ab"),
        ("1 + 2", "3"),
    ];
    for (source, value) in plain {
        assert!(!is_interpreted(source), "{source}");
        assert_eq!(text(source), ok(value), "{source}");
    }
}

#[test]
fn a_plain_path_gives_what_the_interpreter_gives() {
    let paths = [
        "application.name",
        "caller.key_id",
        "caller.issuer",
        "model.name",
        "request.ip",
        "request.headers[\"x-tag\"]",
        "claims.azp",
        "claims.level",
        "claims.share",
        "claims.exact",
        "claims.big",
        "claims.staff",
        "claims.nested.team",
    ];
    for path in paths {
        // A condition keeps it from being a plain path.
        let computed = format!("true || claims.staff ? {path} : {path}");
        assert!(is_interpreted(&computed), "{computed}");
        assert_eq!(text(path), text(&computed), "{path}");
        assert!(text(path).is_ok(), "{path}");
    }
}

#[test]
fn computed_keys_read_only_what_they_name() {
    assert_eq!(
        text("application.name + \"/\" + model.name"),
        ok("chat-ui/gpt-4o")
    );
    assert_eq!(
        text("\"AI.Consumer\" in claims.roles ? \"yes\" : \"no\""),
        ok("yes")
    );
    assert_eq!(text("claims.roles.exists(r, r == \"Other\")"), ok("true"));
    assert_eq!(
        text("claims.roles.filter(r, r.startsWith(\"AI\"))[0]"),
        ok("AI.Consumer")
    );
    assert_eq!(
        text("has(claims.azp) ? claims.azp : \"none\""),
        ok("search")
    );
    assert_eq!(
        text("has(claims.gone) ? claims.gone : \"none\""),
        ok("none")
    );
    assert_eq!(text("size(request.headers) > 1"), ok("true"));
    assert_eq!(text("string(claims.level) + claims.azp"), ok("3search"));
}

#[test]
fn headers_are_found_in_any_case_and_their_values_joined() {
    assert_eq!(text("request.headers[\"X-TAG\"]"), ok("a, b"));
    assert_eq!(text("\"-\" + request.headers[\"X-TAG\"]"), ok("-a, b"));
    assert_eq!(
        text("\"X-Tag\" in request.headers ? \"yes\" : \"no\""),
        ok("yes")
    );
    assert_eq!(
        text("\"X-Gone\" in request.headers ? request.headers[\"X-Gone\"] : \"none\""),
        ok("none")
    );
    assert_eq!(
        text("request.headers.exists(name, name == \"x-tag\")"),
        ok("true")
    );
}

#[test]
fn what_is_missing_is_a_fault_that_names_it() {
    let named = |source: &str, name: &str| {
        let fault = text(source).expect_err(source);
        assert!(fault.contains(name), "{source}: {fault}");
    };
    named("request.headers[\"x-gone\"]", "x-gone");
    named("\"a\" + request.headers[\"x-gone\"]", "x-gone");
    named("claims.gone", "gone");
    named("\"a\" + claims.gone", "gone");
    named("claims.azp.deeper", "azp.deeper");
    named("caller.subject", "caller.subject");
    named("subscription.id", "subscription.id");
}

#[test]
fn a_header_that_is_no_text_is_a_fault() {
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "x-raw",
        http::HeaderValue::from_bytes(b"\xff").expect("a value"),
    );
    for source in [
        "request.headers[\"x-raw\"]",
        "'a' + request.headers['X-Raw']",
        "size(request.headers)",
    ] {
        let expression = Expression::compile(source).expect("it compiles");
        on_call(|call| {
            let fault = expression
                .text(&CallContext {
                    headers: &headers,
                    ..*call
                })
                .expect_err(source);
            assert!(fault.message.contains("UTF-8"), "{fault}");
        });
    }
}

#[test]
fn null_lists_and_maps_are_no_text() {
    for source in [
        "claims.nothing",
        "claims.roles",
        "claims.nested",
        "claims",
        "[claims.azp]",
        "caller.subject == null ? null : 1",
    ] {
        assert!(text(source).is_err(), "{source}");
    }
}

#[test]
fn an_unknown_application_is_the_empty_string_and_other_unknowns_null() {
    let unknown = CallContext {
        subscription: None,
        product: None,
        application: None,
        key_id: None,
        issuer: None,
        subject: None,
        user: None,
        claims: None,
        model: None,
        headers: &http::HeaderMap::new(),
        ip: None,
    };
    let of = |source: &str| {
        Expression::compile(source)
            .expect("it compiles")
            .text(&unknown)
            .map(Cow::into_owned)
    };
    assert_eq!(of("application.name"), Ok(String::new()));
    assert_eq!(of("\"<\" + application.name + \">\""), Ok("<>".to_owned()));
    assert_eq!(of("subscription.id == null"), Ok("true".to_owned()));
    assert!(of("claims.azp").is_err());
    assert_eq!(of("has(claims.azp)"), Ok("false".to_owned()));
}

#[test]
fn names_that_no_call_has_do_not_compile() {
    let refused = [
        ("subscripton.id", "subscripton"),
        ("subscription.key", "it has id, name, owner"),
        ("subscription", "by itself"),
        ("request", "by itself"),
        ("request.body", "headers"),
        ("request.ip + caller.token", "key_id"),
        ("product[\"price\"] + 'x'", "price"),
        ("nothing", "nothing"),
        ("claims.roles.exists(r, q == r)", "`q`"),
        ("shell(\"ls\")", "shell"),
        ("duration(\"1s\")", "duration"),
        (
            "claims.roles.exists(r, claims.roles.exists(q, q == r))",
            "macro",
        ),
        ("subscription.id +", "not CEL"),
        ("", "not CEL"),
        ("Foo{a: 1}", "struct"),
    ];
    for (source, reason) in refused {
        let fault = Expression::compile(source).expect_err(source);
        assert!(fault.message.contains(reason), "{source}: {fault}");
    }
}

#[test]
fn mappings_of_tokens_can_be_told_from_those_that_need_a_tenant() {
    let reads = |source| {
        Expression::compile(source)
            .expect("it compiles")
            .reads_tenant()
    };
    assert_eq!(reads("claims.azp"), None);
    assert_eq!(reads("caller.issuer + claims.azp"), None);
    assert_eq!(reads("subscription.id"), Some("subscription.id"));
    assert_eq!(reads("claims.azp + model.name"), Some("model.name"));
}

#[test]
fn work_is_bounded_by_length_depth_and_claims() {
    let long = format!("\"{}\" + 'b'", "a".repeat(2000));
    assert!(Expression::compile(&long).is_err_and(|fault| fault.message.contains("longer")));
    let deep = vec!["claims.azp"; 90].join("+");
    assert!(Expression::compile(&deep).is_err_and(|fault| fault.message.contains("deeper")));
    for brackets in [25, 500] {
        let nested = format!("{}1{}", "(".repeat(brackets), ")".repeat(brackets));
        assert!(
            Expression::compile(&nested).is_err_and(|fault| fault.message.contains("brackets"))
        );
    }

    let claims = json!({ "groups": (0..evaluate::CLAIM_VALUES_MAX).collect::<Vec<_>>() });
    let counted = Expression::compile("size(claims.groups)").expect("it compiles");
    on_call(|call| {
        let call = CallContext {
            claims: claims.as_object(),
            ..*call
        };
        assert!(
            counted
                .text(&call)
                .is_err_and(|fault| fault.message.contains("claims hold more"))
        );
    });
}

#[test]
fn what_is_just_within_the_bounds_runs_on_a_small_stack() {
    let sum = vec!["claims.azp"; 46].join("+");
    assert_eq!(text(&sum), Ok("search".repeat(46)));
    let brackets = format!("{}claims.azp{} + 'x'", "(".repeat(24), ")".repeat(24));
    assert_eq!(text(&brackets), ok("searchx"));
    let lists = format!(
        "{}claims.azp{}{}",
        "[".repeat(23),
        "]".repeat(23),
        "[0]".repeat(23)
    );
    assert_eq!(text(&lists), ok("search"));
    let choices = format!("{}claims.azp", "false ? 'x' : ".repeat(45));
    assert_eq!(text(&choices), ok("search"));
    let signs = format!("{}claims.staff", "!".repeat(900));
    assert!(Expression::compile(&signs).is_ok());
}

#[test]
fn faults_never_quote_values() {
    for source in [
        "claims.azp - 1",
        "claims.azp < 1",
        "int(claims.azp)",
        "claims.azp / 0",
        "claims.roles[7]",
        "claims.azp.matches(\"(\")",
    ] {
        let fault = text(source).expect_err(source);
        assert!(!fault.contains("search"), "{source}: {fault}");
    }
}

#[test]
fn expressions_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Expression>();
}

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(source in "[-a-z0-9 .\\[\\]\"'()+?:,{}\\\\=<>!&|_%*/]{0,40}") {
        let _ = Expression::compile(&source);
    }

    #[test]
    fn no_expression_that_compiles_panics_when_it_runs(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("claims.azp"), Just("claims.roles"), Just("claims.level"), Just("claims"), Just("model.name"), Just("request.headers"),
                Just("+"), Just("-"), Just("/"), Just("%"), Just("=="), Just("<"), Just("in"), Just("?"), Just(":"), Just("("), Just(")"),
                Just("["), Just("]"), Just("0"), Just("-9223372036854775808"), Just("1u"), Just("2.5"), Just("'x'"), Just("null"),
                Just(".size()"), Just(".map(x, x)"), Just(".matches('a*')"), Just("!"), Just(","),
            ],
            0..9,
        )
    ) {
        let _ = text(&parts.join(" "));
    }
}
