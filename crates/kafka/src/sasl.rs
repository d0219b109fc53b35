//! Who logs in at a broker, and the exchange that proves it.

use std::fmt;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::connection::Connection;
use crate::error::{Code, Error};
use crate::messages::{
    self, Api, read_sasl_authenticate, read_sasl_handshake, sasl_authenticate, sasl_handshake,
};
use crate::scram::Scram;

/// How to log in.
#[derive(Clone, Debug)]
pub enum Sasl {
    Plain(Login),
    Scram(ScramHash, Login),
    /// RFC 7628.
    OauthBearer(Token),
}

/// Debug prints no password.
#[derive(Clone)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// As it stands behind `Bearer `. Debug prints none of it.
#[derive(Clone)]
pub struct Token(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramHash {
    Sha256,
    Sha512,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?}, ..)", self.username)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Sasl {
    fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain(_) => "PLAIN",
            Self::Scram(ScramHash::Sha256, _) => "SCRAM-SHA-256",
            Self::Scram(ScramHash::Sha512, _) => "SCRAM-SHA-512",
            Self::OauthBearer(_) => "OAUTHBEARER",
        }
    }
}

pub async fn log_in(connection: &mut Connection, sasl: &Sasl) -> Result<(), Error> {
    let broker = connection.broker().to_owned();
    let wanted = sasl.mechanism();
    let answer = connection
        .call(Api::SaslHandshake, &sasl_handshake(wanted))
        .await?;
    let (code, offered) = read_sasl_handshake(&answer).map_err(Error::malformed(&broker))?;
    if code != Code::NONE {
        let offered = messages::shown(&offered.join(", "));
        return Err(Error::Mechanism {
            broker,
            wanted,
            offered,
        });
    }
    match sasl {
        Sasl::Plain(Login { username, password }) => {
            let text = format!("\0{username}\0{password}");
            exchange(connection, text.as_bytes()).await.map(drop)
        }
        Sasl::Scram(hash, Login { username, password }) => {
            let nonce = nonce().ok_or_else(|| refused(connection, "no randomness for a nonce"))?;
            let scram = Scram::new(*hash, username, password, &nonce);
            let challenge = exchange(connection, scram.first().as_bytes()).await?;
            let proof = scram
                .prove(&challenge)
                .map_err(|reason| refused(connection, reason))?;
            let verdict = exchange(connection, proof.text.as_bytes()).await?;
            proof
                .check(&verdict)
                .map_err(|reason| refused(connection, &reason))
        }
        Sasl::OauthBearer(Token(token)) => {
            let text = format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}");
            let answer = exchange(connection, text.as_bytes()).await?;
            if answer.is_empty() {
                return Ok(());
            }
            // A refusal comes as a challenge, which an empty answer ends: RFC 7628, section 3.2.3.
            let reason = messages::shown(&String::from_utf8_lossy(&answer));
            exchange(connection, b"\x01").await?;
            Err(refused(connection, &reason))
        }
    }
}

async fn exchange(connection: &mut Connection, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let answer = connection
        .call(Api::SaslAuthenticate, &sasl_authenticate(bytes))
        .await?;
    let broker = connection.broker();
    let answer = read_sasl_authenticate(&answer).map_err(Error::malformed(broker))?;
    answer.map_err(|reason| refused(connection, &reason))
}

fn refused(connection: &Connection, reason: &str) -> Error {
    Error::Login {
        broker: connection.broker().to_owned(),
        reason: reason.to_owned(),
    }
}

fn nonce() -> Option<String> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
