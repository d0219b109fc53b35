//! What each kind of issuer is asked, to the byte.

use super::*;

#[tokio::test]
async fn the_metadata_service_is_asked_as_documented() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    const START: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com";
    for (assigned, end) in [
        (Assigned::System, ""),
        (Assigned::ClientId("a b".to_owned()), "&client_id=a+b"),
        (Assigned::ObjectId("b".to_owned()), "&object_id=b"),
        (
            Assigned::ResourceId("/subscriptions/x".to_owned()),
            "&msi_res_id=%2Fsubscriptions%2Fx",
        ),
    ] {
        let identity = stage.identity(machine(&issuer, assigned));
        stage.sent(&identity).await.unwrap();
        let asked = issuer.last();
        assert_eq!((asked.method.as_str(), &*asked.body), ("GET", ""));
        assert_eq!(asked.path, format!("{START}{end}"));
        assert_eq!(asked.header("metadata"), "true");
        assert_eq!(asked.header("x-identity-header"), "");
    }
}

#[tokio::test]
async fn the_service_beside_an_app_is_asked_as_documented() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    issuer.answer(200, r#"{"access_token":"t","expires_on":"1790003600","resource":"api://models","token_type":"Bearer"}"#);
    let assigned = Assigned::ResourceId("/subscriptions/x".to_owned());
    let identity = stage.identity(app(&issuer, assigned));
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t");
    // It says when the token ends, not how long it lives.
    assert_eq!(identity.expires_in(stage.clock().now().mono), Some(HOUR));
    let asked = issuer.last();
    assert_eq!(
        (asked.method.as_str(), &*asked.path),
        (
            "GET",
            "/msi/token?api-version=2019-08-01&resource=api%3A%2F%2Fmodels&mi_res_id=%2Fsubscriptions%2Fx"
        )
    );
    assert_eq!(asked.header("x-identity-header"), "header-s3cret");
    assert_eq!(asked.header("metadata"), "");
}

#[tokio::test]
async fn a_platforms_token_is_exchanged_as_its_file_has_it_at_the_time() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first.platform.token\n").unwrap();
    let identity = stage.identity(federated(&issuer, &file));
    stage.sent(&identity).await.unwrap();
    let asked = issuer.last();
    assert_eq!(
        (asked.method.as_str(), &*asked.path),
        ("POST", "/contoso/oauth2/v2.0/token")
    );
    assert_eq!(
        asked.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        asked.body,
        "grant_type=client_credentials&client_id=app&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default\
         &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion=first.platform.token"
    );

    std::fs::write(&file, "second.platform.token\n").unwrap();
    stage.pass(&identity, DUE);
    fetches(&identity, 2).await;
    assert!(
        issuer
            .last()
            .body
            .ends_with("client_assertion=second.platform.token")
    );

    // A file that is gone is a failure like an issuer that is down.
    std::fs::remove_file(&file).unwrap();
    stage.pass(&identity, DUE);
    fetches(&identity, 3).await;
    assert_eq!((issuer.seen().len(), identity.failed_fetches()), (2, 1));
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-2");
}

#[tokio::test]
async fn a_clients_secret_travels_in_the_body_or_in_a_header() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let identity = stage.identity(client(&issuer, SecretMethod::Post));
    stage.sent(&identity).await.unwrap();
    let asked = issuer.last();
    assert_eq!(
        (&*asked.path, &*asked.body, asked.header("authorization")),
        (
            "/token",
            "grant_type=client_credentials&scope=models.use&client_id=an+app&client_secret=client-s3cret%2B%7E",
            ""
        )
    );

    let identity = stage.identity(client(&issuer, SecretMethod::Basic));
    stage.sent(&identity).await.unwrap();
    let asked = issuer.last();
    // `an+app:client-s3cret%2B%7E`
    assert_eq!(
        (&*asked.body, asked.header("authorization")),
        (
            "grant_type=client_credentials&scope=models.use",
            "Basic YW4rYXBwOmNsaWVudC1zM2NyZXQlMkIlN0U="
        )
    );
}
