//! Identities against a fake issuer on this machine, with a clock that moves when told to.

mod issuer;
mod requests;

use std::path::Path;

use config::snapshot::{
    Assigned, Backend, BackendAuth, ClientCredentials, ClientTls, IdentityService, ManagedIdentity,
    Secret, SecretMethod, Timeouts, TokenSource, WorkloadIdentity,
};
use dialect::Dialect;
use domain::Wall;
use domain::breaker::BreakerRule;
use http::HeaderMap;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::Chance;
use crate::credentials::{Authorisation, Credential, Identities};
use issuer::Issuer;
use url::Url;

const HOUR: Duration = Duration::from_secs(3600);
/// Between the refresh of a token of an hour and its end.
const DUE: Duration = Duration::from_secs(3100);

/// A gateway's side, and what of it a reload keeps.
struct Stage {
    credentials: Credentials,
    known: Identities,
    _stop: DropGuard,
}

impl Stage {
    fn new() -> Self {
        let stop = CancellationToken::new();
        Self {
            credentials: Credentials {
                fetch: Fetch::default(),
                clock: Clock::manual(Wall::from_secs(1_790_000_000)),
                chance: Arc::new(Chance::seeded(7)),
                tasks: TaskTracker::new(),
                stop: stop.clone(),
            },
            known: Identities::new(),
            _stop: stop.drop_guard(),
        }
    }

    fn clock(&self) -> &Clock {
        &self.credentials.clock
    }

    fn credential(&mut self, auth: BackendAuth) -> Credential {
        self.credentials.of(&backend(auth), &mut self.known)
    }

    fn identity(&mut self, source: TokenSource) -> Arc<Identity> {
        match self.credential(BackendAuth::Token(Arc::new(source))) {
            Credential::Token(followed) => followed.identity,
            other => panic!("{other:?}"),
        }
    }

    async fn sent(&self, identity: &Identity) -> Result<String, Missing> {
        let token = identity.token(self.clock()).await?;
        Ok(token.header().to_str().unwrap().to_owned())
    }

    /// Time passes, and the identity's task is told, as its timer would.
    fn pass(&self, identity: &Identity, by: Duration) {
        self.clock().advance(by);
        identity.look();
    }
}

/// Returns when so many fetches have ended.
async fn fetches(identity: &Identity, times: u64) {
    let mut fetches = identity.fetches.subscribe();
    let ended = fetches.wait_for(|fetches| fetches.ended >= times);
    assert_eq!(ended.await.unwrap().ended, times);
}

fn backend(auth: BackendAuth) -> Backend {
    Backend {
        id: "eastus".into(),
        dialect: Dialect::AzureOpenAi,
        url: Url::parse("https://eastus.example.com").unwrap(),
        api_version: None,
        auth,
        tls: ClientTls::default(),
        timeouts: Timeouts::default(),
        catalogue: None,
        breaker: BreakerRule {
            failure_threshold: 0.5,
            min_throughput: 10,
            interval: Duration::from_secs(60),
            trip_duration: Duration::from_secs(30),
            accept_retry_after: true,
        },
    }
}

fn machine(issuer: &Issuer, assigned: Assigned) -> TokenSource {
    TokenSource::ManagedIdentity(ManagedIdentity {
        service: IdentityService::Machine {
            endpoint: issuer.url("/"),
        },
        assigned,
        resource: "https://cognitiveservices.azure.com".to_owned(),
    })
}

fn app(issuer: &Issuer, assigned: Assigned) -> TokenSource {
    TokenSource::ManagedIdentity(ManagedIdentity {
        service: IdentityService::App {
            endpoint: issuer.url("/msi/token"),
            header: Secret::new("header-s3cret"),
        },
        assigned,
        resource: "api://models".to_owned(),
    })
}

fn federated(issuer: &Issuer, token_file: &Path) -> TokenSource {
    TokenSource::WorkloadIdentity(WorkloadIdentity {
        token_url: issuer.url("/contoso/oauth2/v2.0/token"),
        client_id: "app".to_owned(),
        token_file: token_file.to_owned(),
        scope: "https://cognitiveservices.azure.com/.default".to_owned(),
    })
}

fn client(issuer: &Issuer, method: SecretMethod) -> TokenSource {
    TokenSource::ClientCredentials(ClientCredentials {
        token_url: issuer.url("/token"),
        client_id: "an app".to_owned(),
        client_secret: Secret::new("client-s3cret+~"),
        scope: Some("models.use".to_owned()),
        method,
    })
}

#[tokio::test]
async fn a_hundred_first_calls_cause_one_fetch_and_share_one_header() {
    let (issuer, mut stage) = (Issuer::holding().await, Stage::new());
    let identity = stage.identity(machine(&issuer, Assigned::System));
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (identity, clock) = (identity.clone(), stage.clock().clone());
        calls.spawn(async move { identity.token(&clock).await });
    }
    issuer.asked(1).await;
    issuer.release();
    let tokens: Vec<_> = calls
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tokens.len(), 100);
    let bytes = tokens[0].header().clone();
    assert_eq!(bytes, "Bearer t0ken-1");
    for token in &tokens {
        // The very bytes: what a call sends is not built for it.
        let header = token.header().clone();
        assert_eq!(header.as_bytes().as_ptr(), bytes.as_bytes().as_ptr());
    }
    assert_eq!(issuer.seen().len(), 1);
}

#[tokio::test]
async fn a_token_is_refreshed_ahead_while_calls_go_on_with_the_old_one() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let identity = stage.identity(machine(&issuer, Assigned::System));
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-1");
    assert_eq!(identity.expires_in(stage.clock().now().mono), Some(HOUR));

    issuer.hold();
    stage.pass(&identity, DUE);
    issuer.asked(2).await;
    // The issuer has not answered: nobody waits for it.
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-1");
    issuer.release();
    fetches(&identity, 2).await;
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-2");
}

#[tokio::test]
async fn a_token_is_kept_while_its_issuer_is_down_until_it_ends() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let identity = stage.identity(machine(&issuer, Assigned::System));
    stage.sent(&identity).await.unwrap();

    issuer.answer(503, "{}");
    stage.pass(&identity, DUE);
    fetches(&identity, 2).await;
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-1");
    stage.pass(&identity, Duration::from_secs(100));
    fetches(&identity, 3).await;
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-1");
    assert_eq!(identity.failed_fetches(), 2);

    stage.pass(&identity, Duration::from_secs(400));
    fetches(&identity, 4).await;
    // It has ended, and its issuer has just failed: a call does not wait for the next try.
    assert_eq!(stage.sent(&identity).await, Err(Missing));
    assert_eq!(stage.sent(&identity).await, Err(Missing));
    assert_eq!(issuer.seen().len(), 4);
    assert_eq!(
        identity.expires_in(stage.clock().now().mono),
        Some(Duration::ZERO)
    );

    issuer.answer_with_tokens();
    stage.clock().advance(Duration::from_secs(60));
    // The first call after the pause finds the fetch due, and waits for it.
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-5");
}

#[tokio::test]
async fn a_token_that_a_backend_turned_down_is_fetched_anew_once() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let source = machine(&issuer, Assigned::System);
    let credential = stage.credential(BackendAuth::Token(Arc::new(source)));
    let clock = stage.clock().clone();
    let first = credential.authorise(&clock).await.unwrap();
    credential.turned_down(&first, &clock);
    // The next call waits for the next token.
    let second = credential.authorise(&clock).await.unwrap();
    assert_eq!(sent_header(&second), "Bearer t0ken-2");
    // A late answer to the old one says nothing about the new one…
    credential.turned_down(&first, &clock);
    // …and a role that is missing does not cause a fetch a call.
    credential.turned_down(&second, &clock);
    let third = credential.authorise(&clock).await.unwrap();
    assert_eq!(sent_header(&third), "Bearer t0ken-2");
    assert_eq!(issuer.seen().len(), 2);
}

#[tokio::test]
async fn a_token_that_was_turned_down_comes_back_if_there_is_no_other() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let identity = stage.identity(machine(&issuer, Assigned::System));
    let token = identity.token(stage.clock()).await.unwrap();
    issuer.answer(500, "{}");
    identity.turned_down(&token, stage.clock().now().mono);
    assert_eq!(stage.sent(&identity).await.unwrap(), "Bearer t0ken-1");
    assert_eq!(identity.failed_fetches(), 1);
}

#[tokio::test]
async fn a_first_fetch_that_fails_fails_the_calls_that_wait_for_it() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    issuer.answer(400, r#"{"error":"invalid_request"}"#);
    let identity = stage.identity(machine(&issuer, Assigned::System));
    assert_eq!(stage.sent(&identity).await, Err(Missing));
    assert_eq!(identity.expires_in(stage.clock().now().mono), None);
}

#[tokio::test]
async fn an_endless_answer_is_a_failure() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    issuer.answer(200, &" ".repeat(2 * 1024 * 1024));
    let identity = stage.identity(machine(&issuer, Assigned::System));
    assert_eq!(stage.sent(&identity).await, Err(Missing));
}

#[tokio::test]
async fn backends_with_one_identity_share_its_token_and_a_reload_keeps_it() {
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let source = || BackendAuth::Token(Arc::new(machine(&issuer, Assigned::System)));
    let (east, west) = (stage.credential(source()), stage.credential(source()));
    let clock = stage.clock().clone();
    assert_eq!(
        sent_header(&east.authorise(&clock).await.unwrap()),
        "Bearer t0ken-1"
    );
    assert_eq!(
        sent_header(&west.authorise(&clock).await.unwrap()),
        "Bearer t0ken-1"
    );
    assert_eq!((stage.credentials.tasks.len(), issuer.seen().len()), (1, 1));

    // What a reload drops ends its task; the last backend that has it decides.
    stage.known.clear();
    drop(east);
    assert_eq!(
        sent_header(&west.authorise(&clock).await.unwrap()),
        "Bearer t0ken-1"
    );
    drop(west);
    stage.credentials.tasks.close();
    stage.credentials.tasks.wait().await;
}

#[tokio::test]
async fn after_the_task_has_ended_nobody_waits() {
    let (issuer, mut stage) = (Issuer::holding().await, Stage::new());
    let identity = stage.identity(machine(&issuer, Assigned::System));
    issuer.asked(1).await;
    stage.credentials.stop.cancel();
    assert_eq!(stage.sent(&identity).await, Err(Missing));
}

#[tokio::test]
async fn no_secret_is_ever_logged_or_shown() {
    let log = issuer::Log::default();
    let _logging = log.subscribe();
    let (issuer, mut stage) = (Issuer::start().await, Stage::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "platform-s3cret").unwrap();
    let sources = [
        app(&issuer, Assigned::System),
        federated(&issuer, &file),
        client(&issuer, SecretMethod::Post),
        client(&issuer, SecretMethod::Basic),
    ];
    let mut shown = String::new();
    for source in sources {
        let credential = stage.credential(BackendAuth::Token(Arc::new(source)));
        let Credential::Token(followed) = &credential else {
            panic!("{credential:?}");
        };
        issuer.answer_with_tokens();
        let clock = stage.clock().clone();
        let authorisation = credential.authorise(&clock).await.unwrap();
        let mut headers = HeaderMap::new();
        authorisation.add_to(&mut headers);
        shown.push_str(&format!("{credential:?} {authorisation:?} {headers:?}"));
        credential.turned_down(&authorisation, &clock);
        credential.authorise(&clock).await.unwrap();
        // An issuer that quotes what it was sent, in the worst of forms.
        for answer in [
            r#"{"access_token":5,"note":"t0ken client-s3cret platform-s3cret header-s3cret"}"#,
            r#""t0ken client-s3cret""#,
            r#"{"error":"client-s3cret","error_description":"t0ken"}"#,
        ] {
            let status = if answer.contains("error") { 401 } else { 200 };
            issuer.answer(status, answer);
            let ended = followed.identity.fetches.borrow().ended;
            stage.pass(&followed.identity, HOUR);
            fetches(&followed.identity, ended + 1).await;
        }
    }
    for key in [
        BackendAuth::ApiKey(Secret::new("key-s3cret")),
        BackendAuth::Bearer(Secret::new("key-s3cret")),
    ] {
        let credential = stage.credential(key);
        let authorisation = credential.authorise(stage.clock()).await.unwrap();
        shown.push_str(&format!("{credential:?} {authorisation:?}"));
    }
    let log = log.text();
    assert!(
        log.contains("a token for backends was not refreshed")
            && log.contains("turned the token down"),
        "{log}"
    );
    for secret in ["s3cret", "t0ken", "YW4rYXBw"] {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn fixed_keys_are_put_together_once_and_sent_as_each_dialect_wants_them() {
    let mut stage = Stage::new();
    let clock = stage.clock().clone();
    let key = || BackendAuth::ApiKey(Secret::new("k"));
    let azure = stage.credential(key());
    let openai = Backend {
        dialect: Dialect::OpenAi,
        ..backend(key())
    };
    let openai = stage.credentials.of(&openai, &mut stage.known);
    let mut headers = HeaderMap::new();
    for credential in [&azure, &openai, &Credential::None] {
        credential
            .authorise(&clock)
            .await
            .unwrap()
            .add_to(&mut headers);
    }
    assert_eq!(
        (&headers["api-key"], &headers["authorization"]),
        (
            &HeaderValue::from_static("k"),
            &HeaderValue::from_static("Bearer k")
        )
    );
    assert_eq!(headers.len(), 2);
    let (Authorisation::Fixed(_, one), Authorisation::Fixed(_, two)) = (
        azure.authorise(&clock).await.unwrap(),
        azure.authorise(&clock).await.unwrap(),
    ) else {
        panic!("a key");
    };
    assert_eq!(one.as_bytes().as_ptr(), two.as_bytes().as_ptr());
    let unsendable = stage.credential(BackendAuth::Bearer(Secret::new("a\nb")));
    assert_eq!(unsendable.authorise(&clock).await.unwrap_err(), Missing);
}

fn sent_header(authorisation: &Authorisation) -> String {
    let mut headers = HeaderMap::new();
    authorisation.add_to(&mut headers);
    headers["authorization"].to_str().unwrap().to_owned()
}
