use proptest::prelude::*;

use super::*;

fn read_in(
    operation: Operation,
    body: &str,
    deployment: Option<&str>,
) -> Result<Request, RequestError> {
    read(
        operation,
        Bytes::copy_from_slice(body.as_bytes()),
        deployment,
    )
}

fn chat(body: &str) -> Request {
    read_in(Operation::ChatCompletions, body, None).unwrap()
}

fn fault(body: &str) -> (String, Option<String>) {
    let fault = read_in(Operation::ChatCompletions, body, None).unwrap_err();
    (fault.message, fault.param)
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_request_can_go_between_tasks() {
    fn needs<T: Clone + Send + Sync + 'static>(_: &T) {}
    needs(&chat(r#"{"model":"m"}"#));
}

#[test]
fn what_the_gateway_needs_is_read() {
    let request = chat(
        r#"{"model":"gpt-4o","messages":[],"stream":true,"stream_options":{"include_usage":true},
            "max_tokens":10,"max_completion_tokens":7,"n":3,"best_of":9}"#,
    );
    assert_eq!(request.model.as_str(), "gpt-4o");
    assert!(request.stream && request.wants_usage);
    assert_eq!(
        request.answer_tokens_max,
        Some(10),
        "backends differ in which of the two they obey"
    );
    assert_eq!(request.choices, 3, "chat has no best_of");
}

#[test]
fn null_is_the_same_as_absent() {
    let request = chat(
        r#"{"model":"m","stream":null,"stream_options":null,"max_tokens":null,"max_completion_tokens":null,"n":null}"#,
    );
    assert!(!request.stream && !request.wants_usage);
    assert_eq!((request.answer_tokens_max, request.choices), (None, 1));
}

#[test]
fn each_prompt_of_a_completion_has_its_own_choices() {
    let choices = |prompt: &str, more: &str| {
        let body = format!(r#"{{"model":"m","prompt":{prompt}{more}}}"#);
        read_in(Operation::Completions, &body, None)
            .unwrap()
            .choices
    };
    assert_eq!(choices(r#""one""#, ""), 1);
    assert_eq!(choices(r#"["one","two"]"#, r#","n":2,"best_of":5"#), 10);
    assert_eq!(choices("[1,2,3]", r#","n":2"#), 2);
    assert_eq!(choices("[[1,2],[3]]", ""), 2);
    assert_eq!(
        choices(r#"["a","b"]"#, &format!(r#","n":{}"#, u64::MAX)),
        u64::MAX
    );
}

#[test]
fn a_field_of_the_wrong_kind_is_named() {
    for (member, param) in [
        (r#""stream":"yes""#, "stream"),
        (r#""stream":1"#, "stream"),
        (r#""stream_options":5"#, "stream_options"),
        (
            r#""stream_options":{"include_usage":"x"}"#,
            "stream_options.include_usage",
        ),
        (r#""max_tokens":-1"#, "max_tokens"),
        (r#""max_tokens":1.5"#, "max_tokens"),
        (r#""max_tokens":1e30"#, "max_tokens"),
        (r#""max_tokens":"10""#, "max_tokens"),
        (
            r#""max_completion_tokens":18446744073709551616"#,
            "max_completion_tokens",
        ),
        (r#""n":0"#, "n"),
        (r#""n":2.0"#, "n"),
        (r#""n":[1]"#, "n"),
    ] {
        let (message, found) = fault(&format!(r#"{{"model":"m",{member}}}"#));
        assert_eq!(found.as_deref(), Some(param), "{member}");
        assert!(message.starts_with(&format!("`{param}` ")), "{message}");
    }
    assert_eq!(
        chat(&format!(r#"{{"model":"m","max_tokens":{}}}"#, u64::MAX)).answer_tokens_max,
        Some(u64::MAX)
    );
}

#[test]
fn a_body_needs_a_model_unless_the_path_has_it() {
    for (body, message) in [
        ("{}", "`model` is required"),
        (r#"{"model":null}"#, "`model` is required"),
        (r#"{"model":""}"#, "`model` must not be empty"),
        (r#"{"model":7}"#, "`model` must be a string"),
        (
            r#"{"model":"a\nb"}"#,
            "`model` must not hold control characters",
        ),
    ] {
        assert_eq!(fault(body), (message.to_owned(), Some("model".to_owned())));
    }
    assert!(
        fault(&format!(r#"{{"model":"{}"}}"#, "m".repeat(257)))
            .0
            .contains("256 bytes")
    );
    for body in [
        "{}",
        r#"{"model":null}"#,
        r#"{"model":7}"#,
        r#"{"model":"other"}"#,
    ] {
        let request = read_in(Operation::ChatCompletions, body, Some("team-chat")).unwrap();
        assert_eq!(request.model.as_str(), "team-chat", "{body}");
        let sent: serde_json::Value = serde_json::from_slice(&request.body_for("gpt-4o")).unwrap();
        assert_eq!(sent, serde_json::json!({"model": "gpt-4o"}), "{body}");
    }
}

#[test]
fn a_duplicate_key_is_named() {
    let (message, param) = fault(r#"{"model":"cheap","mod\u0065l":"dear"}"#);
    assert_eq!(param.as_deref(), Some("model"));
    assert!(message.starts_with("duplicate key `model`"), "{message}");
    assert!(
        fault(r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}"#)
            .0
            .contains("duplicate")
    );
}

#[test]
fn a_body_that_needs_no_change_is_the_very_same_bytes() {
    for body in [
        r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#,
        r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"model":"gpt\u002d4o","stream":false}"#,
    ] {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let sent = read(Operation::ChatCompletions, bytes.clone(), None)
            .unwrap()
            .body_for("gpt-4o");
        assert_eq!((sent.as_ptr(), sent.len()), (bytes.as_ptr(), bytes.len()));
    }
}

#[test]
fn only_the_models_value_is_replaced() {
    let request =
        chat("{ \"temperature\": 1.0e0,\n\t\"model\" : \"gpt-4o\" , \"x_unknown\":[1 ,2]}\r\n");
    assert_eq!(
        text(&request.body_for("eu \"4o\"")),
        "{ \"temperature\": 1.0e0,\n\t\"model\" : \"eu \\\"4o\\\"\" , \"x_unknown\":[1 ,2]}\r\n"
    );
}

#[test]
fn include_usage_is_set_however_the_options_were_given() {
    for (before, after) in [
        (
            r#"{"model":"m","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":null}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options": { },"model":"m","stream":true}"#,
            r#"{"stream_options": {"include_usage":true },"model":"m","stream":true}"#,
        ),
        (
            r#"{"stream_options": { "include_obfuscation" : false },"model":"m","stream":true}"#,
            r#"{"stream_options": {"include_usage":true, "include_obfuscation" : false },"model":"m","stream":true}"#,
        ),
        (
            r#"{"model":"m","stream_options":{"x":{"include_usage":0},"include_usage" : false},"stream":true}"#,
            r#"{"model":"m","stream_options":{"x":{"include_usage":0},"include_usage" : true},"stream":true}"#,
        ),
        (
            r#"{"model":"m","stream_options":{"include_usage":null},"stream":true}"#,
            r#"{"model":"m","stream_options":{"include_usage":true},"stream":true}"#,
        ),
    ] {
        for operation in [Operation::ChatCompletions, Operation::Completions] {
            let request = read_in(operation, before, None).unwrap();
            assert!(!request.wants_usage);
            assert_eq!(text(&request.body_for("m")), after);
        }
    }
}

#[test]
fn both_edits_go_together_in_either_order() {
    let first = chat(r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#);
    let expected = r#"{"model":"d","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(text(&first.body_for("d")), expected);
    let last = chat(r#"{"stream_options":{"include_usage":false},"stream":true,"model":"m"}"#);
    let expected = r#"{"stream_options":{"include_usage":true},"stream":true,"model":"d"}"#;
    assert_eq!(text(&last.body_for("d")), expected);
    let neither = read_in(Operation::ChatCompletions, r#"{"stream":true}"#, Some("x")).unwrap();
    let expected = r#"{"model":"d","stream_options":{"include_usage":true},"stream":true}"#;
    assert_eq!(text(&neither.body_for("d")), expected);
}

#[test]
fn a_call_that_does_not_stream_is_not_asked_for_stream_usage() {
    let request = chat(r#"{"model":"m","stream":false,"stream_options":null}"#);
    assert_eq!(
        text(&request.body_for("m")),
        r#"{"model":"m","stream":false,"stream_options":null}"#
    );
    let embeddings = read_in(
        Operation::Embeddings,
        r#"{"model":"m","input":"x","stream":true}"#,
        None,
    )
    .unwrap();
    assert!(!embeddings.stream);
    assert_eq!(
        text(&embeddings.body_for("m")),
        r#"{"model":"m","input":"x","stream":true}"#
    );
}

#[test]
fn messages_cost_what_openais_cookbook_says() {
    // The example of "How to count tokens with tiktoken": 124 tokens for gpt-4o, 129 for gpt-4.
    let body = include_str!("../../tests/vectors/cookbook_messages.json");
    assert_eq!(chat(body).prompt_tokens(Encoding::O200k), 124);
    assert_eq!(chat(body).prompt_tokens(Encoding::Cl100k), 129);
}

#[test]
fn tools_cost_what_openais_cookbook_says() {
    // The example of the same page: 101 tokens for gpt-4o, 105 for gpt-4.
    let body = include_str!("../../tests/vectors/cookbook_tools.json");
    assert_eq!(chat(body).prompt_tokens(Encoding::O200k), 101);
    assert_eq!(chat(body).prompt_tokens(Encoding::Cl100k), 105);
}

#[test]
fn an_image_is_bounded_by_its_rule_and_not_by_its_bytes() {
    let image = |url: &str, detail: &str| {
        format!(
            r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":[{{"type":"text","text":"what?"}},
               {{"type":"image_url","image_url":{{"url":"{url}","detail":"{detail}"}}}}]}}]}}"#
        )
    };
    let inline = format!(
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAAD{}",
        "A".repeat(200_000)
    );
    let high = chat(&image(&inline, "high"));
    let framing = image("", "high").len() as u64;
    assert_eq!(high.prompt_tokens_bound(), framing + 1445);
    assert_eq!(
        high.prompt_text_bytes(),
        chat(&image("", "high")).prompt_text_bytes()
    );
    let text_only = 3 + 3 + 1 + 2;
    assert_eq!(high.prompt_tokens(Encoding::O200k), text_only + 765);
    assert_eq!(
        chat(&image(&inline, "low")).prompt_tokens(Encoding::O200k),
        text_only + 85
    );
    let linked = chat(&image("https://example.com/cat.png", "auto"));
    assert_eq!(linked.prompt_tokens(Encoding::O200k), text_only + 1445);
    assert_eq!(
        linked.prompt_tokens_bound(),
        image("https://example.com/cat.png", "auto").len() as u64 + 1445
    );
}

#[test]
fn audio_is_bounded_by_its_rule_and_not_by_its_bytes() {
    let body = format!(
        r#"{{"model":"gpt-4o-audio-preview","messages":[{{"role":"user","content":[
           {{"type":"input_audio","input_audio":{{"data":"{}","format":"mp3"}}}}]}}]}}"#,
        "A".repeat(400_000)
    );
    let bound = chat(&body).prompt_tokens_bound();
    assert!((3000..3200).contains(&bound), "{bound}");
    assert!((3000..=bound).contains(&chat(&body).prompt_tokens(Encoding::O200k)));
}

#[test]
fn escaped_text_is_counted_as_what_it_says() {
    let plain = chat(r#"{"model":"m","messages":[{"role":"user","content":"naïve \"日本\"\n"}]}"#);
    let escaped = chat(
        r#"{"model":"m","messages":[{"role":"\u0075ser","content":"na\u00efve \"\u65e5\u672c\"\u000a"}]}"#,
    );
    assert_eq!(
        plain.prompt_tokens(Encoding::O200k),
        escaped.prompt_tokens(Encoding::O200k)
    );
}

#[test]
fn calls_in_the_history_are_counted() {
    let request = chat(
        r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function",
            "function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},
            {"role":"tool","tool_call_id":"call_1","content":"sunny"}]}"#,
    );
    let texts = [
        "assistant",
        "get_weather",
        r#"{"city":"Paris"}"#,
        "tool",
        "sunny",
    ];
    let expected: u64 = texts.iter().map(|text| Encoding::O200k.count(text)).sum();
    assert_eq!(
        request.prompt_tokens(Encoding::O200k),
        3 + 2 * 3 + 3 + expected
    );
}

#[test]
fn embedding_input_is_counted_in_all_four_forms() {
    let embeddings = |input: &str| {
        read_in(
            Operation::Embeddings,
            &format!(r#"{{"model":"m","input":{input}}}"#),
            None,
        )
        .unwrap()
    };
    let word = Encoding::Cl100k.count("hello world");
    for (input, tokens, text_bytes) in [
        (r#""hello world""#, word, 11),
        (r#"["hello world","hello world"]"#, 2 * word, 22),
        ("[15339, 1917, 100257]", 3, 12),
        ("[[1,2],[3],[]]", 3, 12),
        ("[]", 0, 0),
    ] {
        let request = embeddings(input);
        assert_eq!(request.prompt_tokens(Encoding::Cl100k), tokens, "{input}");
        assert_eq!(request.prompt_text_bytes(), text_bytes, "{input}");
    }
    let ids = format!("[{}]", vec!["100000"; 5000].join(","));
    assert!(
        embeddings(&ids).prompt_tokens_bound() < 5000 + 5000 + 100,
        "an id is one token, however long"
    );
}

#[test]
fn what_the_gateway_does_not_understand_passes() {
    for body in [
        r#"{"model":"m"}"#,
        r#"{"model":"m","messages":null}"#,
        r#"{"model":"m","messages":7,"tools":{"a":1}}"#,
        r#"{"model":"m","messages":[7,null,"x",[]],"tools":[7,{"function":9}]}"#,
        r#"{"model":"m","messages":[{"role":7,"content":{"a":[1]},"tool_calls":"x","function_call":"auto"}]}"#,
        r#"{"model":"m","messages":[{"content":[7,{"image_url":7},{"input_audio":null},{"text":[]}]}]}"#,
    ] {
        let request = chat(body);
        assert_eq!(text(&request.body_for("m")), body);
        assert!(
            request.prompt_tokens(Encoding::O200k) <= request.prompt_tokens_bound(),
            "{body}"
        );
    }
}

#[test]
fn debug_output_holds_no_prompt() {
    let shown = format!(
        "{:?}",
        chat(r#"{"model":"m","messages":[{"role":"user","content":"secret plan"}]}"#)
    );
    assert!(
        !shown.contains("secret") && !shown.contains("115, 101"),
        "{shown}"
    );
}

/// Any JSON, rich in the names that mean something in a request.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let name = prop::sample::select(vec![
        "role",
        "content",
        "name",
        "text",
        "type",
        "image_url",
        "url",
        "detail",
        "input_audio",
        "data",
        "tool_calls",
        "function",
        "arguments",
        "parameters",
        "properties",
        "description",
        "enum",
        "items",
        "file",
        "refusal",
        "json_schema",
        "include_usage",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        prop::sample::select(vec![
            "",
            "low",
            "user",
            "data:image/png;base64,iVBORw0KGgo=",
            "https://x",
            "a b c"
        ])
        .prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_count_never_passes_the_bound(
        messages in prop::collection::vec(json(), 0..4),
        tools in prop::collection::vec(json(), 0..4),
        format in json(),
    ) {
        let body = serde_json::json!({"model":"m","messages":messages,"tools":tools,"functions":tools,"response_format":format});
        let body = body.to_string();
        let request = chat(&body);
        // Without the clamp in `prompt_tokens`: the bound must hold by itself.
        let counted = count::chat(Json::whole(body.as_bytes()), Encoding::O200k, ImageRule::of_model("m"));
        prop_assert!(counted <= request.prompt_tokens_bound(), "{counted} > {}", request.prompt_tokens_bound());
    }

    #[test]
    fn an_edit_changes_only_what_it_should(
        extra in json(),
        options in prop::option::of(prop_oneof![
            Just(serde_json::Value::Null),
            Just(serde_json::json!({})),
            Just(serde_json::json!({"include_usage": false, "x": [1]})),
            Just(serde_json::json!({"a": {"include_usage": 1}})),
        ]),
        deployment in "[ -~é\"\\\\]{1,12}",
        pretty in any::<bool>(),
    ) {
        let mut value = serde_json::json!({"model":"m","extra":extra,"stream":true});
        if let Some(options) = options {
            value["stream_options"] = options;
        }
        let body = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let sent: serde_json::Value = serde_json::from_slice(&chat(&body).body_for(&deployment)).unwrap();
        value["model"] = deployment.into();
        if value["stream_options"].is_null() {
            value["stream_options"] = serde_json::json!({});
        }
        value["stream_options"]["include_usage"] = true.into();
        prop_assert_eq!(sent, value);
    }

    #[test]
    fn no_body_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200), near in r#"\{"(model|n|stream|prompt)":[\[\]{}",:\\u0-9a.e-]{0,30}\}"#) {
        for body in [bytes, near.into_bytes()] {
            for operation in [Operation::ChatCompletions, Operation::Completions, Operation::Embeddings] {
                if let Ok(request) = read(operation, Bytes::copy_from_slice(&body), Some("d")) {
                    request.prompt_tokens(Encoding::Cl100k);
                    let sent = request.body_for("other");
                    prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&sent).is_ok());
                }
            }
        }
    }
}

#[test]
fn a_request_can_be_read_as_one_for_another_model() {
    let body = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"n":2}"#;
    let asked = read(Operation::ChatCompletions, Bytes::from_static(body), None).unwrap();
    let other = asked.asking_for(&"gpt-4o-mini".into()).unwrap();
    assert_eq!(other.model.as_str(), "gpt-4o-mini");
    assert_eq!((other.choices, other.body_len()), (2, asked.body_len()));
    let sent = other.body_for("mini-eu");
    assert!(sent.starts_with(br#"{"model":"mini-eu","messages""#));
}

#[test]
fn what_can_make_a_call_dearer_is_read() {
    let read = |body: &'static str| {
        read(
            Operation::ChatCompletions,
            Bytes::from_static(body.as_bytes()),
            None,
        )
        .unwrap()
    };
    let plain = read(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!(
        (plain.tier, plain.has_audio),
        (ServiceTier::Standard, false)
    );
    let dear = read(r#"{"model":"m","service_tier":"priority","modalities":["text","audio"]}"#);
    assert_eq!((dear.tier, dear.has_audio), (ServiceTier::Priority, true));
    let heard = read(
        r#"{"model":"m","service_tier":"auto","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}]}]}"#,
    );
    assert_eq!((heard.tier, heard.has_audio), (ServiceTier::Standard, true));
}
