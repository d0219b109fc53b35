//! Where the model's file is, and which file it is. Downloads nothing.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Under this name in every folder that is looked into.
pub const FILE_NAME: &str = "all-MiniLM-L6-v2-int8.onnx";

/// The one file that is loaded: weights decide what is near, so another one is another model.
pub const MODEL_BYTES: u64 = 22_928_619;

/// SHA-256 of that file.
const MODEL_SHA256: [u8; 32] = [
    0x81, 0x99, 0xbe, 0x6f, 0x69, 0x9a, 0x39, 0x5f, 0x99, 0xf8, 0x9d, 0xf9, 0x73, 0xf9, 0xdc, 0x52,
    0x85, 0xfb, 0xcf, 0xcd, 0xb2, 0xae, 0x1a, 0x4e, 0x12, 0x01, 0xda, 0xb0, 0x14, 0xf3, 0xd2, 0xa6,
];

/// A model that is there. Whether it is the right file shows when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub model: PathBuf,
}

/// No folder has the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Missing {
    pub looked_in: Vec<PathBuf>,
}

impl fmt::Display for Missing {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "the local model `{FILE_NAME}` is in none of")?;
        for folder in &self.looked_in {
            write!(to, " {}", folder.display())?;
        }
        write!(to, "; fetch it: {}", how_to_fetch(&self.looked_in))
    }
}

/// The command that puts the file where it is looked for.
pub fn how_to_fetch(looked_in: &[PathBuf]) -> String {
    let command = "tollgate cache install-model";
    match looked_in {
        // Only a configured folder is looked into alone.
        [only] => format!("{command} --dir '{}'", only.display()),
        _ => command.to_owned(),
    }
}

/// Whether these are the bytes of that file.
pub fn is_model(bytes: &[u8]) -> bool {
    bytes.len() as u64 == MODEL_BYTES && Sha256::digest(bytes)[..] == MODEL_SHA256
}

/// The file in the first of `folders` that has it.
pub fn find(folders: &[PathBuf]) -> Result<Files, Missing> {
    let found = folders
        .iter()
        .map(|folder| folder.join(FILE_NAME))
        .find(|file| file.is_file());
    match found {
        Some(model) => Ok(Files { model }),
        None => Err(Missing {
            looked_in: folders.to_vec(),
        }),
    }
}

/// Where a person's programs keep what can be fetched again; the arguments are what the environment says
/// of `XDG_CACHE_HOME` and `HOME`.
pub fn user_cache(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let folder = |value: Option<OsString>| {
        // A relative path would mean another folder wherever the program starts.
        value.map(PathBuf::from).filter(|path| path.is_absolute())
    };
    let cache = folder(xdg_cache_home).or_else(|| Some(folder(home)?.join(".cache")))?;
    Some(cache.join(Path::new("tollgate/models")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_the_file_wins() {
        let (empty, first, second) = (folder(), folder(), folder());
        for has in [&first, &second] {
            std::fs::write(has.path().join(FILE_NAME), "").unwrap();
        }
        let folders = [&empty, &first, &second].map(|folder| folder.path().to_owned());
        let files = find(&folders).unwrap();
        assert_eq!(files.model, first.path().join(FILE_NAME));
    }

    #[test]
    fn a_missing_file_names_where_it_was_looked_for_and_what_fetches_it() {
        let empty = folder();
        let configured = empty.path().to_owned();
        let missing = find(std::slice::from_ref(&configured))
            .unwrap_err()
            .to_string();
        assert!(missing.contains(&configured.display().to_string()));
        let fetches = format!(
            "fetch it: tollgate cache install-model --dir '{}'",
            configured.display()
        );
        assert!(missing.ends_with(&fetches), "{missing}");
        let missing = find(&[configured.clone(), configured])
            .unwrap_err()
            .to_string();
        assert!(missing.ends_with("fetch it: tollgate cache install-model"));
    }

    #[test]
    fn the_users_cache_is_an_absolute_folder_or_none() {
        let at = |xdg: &str, home: &str| user_cache(Some(xdg.into()), Some(home.into()));
        assert_eq!(at("/c", "/h"), Some("/c/tollgate/models".into()));
        assert_eq!(at("", "/h"), Some("/h/.cache/tollgate/models".into()));
        assert_eq!(at("here", "there"), None);
        assert_eq!(user_cache(None, None), None);
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }
}
