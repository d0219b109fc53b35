//! A signed head: what the log had come to, said by the holder of its signing key.
//!
//! It stands on the chain, in `heads.log` beside the database, and wherever it is exported to.

use std::fmt::Write as _;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Wall;

use crate::AuditError;
use crate::bytes::{self, Malformed, Reader};

/// Entry `sequence` of this store had this hash at this time. As a line of text:
/// `tollgate-audit-head-v1 STORE SEQUENCE HASH AT SIGNATURE`, hex but for the signature's base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub store: [u8; 16],
    pub sequence: u64,
    pub hash: [u8; 32],
    pub at: Wall,
    /// Ed25519, of the line's bytes before the last space.
    pub signature: [u8; 64],
}

const FORM: &str = "tollgate-audit-head-v1";

impl Head {
    /// What is signed.
    pub(crate) fn message(store: &[u8; 16], sequence: u64, hash: &[u8; 32], at: Wall) -> String {
        format!("{FORM} {} {sequence} {} {}", hex(store), hex(hash), at.0)
    }

    pub fn is_signed_by(&self, public_key: &[u8; 32]) -> bool {
        let message = Self::message(&self.store, self.sequence, &self.hash, self.at);
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(message.as_bytes(), &self.signature)
            .is_ok()
    }

    pub(crate) fn put(&self, header: &mut Vec<u8>) {
        header.extend_from_slice(&self.store);
        bytes::put_u64(header, self.sequence);
        header.extend_from_slice(&self.hash);
        header.extend_from_slice(&self.at.0.to_be_bytes());
        header.extend_from_slice(&self.signature);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            store: reader.array()?,
            sequence: reader.u64()?,
            hash: reader.array()?,
            at: Wall(reader.i64()?),
            signature: reader.array()?,
        })
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = Self::message(&self.store, self.sequence, &self.hash, self.at);
        write!(f, "{message} {}", STANDARD.encode(self.signature))
    }
}

impl FromStr for Head {
    type Err = AuditError;

    fn from_str(line: &str) -> Result<Self, AuditError> {
        let wrong = || {
            AuditError::Invalid(format!(
                "a head is written `{FORM} STORE SEQUENCE HASH AT SIGNATURE`"
            ))
        };
        let parts: Vec<&str> = line.trim().split(' ').collect();
        let [FORM, store, sequence, hash, at, signature] = parts[..] else {
            return Err(wrong());
        };
        let signature = STANDARD.decode(signature).map_err(|_| wrong())?;
        Ok(Self {
            store: unhex(store).ok_or_else(wrong)?,
            sequence: sequence.parse().map_err(|_| wrong())?,
            hash: unhex(hash).ok_or_else(wrong)?,
            at: Wall(at.parse().map_err(|_| wrong())?),
            signature: signature.try_into().map_err(|_| wrong())?,
        })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(digits[0])? << 4 | digit(digits[1])?) as u8;
    }
    Some(bytes)
}
