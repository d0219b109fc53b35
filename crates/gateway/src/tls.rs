//! What the listeners show their clients: certificates, read with the configuration and swapped
//! with it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use config::Problem;
use config::snapshot::{ClientTls, PemText, Settings, TlsText};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::fetch::{self, Trust};
use crate::server::Face;

/// Of each listener. A handshake takes what is here when it begins.
#[derive(Debug, Default)]
pub struct Certificates {
    public: ArcSwapOption<Shown>,
    admin: ArcSwapOption<Shown>,
}

/// What a configuration asks to be shown.
#[derive(Debug)]
pub struct Wanted {
    public: Option<Arc<Shown>>,
    admin: Option<Arc<Shown>>,
}

#[derive(Debug)]
struct Shown {
    text: Arc<TlsText>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// All of it or every problem. What did not change stays as it is, with its sessions.
    pub fn read(&self, settings: &Settings) -> Result<Wanted, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut shown = |slot: &ArcSwapOption<Shown>, text: &Option<Arc<TlsText>>| {
            let text = text.as_ref()?;
            if let Some(shown) = slot.load_full().filter(|shown| shown.text == *text) {
                return Some(shown);
            }
            match server_config(text) {
                Ok(config) => Some(Arc::new(Shown {
                    text: text.clone(),
                    config: Arc::new(config),
                })),
                Err(problem) => {
                    problems.push(*problem);
                    None
                }
            }
        };
        let wanted = Wanted {
            public: shown(&self.public, &settings.tls),
            admin: shown(&self.admin, &settings.admin_tls),
        };
        if problems.is_empty() {
            Ok(wanted)
        } else {
            Err(problems)
        }
    }

    pub fn replace(&self, wanted: Wanted) {
        let Wanted { public, admin } = wanted;
        self.public.store(public);
        self.admin.store(admin);
    }

    /// `None` where plain HTTP is spoken.
    pub fn acceptor(&self, face: Face) -> Option<TlsAcceptor> {
        let shown = match face {
            Face::Public => self.public.load(),
            Face::Admin => self.admin.load(),
        };
        shown
            .as_ref()
            .map(|shown| TlsAcceptor::from(shown.config.clone()))
    }
}

/// What is wrong with the certificates and keys that the configuration names: for checks that start
/// no gateway.
pub fn check(settings: &Settings) -> Vec<Problem> {
    Certificates::default()
        .read(settings)
        .err()
        .unwrap_or_default()
}

/// One problem a line.
pub fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn server_config(text: &TlsText) -> Result<ServerConfig, Box<Problem>> {
    let TlsText {
        cert,
        key,
        client_ca,
    } = text;
    let chain = certificates(cert)?;
    let private = private_key(key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| problem(cert, &error.to_string(), "report this as a fault"))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let fix = "name the certificates of those who sign your clients' certificates";
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider)
                    .build()
                    .map_err(|error| problem(pem, &error.to_string(), fix))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => problem(
                key,
                "the key does not belong to the certificate in `cert`",
                "name the pair that was made together; when both files are replaced, the second one completes it",
            ),
            rustls::Error::InvalidCertificate(error) => problem(
                cert,
                &format!("the certificate cannot be used: {error}"),
                "name an X.509 certificate of version 3",
            ),
            error => problem(
                key,
                &format!("the key cannot be used: {error}"),
                "use an ECDSA P-256 or P-384, an Ed25519, or an RSA key of 2048 bits or more",
            ),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
        // Clients resume without state here: the next handshake costs no signature.
        config.ticketer = ticketer;
    }
    Ok(config)
}

/// Why a connection of the gateway's own cannot be secured.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    #[error("{0}")]
    Written(Box<Problem>),
    #[error("TLS cannot be set up")]
    SetUp(#[from] rustls::Error),
}

impl From<Box<Problem>> for ClientTlsError {
    fn from(problem: Box<Problem>) -> Self {
        Self::Written(problem)
    }
}

/// For connections of the gateway's own: whom it trusts there, `others` where that is not written; and
/// the certificate that it shows, with its key.
pub(crate) fn client_config(
    written: &ClientTls,
    others: Trust,
) -> Result<ClientConfig, ClientTlsError> {
    let ClientTls { ca, identity } = written;
    let trust = match ca {
        Some(pem) => Trust::These(roots(pem)?),
        None => others,
    };
    let builder = fetch::trusting(trust)?;
    let Some((cert, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert)?;
    let config = builder.with_client_auth_cert(chain, private_key(key)?);
    config.map_err(|error| {
        let fix = "name the pair that was made together";
        problem(key, &format!("the pair cannot be used: {error}"), fix).into()
    })
}

/// What is wrong with these certificates and keys: only their user can find out.
pub fn written_wrongly<'w>(all: impl Iterator<Item = &'w ClientTls>) -> Vec<Problem> {
    let problem = |written: &ClientTls| match client_config(written, Trust::Public) {
        Err(ClientTlsError::Written(problem)) => Some(*problem),
        // Not a matter of what is written: who connects says so.
        Err(ClientTlsError::SetUp(_)) | Ok(_) => None,
    };
    all.filter(|written| **written != ClientTls::default())
        .filter_map(problem)
        .collect()
}

fn roots(pem: &PemText) -> Result<RootCertStore, Box<Problem>> {
    let fix = "name the certificates of those who sign the other side's certificates";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots
            .add(certificate)
            .map_err(|error| problem(pem, &error.to_string(), fix))?;
    }
    Ok(roots)
}

fn private_key(key: &PemText) -> Result<PrivateKeyDer<'static>, Box<Problem>> {
    PrivateKeyDer::from_pem_slice(key.text.reveal().as_bytes()).map_err(|_| {
        problem(
            key,
            "there is no private key in this PEM text, or it is encrypted",
            "write the key of `cert` as PKCS #8, PKCS #1 or SEC 1, not encrypted",
        )
    })
}

fn certificates(pem: &PemText) -> Result<Vec<CertificateDer<'static>>, Box<Problem>> {
    let fix = "name a file with `-----BEGIN CERTIFICATE-----`, whole to its last line";
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.text.reveal().as_bytes()).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(problem(
            pem,
            "there is no certificate in this PEM text",
            fix,
        )),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(problem(
            pem,
            &format!("a certificate in this PEM text is damaged: {error}"),
            fix,
        )),
    }
}

fn problem(pem: &PemText, problem: &str, fix: &str) -> Box<Problem> {
    Box::new(pem.written.error(problem, fix))
}
