//! Text that is no configuration yet: syntax, aliases, several files, bounds.

use proptest::prelude::*;

use super::*;

#[test]
fn text_that_is_not_yaml_is_one_problem() {
    let found = problems("backends: [\n  - x: }\n");
    assert!(
        matches!(&*found, [one] if one.contains("not YAML")),
        "{found:?}"
    );
    for empty in ["", "\n", "# A comment.\n"] {
        assert_eq!(problems(empty).len(), 1, "{empty:?}");
    }
    assert!(load_with(&[], &[]).is_err());
}

#[test]
fn a_field_set_twice_is_a_problem() {
    assert_eq!(
        problems("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n").len(),
        1
    );
    let found = problems("admin:\n  listen: 127.0.0.1:1\n  listen: 127.0.0.1:2\n");
    assert!(
        found[0].starts_with("3:3: ") && found[0].contains("first on line 2"),
        "{found:?}"
    );
}

#[test]
fn a_field_set_twice_is_found_in_a_map_of_any_size() {
    for fields in [2, 15, 16, 17, 40] {
        for repeated in 0..fields {
            let mut text = String::from("deployments:\n");
            for field in 0..fields {
                text.push_str(&format!("  b{field}: x\n"));
            }
            text.push_str(&format!("  b{repeated}: y\n"));
            let found = problems(&text);
            let said = format!("first on line {}", repeated + 2);
            assert!(
                found.iter().any(|problem| problem.contains(&said)),
                "{fields}, {repeated}: {found:?}"
            );
        }
    }
}

#[test]
fn aliases_and_merge_keys_work_and_are_bounded() {
    let text = "
backends:
  - &base { id: a, dialect: openai, url: 'https://a.example.com', timeout: &slow { idle: 5m } }
  - { <<: *base, id: b, url: 'https://b.example.com' }
  - { id: c, dialect: openai, url: 'https://c.example.com', timeout: *slow }
";
    let snapshot = loaded(text);
    for id in ["a", "b", "c"] {
        assert_eq!(snapshot.backends[id].timeouts.idle.as_secs(), 300, "{id}");
    }
    assert_eq!(
        snapshot.backends["b"].url.as_str(),
        "https://b.example.com/"
    );
    assert!(problems("admin: { <<: 5, listen: 127.0.0.1:1 }")[0].contains("<<"));

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let found = problems(&bomb);
    assert!(
        matches!(&*found, [one] if one.contains("aliases")),
        "{found:?}"
    );
    assert_eq!(problems(&"[".repeat(100_000)).len(), 1);
    assert!(problems(&"- ".repeat(2_000))[0].contains("nested deeper"));
}

#[test]
fn files_are_merged_by_section() {
    let (gateway, teams) = SMALL.split_once("products:").expect("two halves");
    let teams = format!("products:{teams}");
    let (snapshot, _) = load_with(
        &[
            ("a.yaml", gateway),
            ("b.yaml", &teams),
            ("c.yaml", "limits: { body: 1MiB }"),
        ],
        &[],
    )
    .expect("the files are one configuration");
    assert_eq!(snapshot.settings.body_bytes_max, 1 << 20);
    assert!(snapshot.keys.contains_key(&key_hash(SECRETS[2])));

    let more = "subscriptions: [{ id: support, product: standard }]\nlimits: { drain: 5s }";
    let (snapshot, _) = load_with(
        &[
            ("a.yaml", SMALL),
            ("b.yaml", more),
            ("c.yaml", "limits: { body: 1MiB }"),
        ],
        &[],
    )
    .expect("the files are one configuration");
    assert_eq!(
        (
            snapshot.subscriptions.len(),
            snapshot.settings.drain.as_secs()
        ),
        (2, 5)
    );
}

#[test]
fn what_two_files_set_names_both() {
    let found = load_with(
        &[("a.yaml", "data_dir: ./a"), ("b.yaml", "\ndata_dir: ./b")],
        &[],
    )
    .expect_err("both set it");
    assert_eq!(
        shown(&found),
        "b.yaml:2:11: data_dir: set here and in a.yaml:1; keep one of them\n"
    );
    let again = "subscriptions: [{ id: search, product: standard }]";
    let found =
        load_with(&[("a.yaml", SMALL), ("b.yaml", again)], &[]).expect_err("both declare it");
    assert!(
        shown(&found).contains("declared twice, first at a.yaml:9"),
        "{}",
        shown(&found)
    );
}

#[test]
fn a_broken_file_blames_no_other() {
    let (gateway, teams) = SMALL.split_once("products:").expect("two halves");
    let broken = format!("{gateway}\n  - [");
    let found = load_with(
        &[
            ("a.yaml", &broken),
            ("b.yaml", &format!("products:{teams}")),
        ],
        &[],
    )
    .expect_err("one is broken");
    assert!(
        matches!(&*found, [one] if one.file == "a.yaml"),
        "{}",
        shown(&found)
    );
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "[-a-z0-9:{}\\[\\], \n\"'&*<!#|>$%@.]{0,200}") {
        let _ = problems(&text);
    }

    /// All but its models, which would need the tokenizers' names.
    #[test]
    fn no_mutilated_configuration_makes_loading_panic(at in 0..EXAMPLE.len(), length in 0..40_usize, with in "[-a-z:{}\\[\\],\n'&*<$ ]{0,6}") {
        let (before, rest) = EXAMPLE.split_once("models:\n").expect("models");
        let (_, after) = rest.split_once("products:\n").expect("products");
        let mut text: Vec<char> = format!("{before}products:\n{after}").chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, with.chars());
        let _ = problems(&text.into_iter().collect::<String>());
    }
}
