//! Reads what the operator wrote: files, environment, secrets, and the keys in the registry.
//! `config` makes a snapshot of it; whoever asked for it decides what becomes of the problems.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use config::snapshot::{BudgetRaise, KeyHash, KeySlot};
use config::{Environment, Problem, RegistryKey, Snapshot, Source};
use domain::ApplicationName;
use domain::budget::Raise;
use store::Registry;
use store::registry::{Slot, StoredKey, StoredRaise};

use crate::change::{Seen, Stamp};
use crate::on_disk;

/// A configuration on disk, and how far it was loaded.
#[derive(Debug)]
pub struct Loader {
    path: PathBuf,
    /// Of the last load that succeeded; counts from 1 in each process.
    revision: u64,
    /// Open once the data directory is known.
    registry: Option<Registry>,
    seen: Seen,
}

#[derive(Debug)]
pub struct Loaded {
    pub snapshot: Snapshot,
    pub warnings: Vec<Problem>,
}

#[derive(Debug)]
pub enum LoadFailure {
    /// All of them, warnings too.
    Problems(Vec<Problem>),
    Unreadable(anyhow::Error),
}

impl Loader {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            revision: 0,
            registry: None,
            seen: Seen::default(),
        }
    }

    /// Everything anew, with the registry's keys. On failure the revision stays.
    pub fn load(&mut self) -> Result<Loaded, LoadFailure> {
        // Looked at before it is read: what changes meanwhile is then seen as a change.
        self.seen = Seen::before_a_load(
            config_files(&self.path).unwrap_or_default(),
            self.seen.registry,
        );
        let sources = read_sources(std::slice::from_ref(&self.path))?;
        let secrets = RefCell::new(Vec::new());
        let loaded = self.compile(&sources, &secrets);
        self.seen.add_secrets(secrets.into_inner());
        let loaded = loaded?;
        self.revision += 1;
        Ok(loaded)
    }

    fn compile(&mut self, sources: &[Source], secrets: &Secrets) -> Result<Loaded, LoadFailure> {
        let revision = self.revision + 1;
        let loaded = compile(sources, &[], revision, secrets)?;
        let (keys, raises) = self.registered(&loaded.snapshot.settings.data_dir)?;
        let mut loaded = if keys.is_empty() {
            loaded
        } else {
            compile(sources, &keys, revision, secrets)?
        };
        loaded.snapshot.raise_budgets(&raises);
        Ok(loaded)
    }

    /// Live keys, and raises of budgets.
    fn registered(
        &mut self,
        data_dir: &Path,
    ) -> anyhow::Result<(Vec<RegistryKey>, Vec<BudgetRaise>)> {
        let registry = match &mut self.registry {
            Some(registry) => registry,
            // A data directory that changes later takes a restart, here as everywhere.
            unopened => {
                unopened.insert(Registry::open(data_dir).with_context(|| in_registry(data_dir))?)
            }
        };
        self.seen.registry = registry.revision().with_context(|| in_registry(data_dir))?;
        let stored = registry.keys().with_context(|| in_registry(data_dir))?;
        let raises = registry.raises().with_context(|| in_registry(data_dir))?;
        let live = stored.into_iter().filter(|key| key.revoked_at.is_none());
        Ok((live.map(registry_key).collect(), budget_raises(&raises)))
    }

    /// What is there now; differs from [`Self::seen`] when there is something to load. A registry
    /// that cannot be read keeps what it last said.
    pub fn look(&self) -> Seen {
        let mut seen = self
            .seen
            .again(config_files(&self.path).unwrap_or_default());
        if let Some(Ok(revision)) = self.registry.as_ref().map(Registry::revision) {
            seen.registry = revision;
        }
        seen
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

/// What the files alone say: for commands that need no keys.
pub fn load_files(paths: &[PathBuf]) -> Result<Loaded, LoadFailure> {
    compile(&read_sources(paths)?, &[], 1, &RefCell::default())
}

/// For commands that use names, folders and the time zone, but no secret: a shell that lacks the
/// gateway's environment will do. The problems are the error's text.
pub fn load_without_secrets(path: &Path) -> anyhow::Result<Snapshot> {
    let paths = [path.to_owned()];
    let failure = match load_files(&paths) {
        Ok(loaded) => return Ok(loaded.snapshot),
        Err(failure) => failure,
    };
    let missing = |name: &str| format!("https://{MISSING}/{name}");
    let variables = |name: &str| Some(std::env::var(name).unwrap_or_else(|_| missing(name)));
    let files = |path: &str| Ok(std::fs::read_to_string(path).unwrap_or_else(|_| missing(path)));
    let environment = Environment {
        variables: &variables,
        files: &files,
    };
    match config::load(&read_sources(&paths)?, &environment, &[], 1) {
        Ok((snapshot, _)) if !is_missing(&snapshot.settings.data_dir) => Ok(snapshot),
        Ok(_) | Err(_) => Err(anyhow!("{failure}")),
    }
}

/// Stands in what a secret would be: long enough for a key, and well-formed as a URL.
pub const MISSING: &str = "missing.invalid";

fn is_missing(path: &Path) -> bool {
    path.to_string_lossy().contains(MISSING)
}

type Secrets = RefCell<Vec<(PathBuf, Option<Stamp>)>>;

fn compile(
    sources: &[Source],
    keys: &[RegistryKey],
    revision: u64,
    secrets: &Secrets,
) -> Result<Loaded, LoadFailure> {
    let variables = |name: &str| std::env::var(name).ok();
    let files = |path: &str| {
        let path = PathBuf::from(path);
        secrets.borrow_mut().push((path.clone(), Stamp::of(&path)));
        std::fs::read_to_string(&path).map_err(|error| error.to_string())
    };
    let environment = Environment {
        variables: &variables,
        files: &files,
    };
    let (snapshot, mut warnings) =
        config::load(sources, &environment, keys, revision).map_err(LoadFailure::Problems)?;
    // What only a look into the certificates shows.
    let mut problems = gateway::tls::check(&snapshot.settings);
    problems.extend(gateway::upstream::check(&snapshot));
    problems.extend(gateway::sinks::check(&snapshot));
    problems.extend(gateway::audit::stores::check(&snapshot));
    warnings.extend(on_disk::missing(&snapshot));
    if problems.is_empty() {
        return Ok(Loaded { snapshot, warnings });
    }
    problems.extend(warnings);
    Err(LoadFailure::Problems(problems))
}

fn read_sources(paths: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        for file in config_files(path)? {
            let name = file.display().to_string();
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read `{name}`"))?;
            sources.push(Source { name, text });
        }
    }
    Ok(sources)
}

/// The file itself, or a folder's `*.yaml` and `*.yml` by name. Hidden files are no configuration:
/// Kubernetes mounts keep their versions in such.
fn config_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)
        .with_context(|| format!("cannot read the folder `{}`", path.display()))?
    {
        let file = entry
            .with_context(|| format!("cannot read the folder `{}`", path.display()))?
            .path();
        let hidden = file
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let yaml = file
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!(
            "the folder `{}` has no *.yaml or *.yml file",
            path.display()
        );
    }
    files.sort();
    Ok(files)
}

/// Those that were not cancelled; one that has ended says so by its time.
pub fn budget_raises(stored: &[StoredRaise]) -> Vec<BudgetRaise> {
    stored
        .iter()
        .filter(|raise| raise.cancelled_at.is_none())
        .map(|raise| BudgetRaise {
            budget: raise.budget.clone(),
            currency: raise.currency,
            raise: Raise {
                key: raise.key.as_deref().map(Into::into),
                by: raise.by,
                until: raise.until,
            },
        })
        .collect()
}

fn registry_key(key: StoredKey) -> RegistryKey {
    RegistryKey {
        id: key.id,
        subscription: key.subscription,
        slot: match key.slot {
            Slot::Primary => KeySlot::Primary,
            Slot::Secondary => KeySlot::Secondary,
        },
        hash: KeyHash(key.hash),
        application: key.application.as_deref().map(ApplicationName::from),
    }
}

fn in_registry(data_dir: &Path) -> String {
    format!(
        "the registry in `{}` (data_dir) cannot be used",
        data_dir.display()
    )
}

impl From<anyhow::Error> for LoadFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Display for LoadFailure {
    /// One problem a line, below a line that says what they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "{error:#}"),
            Self::Problems(problems) => {
                f.write_str("the configuration does not load:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_by_name_without_hidden_and_foreign_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["20-teams.yml", "10-base.yaml", ".swap.yaml", "notes.txt"] {
            std::fs::write(dir.path().join(name), "{}").unwrap();
        }
        std::fs::create_dir(dir.path().join("old.yaml")).unwrap();
        let names: Vec<_> = config_files(dir.path()).unwrap();
        assert_eq!(
            names,
            [
                dir.path().join("10-base.yaml"),
                dir.path().join("20-teams.yml")
            ]
        );
    }

    #[test]
    fn a_command_that_needs_no_secret_runs_without_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tollgate.yaml");
        let backend = "backends: [{ id: a, dialect: openai, url: https://a.example, auth: { api_key: \"${env:TOLLGATE_TEST_UNSET}\" } }]";
        std::fs::write(&file, format!("data_dir: ./here\n{backend}\n")).unwrap();
        assert!(load_files(std::slice::from_ref(&file)).is_err());
        assert_eq!(
            load_without_secrets(&file).unwrap().settings.data_dir,
            Path::new("./here")
        );

        std::fs::write(&file, "data_dir: \"${env:TOLLGATE_TEST_UNSET}\"\n").unwrap();
        let error = load_without_secrets(&file).unwrap_err().to_string();
        assert!(error.contains("TOLLGATE_TEST_UNSET"), "{error}");
    }

    #[test]
    fn a_folder_without_configuration_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = config_files(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
    }
}
