//! What an operator writes, and its compilation to a [`Snapshot`].
//!
//! Pure: text in, snapshot or problems out. Opens no file and reads no clock; whoever calls it has
//! read the files, the environment and the secrets.
//!
//! Text becomes a tree that knows its lines (`tree`), the tree sections (`read`, `file`), sections a
//! snapshot (`compile`). Each step goes on after a problem, so that one run names them all.

pub mod catalogue;
mod compile;
pub mod expression;
mod file;
mod interpolate;
mod keys;
mod plan;
mod problem;
mod read;
mod reference;
mod schema;
pub mod snapshot;
mod tree;

use std::rc::Rc;

use domain::{ApplicationName, SubscriptionId};

pub use compile::price::priced;
pub use expression::{CallContext, Expression, Fault};
pub use keys::key_hash;
pub use plan::{Plan, PlanError};
pub use problem::{Problem, Severity, Written};
pub use reference::reference;
pub use schema::schema;
pub use snapshot::Snapshot;

use crate::file::File;
use crate::problem::{Place, Problems};
use crate::read::{Field, Reader};
use crate::snapshot::{KeyHash, KeySlot};
use crate::tree::Node;

/// One file. A folder is several of them, in the order of their names.
#[derive(Clone, Debug)]
pub struct Source {
    /// As problems shall name it.
    pub name: String,
    pub text: String,
}

/// What `${env:NAME}` and `${file:/path}` stand for.
pub struct Environment<'a> {
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file, or why it cannot be read.
    pub files: &'a dyn Fn(&str) -> Result<String, String>,
}

/// A live key that `tollgate keys` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryKey {
    /// The public part of `tg_<id>_<secret>`, with or without its `tg_`.
    pub id: String,
    pub subscription: SubscriptionId,
    pub slot: KeySlot,
    pub hash: KeyHash,
    /// Set for a key that was made for one application.
    pub application: Option<ApplicationName>,
}

/// The snapshot and its warnings, or every problem at once, warnings among them; in file order.
pub fn load(
    sources: &[Source],
    environment: &Environment<'_>,
    keys: &[RegistryKey],
    revision: u64,
) -> Result<(Snapshot, Vec<Problem>), Vec<Problem>> {
    let mut problems = Problems::of(sources.iter().map(|source| source.name.clone()).collect());
    let (root, every_file_is_read) = tree(sources, &mut problems);
    let mut reader = Reader::new(problems, environment);
    let file = root.and_then(|root| File::read(&root, &mut reader));
    // What others refer to may stand in the file that could not be read.
    if every_file_is_read {
        reader.report_dangling();
    }
    let mut problems = reader.problems;
    let snapshot = file.map(|file| compile::compile(file, keys, revision, &mut problems));
    let problems = problems.into_vec();
    match snapshot {
        Some(snapshot)
            if problems
                .iter()
                .all(|problem| problem.severity == Severity::Warning) =>
        {
            Ok((snapshot, problems))
        }
        _ => Err(problems),
    }
}

/// All files as one tree, and whether each could be read. One of several files may be empty; all of
/// them may not: what looks empty is a file between its truncation and its new text, and loading it
/// would refuse every key until the next look.
fn tree(sources: &[Source], problems: &mut Problems) -> (Option<Rc<Node>>, bool) {
    let (mut root, mut every_file_is_read) = (None, true);
    for (index, source) in sources.iter().enumerate() {
        let file = u32::try_from(index).unwrap_or(u32::MAX);
        let Ok(tree) = tree::parse(file, &source.text, problems) else {
            every_file_is_read = false;
            continue;
        };
        root = Some(match root {
            Some(root) => tree::merge(root, tree, problems),
            None => tree,
        });
    }
    let is_empty = |root: &&Rc<Node>| matches!(root.content, tree::Content::Null);
    if let Some(empty) = root.as_ref().filter(is_empty) {
        let fix = "write at least one section, such as `models`";
        problems.error(empty.place, "", "the configuration is empty", fix);
        return (None, true);
    }
    if root.is_none() && every_file_is_read {
        problems.error(
            Place {
                file: 0,
                line: 0,
                column: 0,
            },
            "",
            "there is no configuration",
            "name a file or a folder with files",
        );
    }
    (root, every_file_is_read)
}

#[cfg(test)]
mod tests;
