//! Keys: who may open what was sealed, and how it becomes unreadable for good.
//!
//! A key-encryption key (from a file, the environment or a key service) wraps one root; the root wraps
//! a data key for each subscription, month and person. They live in a file apart from the data, so
//! that a copy of the database is unreadable without it, and what is overwritten here is gone there.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Wall;

use crate::AuditError;
use crate::seal::{KEY_BYTES, SealingKey};

mod file;
mod loaded;
mod ring;
mod slot;

pub(crate) use ring::{DataKey, Exclusive, Found, Keyring, Lent, Witness};

/// A data key's name: drawn at random, and all that a record says of the person behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where the key file is, and what opens it.
#[derive(Debug)]
pub struct Keys {
    /// Of the key file `keys.tgk`. Not within the store's directory: a backup of the one must not
    /// hold the other.
    pub dir: PathBuf,
    /// What a new key file, and one that is rotated, is wrapped with.
    pub current: Kek,
    /// What an older key file may still be wrapped with.
    pub previous: Vec<Kek>,
}

/// A key-encryption key, by an id that says which it is when there are several.
pub enum Kek {
    /// From a file or the environment.
    Local { id: String, key: [u8; KEY_BYTES] },
    /// In a key service, which it never leaves.
    Remote(Box<dyn Kms>),
}

/// A key service, such as Vault's transit engine or Azure Key Vault. Asked when a store is opened,
/// made or rotated, never by a call.
pub trait Kms: fmt::Debug + Send + Sync {
    /// The same for as long as the service can unwrap what it wrapped.
    fn id(&self) -> &str;
    fn wrap(&self, root: &[u8]) -> Result<Vec<u8>, String>;
    fn unwrap(&self, wrapped: &[u8]) -> Result<Vec<u8>, String>;
}

const WRAPPED_BYTES_MAX: usize = 2_048;
const ROOT_AAD: &[u8] = b"tollgate audit root v1";

impl Kek {
    /// `key` is 32 bytes in base64, as `openssl rand -base64 32` prints them.
    pub fn from_base64(id: &str, key: &str) -> Result<Self, AuditError> {
        let wrong = |found: String| {
            AuditError::Keys(format!(
                "the key-encryption key `{id}` must be 32 bytes in base64, {found}; make one with `openssl rand -base64 32`"
            ))
        };
        let bytes = STANDARD
            .decode(key.trim())
            .map_err(|_| wrong("but is not base64".to_owned()))?;
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| wrong(format!("but has {}", bytes.len())))?;
        Ok(Self::Local {
            id: id.to_owned(),
            key,
        })
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Local { id, .. } => id,
            Self::Remote(kms) => kms.id(),
        }
    }

    fn wrap(&self, root: &[u8; KEY_BYTES]) -> Result<Vec<u8>, AuditError> {
        let wrapped = match self {
            Self::Local { key, .. } => {
                let mut wrapped = root.to_vec();
                SealingKey::new(key)?.seal(&mut wrapped, 0, ROOT_AAD)?;
                wrapped
            }
            Self::Remote(kms) => kms
                .wrap(root)
                .map_err(|fault| self.faulty("wrap", &fault))?,
        };
        if wrapped.len() > WRAPPED_BYTES_MAX {
            return Err(self.faulty("wrap", "its answer is longer than 2 KiB"));
        }
        Ok(wrapped)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<[u8; KEY_BYTES], AuditError> {
        let root = match self {
            Self::Local { key, .. } => {
                let mut wrapped = wrapped.to_vec();
                let opened = SealingKey::new(key)?;
                let root = opened.open(&mut wrapped, ROOT_AAD).ok_or_else(|| {
                    self.faulty(
                        "unwrap",
                        "this is not the key that the file was wrapped with",
                    )
                })?;
                root.to_vec()
            }
            Self::Remote(kms) => kms
                .unwrap(wrapped)
                .map_err(|fault| self.faulty("unwrap", &fault))?,
        };
        <[u8; KEY_BYTES]>::try_from(root.as_slice())
            .map_err(|_| self.faulty("unwrap", "its answer is not 32 bytes long"))
    }

    fn faulty(&self, what: &str, fault: &str) -> AuditError {
        AuditError::Keys(format!(
            "the key-encryption key `{}` cannot {what} the audit log's root key: {fault}",
            self.id()
        ))
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({})", self.id())
    }
}

/// Year and month in UTC, as 202611. Months only part keys, so no time zone matters here.
pub(crate) fn month(at: Wall) -> u32 {
    // Civil date of a day's number, in years that start in March: then February's length does not
    // matter before the end of the year.
    let days = at.0.div_euclid(86_400_000).clamp(-700_000, 2_900_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    u32::try_from(year * 100 + month).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_and_ends_at_midnight_utc() {
        let at = |seconds: i64| month(Wall(seconds * 1000));
        assert_eq!(at(0), 197_001);
        assert_eq!(at(1_795_305_600), 202_611);
        // 2024-02-29T23:59:59Z and one second later.
        assert_eq!((at(1_709_251_199), at(1_709_251_200)), (202_402, 202_403));
        // 2026-12-31T23:59:59Z and one second later.
        assert_eq!((at(1_798_761_599), at(1_798_761_600)), (202_612, 202_701));
        assert_eq!(month(Wall(i64::MAX)), month(Wall(i64::MAX - 1)));
        assert!(month(Wall(i64::MIN)) < 197_001);
    }

    #[test]
    fn a_key_of_another_length_is_refused_with_what_to_do() {
        let error = Kek::from_base64("k1", "c2hvcnQ=").unwrap_err().to_string();
        assert!(
            error.contains("`k1` must be 32 bytes in base64, but has 5"),
            "{error}"
        );
        assert!(error.contains("openssl rand -base64 32"), "{error}");
        assert!(Kek::from_base64("k1", "!").is_err());
    }

    #[test]
    fn a_root_is_unwrapped_by_its_own_key_only() {
        let kek = |id: &str, byte| Kek::Local {
            id: id.to_owned(),
            key: [byte; KEY_BYTES],
        };
        let wrapped = kek("a", 1).wrap(&[9; KEY_BYTES]).unwrap();
        assert_eq!(kek("a", 1).unwrap(&wrapped).unwrap(), [9; KEY_BYTES]);
        let error = kek("b", 2).unwrap(&wrapped).unwrap_err().to_string();
        assert!(error.contains("`b` cannot unwrap"), "{error}");
    }
}
