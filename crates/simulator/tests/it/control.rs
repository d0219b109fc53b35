//! Changing a region while it runs, over HTTP as the demo does.

use serde_json::json;
use simulator::Behaviour;

use crate::client::{ask, chat, get, region, send};

#[tokio::test]
async fn a_region_is_broken_and_healed_while_it_runs() {
    let region = region(Behaviour {
        region: "eastus".to_owned(),
        ..Behaviour::default()
    })
    .await;
    let asked = chat("hi", json!({}));
    let control = async |method, body: &str| {
        send(
            method,
            region.address(),
            "/__simulator/behaviour",
            body,
            &[],
        )
        .await
        .unwrap()
    };
    assert_eq!(
        control("PATCH", r#"{"status":503}"#).await.json()["region"],
        "eastus"
    );
    assert_eq!(ask(&region, &asked).await.status, 503);
    assert_eq!(control("PUT", "{}").await.json()["region"], "simulated");
    assert_eq!(ask(&region, &asked).await.status, 200);
    assert_eq!(control("PUT", r#"{"nonsense":1}"#).await.status, 400);
    assert_eq!(control("GET", "").await.json()["status"], json!(null));
    assert_eq!(control("DELETE", "").await.status, 405);

    let counts = get(region.address(), "/__simulator/counts").await.json();
    assert_eq!(counts["total"]["answers"], json!({ "200": 1, "503": 1 }));
    assert_eq!(counts["calls"].as_array().unwrap().len(), 2);
    assert!(
        get(region.address(), "/__simulator/counts?calls=no")
            .await
            .json()
            .get("calls")
            .is_none()
    );
}

#[tokio::test]
async fn a_stopped_region_refuses_connections() {
    let region = region(Behaviour::default()).await;
    let address = region.address();
    ask(&region, &chat("hi", json!({}))).await;
    region.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
