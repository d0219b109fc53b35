//! The log as a whole: what a gateway writes, what people do with it, and what attackers try.

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::record::Outcome;
use domain::{CallId, SubscriptionId, Wall};
use tempfile::TempDir;

use super::*;

mod bounds;
mod crashes;
mod displaced;
mod documented;
mod erasure;
mod following;
mod formats;
mod gathering;
mod governance;
mod handing;
mod indexing;
mod reading;
mod rollback;
mod rotation;
mod sealing;
mod secrecy;
mod tampering;

/// 2026-11-22 12:00 UTC.
const NOON: Wall = Wall(1_795_348_800_000);
const DAY: Duration = Duration::from_secs(86_400);

/// What the third version of the database added, undone.
const BEFORE_THIRD: &str = "
    DROP TABLE rotations;
    ALTER TABLE cursors DROP COLUMN generation;
    ALTER TABLE cursors DROP COLUMN content;
    ALTER TABLE cursors DROP COLUMN missed;
";

/// A store and its keys, side by side in a directory that goes with it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn key_dir(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    fn settings(&self) -> Settings {
        Settings {
            segment_bytes: 64 * 1024,
            // Heads come at the end of a log alone, however its threads take turns.
            head_interval: DAY * 1_000,
            ..Settings::new(self.store(), "eu")
        }
    }

    fn keys(&self) -> Keys {
        keys(&self.key_dir(), "kek-1", &[])
    }

    fn log(&self) -> AuditLog {
        AuditLog::open(self.settings(), self.keys(), NOON).unwrap()
    }

    fn archive(&self) -> Archive {
        Archive::open(self.settings(), self.keys(), NOON).unwrap()
    }

    /// A log of these calls, closed.
    fn written(calls: &[Call]) -> Self {
        let place = Self::new();
        place.write(calls);
        place
    }

    fn write(&self, calls: &[Call]) {
        let log = self.log();
        for call in calls {
            log.append(&call.draft(), call.at()).unwrap();
        }
        log.close(NOON);
    }

    fn report(&self) -> Report {
        self.archive()
            .verify(&Options {
                open: true,
                ..Options::default()
            })
            .unwrap()
    }

    /// What `verify` says, one line for each problem.
    fn problems(&self) -> Vec<String> {
        self.report()
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

fn keys(dir: &Path, current: &str, previous: &[&str]) -> Keys {
    Keys {
        dir: dir.to_owned(),
        current: kek(current),
        previous: previous.iter().map(|id| kek(id)).collect(),
    }
}

fn kek(id: &str) -> Kek {
    let mut key = [7; 32];
    key[..id.len()].copy_from_slice(id.as_bytes());
    Kek::Local {
        id: id.to_owned(),
        key,
    }
}

fn actor() -> Actor {
    Actor {
        by: "petra@example.com".to_owned(),
        role: "auditor".to_owned(),
        reason: "ticket 4711".to_owned(),
    }
}

/// One call of a story.
#[derive(Clone, Debug)]
struct Call {
    number: u32,
    subscription: SubscriptionId,
    user: Option<String>,
    prompt: String,
    answer: String,
    retention_days: u32,
}

impl Call {
    fn new(number: u32, subscription: &str, user: &str, prompt: &str) -> Self {
        Self {
            number,
            subscription: subscription.into(),
            user: (!user.is_empty()).then(|| user.to_owned()),
            prompt: prompt.to_owned(),
            answer: format!("The answer to call {number}."),
            retention_days: 90,
        }
    }

    fn kept_for(self, retention_days: u32) -> Self {
        Self {
            retention_days,
            ..self
        }
    }

    /// A minute apart.
    fn at(&self) -> Wall {
        NOON + Duration::from_secs(60) * self.number
    }

    fn id(&self) -> CallId {
        CallId::new(self.at(), u128::from(self.number))
    }

    fn draft(&self) -> Draft<'_> {
        Draft {
            call: self.id(),
            at: self.at(),
            subscription: &self.subscription,
            product: "standard",
            application: Some("chat-ui"),
            user: self.user.as_deref(),
            caller: "key-1",
            model: "gpt-4o",
            backend: Some("east"),
            outcome: Outcome::Ok,
            status: 200,
            hit: None,
            rule: None,
            prompt_tokens: 12,
            completion_tokens: 34,
            cost: "0.001234 EUR",
            verdicts: "pii:redacted:email=2",
            prompt: Some(self.prompt.as_bytes()),
            answer: Some(self.answer.as_bytes()),
            retention_days: self.retention_days,
            required: true,
        }
    }
}

/// Two teams of two people each, who say what only they say.
fn two_teams() -> Vec<Call> {
    vec![
        Call::new(1, "search", "alice", "Where do blue whales sleep?"),
        Call::new(2, "search", "bob", "Summarise the blue contract."),
        Call::new(3, "sales", "carol", "Write to the customer about whales."),
        Call::new(4, "sales", "alice", "Translate: guten Morgen, Straße."),
        Call::new(5, "search", "alice", "What is a narwhal?"),
    ]
}

fn numbers(page: &Page, calls: &[Call]) -> Vec<u32> {
    page.found
        .iter()
        .map(|found| {
            calls
                .iter()
                .find(|call| call.id() == found.skeleton.call)
                .unwrap()
                .number
        })
        .collect()
}

/// Each with what its content has become.
fn contents(place: &Place, calls: &[Call]) -> Vec<(u32, &'static str)> {
    let mut archive = place.archive();
    calls
        .iter()
        .map(|call| {
            let found = archive
                .show(call.id(), &Scope::All, &actor(), NOON)
                .unwrap();
            let state = match found.map(|found| found.content) {
                Some(State::Here(content)) if content.prompt.as_deref() == call.draft().prompt => {
                    "here"
                }
                Some(State::Here(_)) => "other",
                Some(State::Gone { .. }) => "gone",
                Some(State::Closed) => "closed",
                Some(State::Unreadable) => "unreadable",
                None => "missing",
            };
            (call.number, state)
        })
        .collect()
}

/// Every byte of every file.
fn bytes_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files.extend(bytes_below(&path));
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    files
}

fn holds_text(dir: &Path, text: &str) -> Option<PathBuf> {
    let (text, wide) = (
        text.as_bytes(),
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>(),
    );
    let holds = |bytes: &[u8], part: &[u8]| {
        bytes
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
    };
    bytes_below(dir)
        .into_iter()
        .find(|(_, bytes)| holds(bytes, text) || holds(bytes, &wide))
        .map(|(path, _)| path)
}
