//! `listen` and `limits`: both forms, and what is wrong with each.

use super::*;

const CERT: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

fn load_tls(text: &str) -> Result<Snapshot, Vec<String>> {
    let source = Source {
        name: "t.yaml".to_owned(),
        text: text.to_owned(),
    };
    let files = |path: &str| match path {
        "/tls.crt" | "/tls.key" => Ok(CERT.to_owned()),
        "/notes.txt" => Ok("nothing of the kind".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let environment = Environment {
        variables: &|_| Some(SECRETS[0].to_owned()),
        files: &files,
    };
    load(&[source], &environment, &[], 1)
        .map(|(snapshot, _)| snapshot)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn an_address_stands_alone_or_in_a_map_with_tls() {
    let plain = load_tls("listen: 127.0.0.1:1").unwrap().settings;
    assert!(plain.listen.port() == 1 && plain.tls.is_none());
    let plain = load_tls("listen: { address: 127.0.0.1:1 }")
        .unwrap()
        .settings;
    assert!(plain.listen.port() == 1 && plain.tls.is_none());

    let text = "
listen: { address: 127.0.0.1:1, tls: { cert: /tls.crt, key: '${file:/tls.key}' } }
admin:
  listen:
    address: 127.0.0.1:2
    tls:
      cert: |
        -----BEGIN CERTIFICATE-----
        AA==
        -----END CERTIFICATE-----
      key: /tls.key
      client_ca: /tls.crt
";
    let settings = load_tls(text).unwrap().settings;
    let (tls, admin) = (settings.tls.unwrap(), settings.admin_tls.unwrap());
    assert_eq!(tls.cert.text.reveal(), CERT);
    assert_eq!(admin.cert.text.reveal(), CERT);
    assert!(tls.client_ca.is_none() && admin.client_ca.is_some());
    let Written {
        file, line, field, ..
    } = &tls.key.written;
    assert_eq!((&**file, *line, &**field), ("t.yaml", 2, "listen.tls.key"));
    assert!(!format!("{tls:?}").contains("BEGIN"));
}

#[test]
fn a_certificate_that_is_none_is_named_with_its_place_and_the_fix() {
    let tls = |cert: &str, key: &str| {
        let text =
            format!("listen: {{ address: 127.0.0.1:1, tls: {{ cert: {cert}, key: {key} }} }}");
        load_tls(&text).unwrap_err()
    };
    for (cert, key, problem) in [
        (
            "/gone",
            "/tls.key",
            "1:46: listen.tls.cert: cannot read `/gone`: no such file; name a PEM file",
        ),
        (
            "/tls.crt",
            "/notes.txt",
            "listen.tls.key: the file is not PEM; name a file with",
        ),
        (
            "/tls.crt",
            "'${file:/gone}'",
            "listen.tls.key: cannot read `/gone`: no such file",
        ),
    ] {
        let found = tls(cert, key);
        assert!(found.len() == 1 && found[0].contains(problem), "{found:?}");
    }
    // A secret in the wrong place is not quoted.
    let found = tls("/tls.crt", "'${env:TLS_KEY}'");
    assert!(found[0].contains("cannot read this value"), "{found:?}");
    assert!(!found[0].contains(SECRETS[0]));

    let found = load_tls("listen: { address: 127.0.0.1:1, tls: { cert: /tls.crt } }").unwrap_err();
    assert!(found[0].contains("`key` is missing"), "{found:?}");
    let found = load_tls("listen: { tls: { cert: /tls.crt, key: /tls.key } }").unwrap_err();
    assert!(found[0].contains("`address` is missing"), "{found:?}");
}

#[test]
fn two_listeners_in_either_form_do_not_share_an_address() {
    let text = "listen: 127.0.0.1:1\nadmin: { listen: { address: 127.0.0.1:1 } }";
    let found = load_tls(text).unwrap_err();
    assert!(
        found[0].contains("admin.listen: the same address as `listen`"),
        "{found:?}"
    );
}

#[test]
fn a_body_that_is_allowed_fits_among_those_in_memory() {
    let limits = |text: &str| problems(&format!("limits: {{ {text} }}"));
    assert!(limits("body: 1GiB, bodies_in_memory: 1GiB").is_empty());
    let found = limits("bodies_in_memory: 16MiB");
    assert!(
        found[0].contains("limits.bodies_in_memory: less than `limits.body`"),
        "{found:?}"
    );
    for wrong in [
        "calls: 0",
        "connections: many",
        "bodies_in_memory: 1KiB",
        "queue_delay: 5",
    ] {
        assert_eq!(limits(wrong).len(), 1, "{wrong}");
    }
}
