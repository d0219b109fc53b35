//! Backends and judges whose certificates a company signs itself, and which ask for the gateway's.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use simulator::{Behaviour, Simulator};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::scripted::{Answer, Backend};
use crate::stage::{KEY, Stage, chat};

/// A company's own authority, and what it signed.
struct Company {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Company {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// Certificate and key, as PEM.
    fn signed(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.authority).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// TLS in front of a plain server, for those who show a certificate of this company.
    async fn front(&self, plain: SocketAddr) -> Front {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.authority).unwrap();
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![cert.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // Who is not let in, or leaves, is the test's to notice.
                    let Ok(mut secured) = acceptor.accept(socket).await else {
                        return;
                    };
                    let mut behind = TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut secured, &mut behind).await;
                });
            }
        });
        Front {
            url: format!("https://localhost:{port}"),
            _listening: listening,
        }
    }

    /// As the configuration has it.
    fn tls(&self) -> String {
        let (cert, key) = self.signed("gateway");
        json!({ "ca": self.authority.pem(), "cert": cert, "key": key }).to_string()
    }

    fn tls_without_certificate(&self) -> String {
        json!({ "ca": self.authority.pem() }).to_string()
    }
}

/// Listens until it is dropped.
struct Front {
    url: String,
    _listening: JoinSet<()>,
}

fn plain(backend: &Backend) -> SocketAddr {
    let address = backend.address.strip_prefix("http://").unwrap();
    address.parse().unwrap()
}

fn configured(backends: &str, guards: &str) -> Stage {
    Stage::reading(&format!(
        "
backends: [ {backends} ]
models: [ {{ name: gpt-4o, backend: a, max_output_tokens: 1000, tokenizer: o200k }} ]
products: [ {{ id: standard, models: [gpt-4o], guards: {guards} }} ]
subscriptions: [ {{ id: search, product: standard, keys: {{ primary: {KEY} }} }} ]
"
    ))
}

async fn answers(stage: &Stage) -> u16 {
    stage.call(chat()).await.status.as_u16()
}

#[tokio::test]
async fn a_backend_of_a_companys_own_authority_is_reached_by_those_who_name_it_and_are_named() {
    let company = Company::new();
    let model = Backend::answering(Answer::chat()).await;
    let front = company.front(plain(&model)).await;
    let url = &front.url;
    let backend = |tls: &str| {
        let backend =
            format!("{{ id: a, dialect: openai, url: \"{url}\", auth: none, tls: {tls} }}");
        configured(&backend, "[]")
    };
    assert_eq!(answers(&backend(&company.tls())).await, 200);
    let asked = model.requests();
    assert_eq!(answers(&backend("{}")).await, 502);
    assert_eq!(answers(&backend(&Company::new().tls())).await, 502);
    assert_eq!(
        answers(&backend(&company.tls_without_certificate())).await,
        502
    );
    assert_eq!(model.requests(), asked);
}

#[tokio::test]
async fn judges_are_trusted_and_shown_certificates_and_credentials_as_backends_are() {
    let company = Company::new();
    let model = Backend::answering(Answer::chat()).await;
    let hook = Backend::answering(Answer::json(200, json!({"verdict": "pass"}).to_string())).await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let simulated = Simulator::start(any, Behaviour::default(), 7)
        .await
        .unwrap();
    let simulated_front = company.front(simulated.address()).await;
    let hook_front = company.front(plain(&hook)).await;
    let (safety, judge) = (&simulated_front.url, &hook_front.url);
    let address = &model.address;
    let with = |guard: &str, tls: &str| {
        let backends = format!(
            "{{ id: a, dialect: openai, url: \"{address}\", auth: none }},
             {{ id: safety, dialect: azure-content-safety, url: \"{safety}\", tls: {tls} }},
             {{ id: mod, dialect: openai, url: \"{safety}/v1\", tls: {tls} }}"
        );
        configured(&backends, &format!("[ {guard} ]"))
    };
    for guard in [
        "{ content_safety: { backend: safety, timeout: 60s, where: [prompt] } }".to_owned(),
        "{ moderation: { backend: mod, timeout: 60s, where: [prompt] } }".to_owned(),
        format!(
            "{{ presidio: {{ url: \"{safety}\", timeout: 60s, where: [prompt], auth: {{ bearer: analyst }}, tls: TLS }} }}"
        ),
        format!(
            "{{ webhook: {{ url: \"{judge}\", timeout: 60s, where: [prompt], auth: {{ api_key: hook-key }}, tls: TLS }} }}"
        ),
    ] {
        let of = |tls: &str| with(&guard.replace("TLS", tls), tls);
        assert_eq!(answers(&of(&company.tls())).await, 200, "{guard}");
        let stranger = of("{}").call(chat()).await;
        assert_eq!(stranger.status.as_u16(), 503, "{guard}");
        assert!(
            stranger.text().contains("unreachable"),
            "{}",
            stranger.text()
        );
        assert_eq!(
            answers(&of(&company.tls_without_certificate())).await,
            503,
            "{guard}"
        );
    }
    let told = hook.headers("authorization");
    assert_eq!(told, [Some("Bearer hook-key".to_owned())]);
}

#[tokio::test]
async fn a_reload_takes_up_another_authority() {
    let company = Company::new();
    let model = Backend::answering(Answer::chat()).await;
    let front = company.front(plain(&model)).await;
    let url = &front.url;
    let text = |tls: &str| {
        format!(
            "
backends: [ {{ id: a, dialect: openai, url: \"{url}\", auth: none, tls: {tls} }} ]
models: [ {{ name: gpt-4o, backend: a, max_output_tokens: 1000, tokenizer: o200k }} ]
products: [ {{ id: standard, models: [gpt-4o] }} ]
subscriptions: [ {{ id: search, product: standard, keys: {{ primary: {KEY} }} }} ]
"
        )
    };
    let stage = Stage::reading(&text("{}"));
    assert_eq!(answers(&stage).await, 502);
    stage.reload(&text(&company.tls()));
    assert_eq!(answers(&stage).await, 200);
    stage.reload(&text(&Company::new().tls()));
    assert_eq!(answers(&stage).await, 502);
}

#[test]
fn certificates_that_cannot_be_used_are_told_with_their_place() {
    let company = Company::new();
    let (cert, _) = company.signed("gateway");
    let (_, other_key) = company.signed("gateway");
    let tls = json!({ "cert": cert, "key": other_key });
    let text = format!(
        "
backends:
  - {{ id: a, dialect: openai, url: \"https://a.example.com\", auth: none, tls: {tls} }}
models: [ {{ name: gpt-4o, backend: a }} ]
products: [ {{ id: standard, models: [gpt-4o], guards: [ {{ moderation: {{ backend: a }} }} ] }} ]
subscriptions: [ {{ id: search, product: standard, keys: {{ primary: {KEY} }} }} ]
"
    );
    let problems = gateway::upstream::check(&crate::stage::loaded(&text));
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("stage.yaml:3:"), "{told:?}");
    assert!(
        told[0].contains("tls") && told[0].contains("the pair cannot be used"),
        "{told:?}"
    );
}
