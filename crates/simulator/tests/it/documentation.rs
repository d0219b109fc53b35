//! The user's page says what the simulator does.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::{Behaviour, Issuer};

use crate::client::{ANY_PORT, ask, chat, post, region, send};

const PAGE: &str = include_str!("../../../../docs/simulator.md");

#[test]
fn every_field_of_a_behaviour_is_documented_and_no_other() {
    let (_, section) = PAGE.split_once("## Behaviour").unwrap();
    let (section, _) = section.split_once("## Counts").unwrap();
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<&str> = rows.collect();
    let fields = serde_json::to_value(Behaviour::default()).unwrap();
    let real: BTreeSet<&str> = fields
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(documented, real);
}

#[test]
fn documented_behaviours_are_read() {
    let blocks: Vec<&str> = PAGE
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        serde_json::from_str::<Behaviour>(block).unwrap();
    }
}

#[tokio::test]
async fn documented_commands_do_what_the_page_says() {
    let bodies: Vec<&str> = PAGE
        .split("-d '")
        .skip(1)
        .filter_map(|rest| rest.split('\'').next())
        .collect();
    let [question, broken, healed, minted] = bodies[..] else {
        panic!("{bodies:?}");
    };
    let region = region(Behaviour::default()).await;
    let answer = post(region.address(), "/v1/chat/completions", question, &[])
        .await
        .unwrap()
        .json();
    assert_eq!(answer["usage"]["completion_tokens"], 12);
    let asked = chat("hi", Value::Object(serde_json::Map::new()));
    for (method, behaviour, status) in [("PATCH", broken, 503), ("PUT", healed, 200)] {
        send(
            method,
            region.address(),
            "/__simulator/behaviour",
            behaviour,
            &[],
        )
        .await
        .unwrap();
        assert_eq!(ask(&region, &asked).await.status, status);
    }
    let issuer = Issuer::start(ANY_PORT).await.unwrap();
    let order = minted.replace("}}", r#"},"algorithm":"EdDSA"}"#);
    assert_eq!(
        post(issuer.address(), "/mint", &order, &[])
            .await
            .unwrap()
            .status,
        200
    );
}
