//! SCRAM (RFC 5802, RFC 7677): proves a password without sending it, and makes the broker prove
//! that it knows it too.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::messages::shown;
use crate::sasl::ScramHash;

/// Kafka's own limit is 16384. Past this, a hostile broker would keep a processor busy.
const ITERATIONS_MAX: u32 = 100_000;

/// The client's half of one exchange.
pub struct Scram<'a> {
    hash: ScramHash,
    password: &'a str,
    first_bare: String,
    nonce: String,
}

/// What is sent last, and what the broker must answer.
#[derive(Debug)]
pub struct Proof {
    pub text: String,
    server_signature: Vec<u8>,
}

impl<'a> Scram<'a> {
    /// `nonce` is printable, without commas, and fresh.
    pub fn new(hash: ScramHash, username: &str, password: &'a str, nonce: &str) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            password,
            first_bare: format!("n={name},r={nonce}"),
            nonce: nonce.to_owned(),
        }
    }

    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// Answers the broker's challenge; an error says what is wrong with it.
    pub fn prove(&self, server_first: &[u8]) -> Result<Proof, &'static str> {
        const FORM: &str = "its challenge has not the form of SCRAM";
        let server_first = std::str::from_utf8(server_first).map_err(|_| FORM)?;
        let mut fields = server_first.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        let (nonce, salt, iterations) = (
            field("r=").ok_or(FORM)?,
            field("s=").ok_or(FORM)?,
            field("i=").ok_or(FORM)?,
        );
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its nonce does not continue ours");
        }
        let salt = STANDARD.decode(salt).map_err(|_| FORM)?;
        let iterations: NonZeroU32 = iterations.parse().map_err(|_| FORM)?;
        if iterations.get() > ITERATIONS_MAX {
            return Err("it asks for too many iterations");
        }

        let mut salted = vec![0; self.digest().output_len()];
        let password = self.password.as_bytes();
        pbkdf2::derive(self.pbkdf2(), iterations, &salt, password, &mut salted);
        let client_key = self.hmac(&salted, b"Client Key");
        let stored_key = digest::digest(self.digest(), &client_key);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = self.hmac(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = self.hmac(&salted, b"Server Key");
        Ok(Proof {
            text: format!("{without_proof},p={}", STANDARD.encode(proof)),
            server_signature: self.hmac(&server_key, signed.as_bytes()),
        })
    }

    fn hmac(&self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self.hash {
            ScramHash::Sha256 => hmac::HMAC_SHA256,
            ScramHash::Sha512 => hmac::HMAC_SHA512,
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, key), text);
        tag.as_ref().to_vec()
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.hash {
            ScramHash::Sha256 => &digest::SHA256,
            ScramHash::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(&self) -> pbkdf2::Algorithm {
        match self.hash {
            ScramHash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            ScramHash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

impl Proof {
    /// Whether the broker took ours, and knows the password too; an error says what it did not.
    pub fn check(&self, server_final: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(server_final).unwrap_or_default();
        if let Some(reason) = text.strip_prefix("e=") {
            return Err(shown(reason));
        }
        let signature = text
            .split(',')
            .next()
            .and_then(|text| text.strip_prefix("v="))
            .and_then(|text| STANDARD.decode(text).ok());
        let is_right = signature.is_some_and(|signature| {
            constant_time::verify_slices_are_equal(&signature, &self.server_signature).is_ok()
        });
        if is_right {
            return Ok(());
        }
        Err("the broker does not prove that it knows the password".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn scram() -> Scram<'static> {
        Scram::new(ScramHash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_rfc() {
        let scram = scram();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram.prove(SERVER_FIRST).unwrap();
        assert_eq!(
            proof.text,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let answer = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(proof.check(answer), Ok(()));
        for (answer, reason) in [
            (
                &b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="[..],
                "the broker does not prove that it knows the password",
            ),
            (b"", "the broker does not prove that it knows the password"),
            (b"e=invalid-proof", "invalid-proof"),
        ] {
            assert_eq!(proof.check(answer), Err(reason.to_owned()));
        }
    }

    #[test]
    fn a_challenge_that_is_not_for_us_is_refused() {
        for (challenge, reason) in [
            (
                &b"r=other,s=W22Z,i=4096"[..],
                "its nonce does not continue ours",
            ),
            (
                b"r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",
                "its nonce does not continue ours",
            ),
            (
                b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=400000000",
                "it asks for too many iterations",
            ),
            (
                b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0",
                "its challenge has not the form of SCRAM",
            ),
            (b"e=other-error", "its challenge has not the form of SCRAM"),
        ] {
            assert_eq!(scram().prove(challenge).unwrap_err(), reason);
        }
    }

    #[test]
    fn a_name_with_commas_stays_one_field() {
        let scram = Scram::new(ScramHash::Sha512, "a=b,c", "secret", "N");
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=N");
    }
}
