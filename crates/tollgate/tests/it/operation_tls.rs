//! TLS on the listener: both protocols, renewed certificates, and handshakes that never end.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use simulator::Behaviour;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Config, Gate, chat, config, eventually, get, in_time, provider, tollgate};

/// A certificate for `localhost` and its key, as PEM.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Self {
            cert: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// What a client offers, and whom it trusts.
struct Client<'a> {
    trusted: &'a Pair,
    protocols: &'a [&'a str],
    versions: &'a [&'static SupportedProtocolVersion],
    own: Option<&'a Pair>,
}

impl<'a> Client<'a> {
    fn trusting(trusted: &'a Pair) -> Self {
        Self {
            trusted,
            protocols: &["h2", "http/1.1"],
            versions: rustls::ALL_VERSIONS,
            own: None,
        }
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.certificate()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.own {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(vec![own.certificate()], own.private_key())
                .unwrap(),
        };
        config.alpn_protocols = self
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
        in_time("a handshake", connecting).await
    }
}

/// Status of a call over a connection, by the protocol that was agreed.
async fn call_over(stream: TlsStream<TcpStream>, address: SocketAddr) -> (StatusCode, Version) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let request = chat("answer 5 words").into_request(address);
    let answer = async {
        if is_http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::select! {
                answer = sender.send_request(request) => answer,
                ended = connection => panic!("{ended:?}"),
            }
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::select! {
                answer = sender.send_request(request) => answer,
                ended = connection => panic!("{ended:?}"),
            }
        }
    };
    let answer = in_time("an answer", Box::pin(answer)).await.unwrap();
    (answer.status(), answer.version())
}

/// A folder with `tls.crt` and `tls.key`, and a configuration that names them.
struct Served {
    folder: tempfile::TempDir,
}

impl Served {
    fn new(pair: &Pair) -> Self {
        let served = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        served.write("tls.crt", &pair.cert);
        served.write("tls.key", &pair.key);
        served
    }

    fn write(&self, name: &str, text: &str) {
        // As renewals do: the new file takes the old one's name.
        let next = self.folder.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn of(&self, config: Config) -> Config {
        // One by its path, one as its text.
        let key = format!("${{file:{}}}", self.path("tls.key"));
        config
            .with("/listen/tls/cert", self.path("tls.crt").into())
            .with("/listen/tls/key", key.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_serves_both_protocols_in_both_versions() {
    let region = provider(Behaviour::default()).await;
    let pair = Pair::new();
    let served = Served::new(&pair);
    let gate = Gate::start(served.of(config().backend("east", region.address()))).await;
    let address = gate.door.address;
    let cases: [(&[&str], &'static SupportedProtocolVersion, Version); 4] = [
        (
            &["h2", "http/1.1"],
            &rustls::version::TLS13,
            Version::HTTP_2,
        ),
        (&["http/1.1"], &rustls::version::TLS13, Version::HTTP_11),
        (&["h2"], &rustls::version::TLS12, Version::HTTP_2),
        (&[], &rustls::version::TLS12, Version::HTTP_11),
    ];
    for (protocols, version, spoken) in cases {
        let client = Client {
            protocols,
            versions: &[version],
            ..Client::trusting(&pair)
        };
        let stream = client.connect(address).await.unwrap();
        let agreed = stream.get_ref().1.protocol_version();
        assert_eq!(agreed, Some(version.version));
        assert_eq!(call_over(stream, address).await, (StatusCode::OK, spoken));
    }

    // Whoever forgets the `s` is not served, and is not left waiting.
    assert!(gate.door.try_send(get("/healthz")).await.is_err());
    gate.all_records(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_pair_never() {
    let region = provider(Behaviour::default()).await;
    let (old, new) = (Pair::new(), Pair::new());
    let served = Served::new(&old);
    let gate = Gate::start(served.of(config().backend("east", region.address()))).await;
    let address = gate.door.address;
    let open_since_before = Client::trusting(&old).connect(address).await.unwrap();

    // Half of a renewal, then half a file.
    served.write("tls.crt", &new.cert);
    gate.signal("HUP");
    let place =
        "listen.tls.key: the key does not belong to the certificate in `cert`; name the pair";
    eventually("the refusal with its field and fix", async || {
        let log = gate.log();
        let line = log.lines().find(|line| line.contains(place))?;
        let line = line.split("tollgate.yaml:").nth(1)?;
        line.starts_with(|first: char| first.is_ascii_digit())
            .then_some(())
    })
    .await;
    served.write("tls.crt", &new.cert[..new.cert.len() / 2]);
    gate.signal("HUP");
    eventually("the refusal of half a file", async || {
        let log = gate.log();
        log.contains("listen.tls.cert: a certificate in this PEM text is damaged")
            .then_some(())
    })
    .await;
    let stream = Client::trusting(&old).connect(address).await.unwrap();
    assert_eq!(call_over(stream, address).await.0, StatusCode::OK);

    // The rest of it, found without a signal.
    served.write("tls.crt", &new.cert);
    served.write("tls.key", &new.key);
    eventually("the new certificate", async || {
        Client::trusting(&new).connect(address).await.ok()
    })
    .await;
    assert!(Client::trusting(&old).connect(address).await.is_err());
    assert_eq!(
        call_over(open_since_before, address).await.0,
        StatusCode::OK
    );
    assert!(!gate.log().contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_keep_nobody_waiting_and_end_at_the_header_timeout() {
    let region = provider(Behaviour::default()).await;
    let pair = Pair::new();
    let served = Served::new(&pair);
    let config = served
        .of(config().backend("east", region.address()))
        .with("/limits/header_timeout", "1s".into());
    let gate = Gate::start(config).await;
    let address = gate.door.address;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let stream = Client::trusting(&pair).connect(address).await.unwrap();
    assert_eq!(call_over(stream, address).await.0, StatusCode::OK);
    for mut socket in silent {
        let read = in_time("the end of a silent connection", socket.read(&mut [0; 64])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_ca_lets_in_only_whom_it_signed() {
    let region = provider(Behaviour::default()).await;
    let pair = Pair::new();
    let served = Served::new(&pair);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    served.write("clients.crt", &authority.pem());
    let signed = |by: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        Pair {
            cert: params.signed_by(&key, by).unwrap().pem(),
            key: key.serialize_pem(),
        }
    };
    let (known, unknown) = (signed(&authority), Pair::new());
    let config = served
        .of(config().backend("east", region.address()))
        .with("/listen/tls/client_ca", served.path("clients.crt").into());
    let gate = Gate::start(config).await;
    let address = gate.door.address;
    let reached = async |own: Option<&Pair>| {
        let client = Client {
            own,
            versions: &[&rustls::version::TLS12],
            ..Client::trusting(&pair)
        };
        let stream = client.connect(address).await.ok()?;
        Some(call_over(stream, address).await.0)
    };
    assert_eq!(reached(Some(&known)).await, Some(StatusCode::OK));
    assert_eq!(reached(Some(&unknown)).await, None);
    assert_eq!(reached(None).await, None);
}

#[test]
fn check_looks_into_the_certificates_too() {
    let (one, other) = (Pair::new(), Pair::new());
    let served = Served::new(&one);
    let check = |text: serde_json::Value| {
        let path = served.path("tollgate.yaml");
        std::fs::write(&path, serde_json::to_string_pretty(&text).unwrap()).unwrap();
        let output = tollgate(&["check", &path]);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    };
    let (cert, key) = (served.path("tls.crt"), served.path("tls.key"));
    let tls = json!({ "cert": cert, "key": key });
    let listen = json!({ "address": "127.0.0.1:8443", "tls": tls });
    let whole = json!({ "listen": listen, "admin": { "listen": { "address": "127.0.0.1:8444", "tls": tls } } });
    assert_eq!(
        check(whole.clone()),
        (
            true,
            "ok: 0 subscriptions, 0 products, 0 models, 0 backends; 0 warnings\n".to_owned()
        )
    );

    served.write("tls.key", &other.key);
    let (is_good, text) = check(whole.clone());
    assert!(!is_good);
    for field in ["listen.tls.key: the key", "admin.listen.tls.key: the key"] {
        assert!(text.contains(field), "{text}");
    }
    served.write("tls.key", "no key at all");
    let (_, text) = check(whole.clone());
    assert!(
        text.contains("listen.tls.key: the file is not PEM"),
        "{text}"
    );
    std::fs::remove_file(served.path("tls.key")).unwrap();
    let (_, text) = check(whole);
    assert!(text.contains("listen.tls.key: cannot read"), "{text}");
}
