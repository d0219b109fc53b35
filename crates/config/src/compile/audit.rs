//! Audit: the rule of each scope, the stores, and that no rule's records live outside its region.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use domain::audit::{Level, Sample};
use domain::{ApplicationName, AuditStoreId, Scope};

use crate::file::audit as file;
use crate::problem::{Place, Problems, Written};
use crate::read::{List, Placed};
use crate::snapshot::{Audit, AuditStore, Kek};

/// Each has a thread, files and keys.
const STORES_MAX: usize = 16;
const DEFAULT: &str = "default";

/// The rule of one scope, and the region that it and narrower ones are bound to.
#[derive(Clone, Debug)]
pub(super) struct Ruled {
    audit: Arc<Audit>,
    region: Option<String>,
}

impl Ruled {
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// `None` where it says that nothing is recorded.
    pub fn recording(self) -> Option<Arc<Audit>> {
        (self.audit.level != Level::None).then_some(self.audit)
    }
}

pub(super) struct Audits {
    stores: Vec<Arc<AuditStore>>,
    /// Of the file: if there are none, the default store is made for the first rule that needs it.
    are_written: bool,
    /// One could not be read, so that it is not known what the others mean.
    is_whole: bool,
    data_dir: PathBuf,
    /// What products are bound to, each with its rule's name: applications are, too.
    regions: Vec<(String, Arc<str>)>,
    /// Rules that require records of callers who name their application themselves.
    required: Vec<Arc<str>>,
}

/// Whoever may choose the narrower scope may go on no record then.
fn relaxes(
    scope: &Scope,
    audit: &Audit,
    required_by: Option<&Arc<str>>,
    place: Place,
    problems: &mut Problems,
) {
    let is_kept = audit.required && audit.level != Level::None;
    let Some(wider) = required_by.filter(|_| !is_kept) else {
        return;
    };
    problems.warning(
        place,
        &format!("{}audit", field_of(scope)),
        format!("calls under it may go unrecorded, although `{wider}` requires records"),
        "write `required: true` here too, with `content: metadata` or `full`, or leave this `audit` out",
    );
}

impl Audits {
    pub fn new(written: List<file::AuditStore>, data_dir: &Path, problems: &mut Problems) -> Self {
        let mut audits = Self {
            stores: Vec::with_capacity(written.items.len()),
            are_written: !written.items.is_empty() || !written.is_whole,
            is_whole: written.is_whole,
            data_dir: data_dir.to_owned(),
            regions: Vec::new(),
            required: Vec::new(),
        };
        let mut folders: HashMap<PathBuf, Place> = HashMap::new();
        for section in written.items {
            let place = section.id.place;
            let field = format!("audit_stores[{}]", section.id.id);
            if audits.stores.len() == STORES_MAX {
                let problem = format!("more than {STORES_MAX} stores");
                problems.error(place, &field, problem, "have products share stores");
                break;
            }
            let region = problems.written(section.region.place, format!("{field}.region"));
            let store = audits.store(section, region);
            for folder in [&store.dir, &store.keys_dir] {
                if let Some(first) = folders.insert(straight(folder), place) {
                    let problem = format!(
                        "`{}` is the folder of another store or of its keys, at {}",
                        folder.display(),
                        problems.at(first)
                    );
                    problems.error(place, &field, problem, "give each a folder of its own");
                }
            }
            check_keys(&store, data_dir, place, &field, problems);
            check_ids(&store, place, &field, problems);
            audits.stores.push(Arc::new(store));
        }
        audits
    }

    fn store(&self, section: file::AuditStore, region_written: Written) -> AuditStore {
        let file::AuditStore {
            id,
            dir,
            region,
            keys,
            content_bytes,
            bytes,
        } = section;
        let file::AuditKeys {
            dir: keys_dir,
            kek,
            previous,
        } = keys;
        let id = id.id;
        let beside = |folder: &str| self.data_dir.join(folder).join(id.as_str());
        AuditStore {
            dir: dir.map_or_else(|| beside("audit"), |path| path.0),
            region: region.text,
            region_written,
            keys_dir: keys_dir.map_or_else(|| beside("audit-keys"), |path| path.0),
            kek: kek.map_or(Kek::Generated, |kek| kek.0),
            previous: previous.items.into_iter().map(|kek| kek.0).collect(),
            content_bytes_max: usize::try_from(content_bytes.0).unwrap_or(usize::MAX),
            bytes_max: bytes.0,
            id,
        }
    }

    /// What a scope says, else what the wider one does.
    pub fn rule(
        &mut self,
        scope: &Scope,
        written: Option<Placed<file::Audit>>,
        wider: Option<&Ruled>,
        problems: &mut Problems,
    ) -> Option<Ruled> {
        let Some(Placed { value, place }) = written else {
            self.remember_region(scope, wider);
            return wider.cloned();
        };
        let bound = wider.and_then(|wider| {
            let region = wider.region.clone()?;
            Some((region, wider.audit.rule.clone()))
        });
        let ruled = self.compile(scope, value, place, bound.as_slice(), problems);
        self.remember_region(scope, ruled.as_ref());
        if let Some(Ruled { audit, .. }) = &ruled {
            let wider = wider.filter(|wider| wider.audit.required);
            relaxes(
                scope,
                audit,
                wider.map(|wider| &wider.audit.rule),
                place,
                problems,
            );
        }
        ruled
    }

    /// A header names the application of calls under this rule.
    pub fn callers_choose(&mut self, ruled: Option<&Ruled>) {
        let required = ruled.filter(|ruled| ruled.audit.required);
        self.required
            .extend(required.map(|ruled| ruled.audit.rule.clone()));
    }

    /// Whoever calls for an application may be bound by any product.
    pub fn of_application(
        &mut self,
        scope: &Scope,
        written: Placed<file::Audit>,
        problems: &mut Problems,
    ) -> Option<(ApplicationName, Arc<Audit>)> {
        let Scope::Application(name) = scope else {
            return None;
        };
        let Placed { value, place } = written;
        let regions = std::mem::take(&mut self.regions);
        let ruled = self.compile(scope, value, place, &regions, problems);
        self.regions = regions;
        let audit = ruled?.audit;
        relaxes(scope, &audit, self.required.first(), place, problems);
        Some((name.clone(), audit))
    }

    fn compile(
        &mut self,
        scope: &Scope,
        section: file::Audit,
        place: Place,
        bound: &[(String, Arc<str>)],
        problems: &mut Problems,
    ) -> Option<Ruled> {
        let file::Audit {
            content,
            retention,
            store,
            required,
            sample,
            when,
            region,
        } = section;
        let field = format!("{}audit", field_of(scope));
        if required.value && sample.value.0 < 1.0 {
            problems.warning(
                required.place,
                &format!("{field}.required"),
                "calls outside of `sample` are not recorded, required or not",
                "leave `sample` out",
            );
        }
        if content == Level::None && required.value {
            problems.warning(
                required.place,
                &format!("{field}.required"),
                "nothing is recorded, required or not",
                "write `content: metadata` or `content: full`",
            );
        }
        if content != Level::None && sample.value.0 <= 0.0 {
            problems.warning(
                sample.place,
                &format!("{field}.sample"),
                "no call is recorded",
                "write `content: none` if that is meant, else leave `sample` out",
            );
        }
        let rule: Arc<str> = format!("{scope}/audit").into();
        let region = region.map(|region| region.text);
        let store_place = store.as_ref().map_or(place, |store| store.place);
        let store = match (content, store) {
            // Nothing will be there.
            (Level::None, store) => store.map_or_else(|| DEFAULT.into(), |store| store.id),
            (_, Some(store)) => store.id,
            (_, None) => self.only_store(place, &field, problems)?,
        };
        let known = self.stores.iter().find(|known| known.id == store);
        if let (Some(known), true) = (known, content != Level::None) {
            let own = region.iter().map(|region| (region, None));
            let wider = bound.iter().map(|(region, rule)| (region, Some(rule)));
            let outside = own
                .chain(wider)
                .find(|(wanted, _)| **wanted != known.region);
            if let Some((wanted, by)) = outside {
                let whose = by.map_or(String::new(), |rule| format!(" by `{rule}`"));
                problems.error(
                    store_place,
                    &format!("{field}.store"),
                    format!(
                        "the store `{}` is in region `{}`, and `{wanted}` is required{whose}",
                        known.id, known.region
                    ),
                    format!("name a store whose `region` is `{wanted}`"),
                );
            }
        }
        let audit = Arc::new(Audit {
            rule,
            level: content,
            retention_days: retention.0,
            store,
            required: required.value,
            sample: Sample::new(sample.value.0),
            when: when.map(|cel| cel.expression),
        });
        let region = region.or_else(|| match bound {
            [(region, _)] => Some(region.clone()),
            _ => None,
        });
        Some(Ruled { audit, region })
    }

    /// What a rule without a store means.
    pub fn only_store(
        &mut self,
        place: Place,
        field: &str,
        problems: &mut Problems,
    ) -> Option<AuditStoreId> {
        if !self.are_written {
            self.are_written = true;
            let store = AuditStore {
                id: DEFAULT.into(),
                dir: self.data_dir.join("audit").join(DEFAULT),
                region: DEFAULT.to_owned(),
                region_written: problems.written(place, field.to_owned()),
                keys_dir: self.data_dir.join("audit-keys").join(DEFAULT),
                kek: Kek::Generated,
                previous: Vec::new(),
                content_bytes_max: 1024 * 1024,
                bytes_max: 256 * 1024 * 1024 * 1024,
            };
            check_keys(&store, &self.data_dir, place, field, problems);
            self.stores.push(Arc::new(store));
        }
        match self.stores.as_slice() {
            [store] if self.is_whole => return Some(store.id.clone()),
            // What the others are called could not be read.
            _ if !self.is_whole => return None,
            _ => {}
        }
        let names: Vec<&str> = self.stores.iter().map(|store| store.id.as_str()).collect();
        problems.error(
            place,
            &format!("{field}.store"),
            "there are several stores, and this names none",
            format!("write one of: {}", names.join(", ")),
        );
        None
    }

    fn remember_region(&mut self, scope: &Scope, ruled: Option<&Ruled>) {
        if let (Scope::Product(_), Some(Ruled { audit, region })) = (scope, ruled)
            && let Some(region) = region
        {
            self.regions.push((region.clone(), audit.rule.clone()));
        }
    }

    pub fn named(&self, id: &AuditStoreId) -> Option<&AuditStore> {
        let store = self.stores.iter().find(|store| store.id == *id);
        store.map(|store| &**store)
    }

    /// Those that products are bound to.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.iter().map(|(region, _)| region.as_str())
    }

    pub fn into_stores(self) -> Vec<Arc<AuditStore>> {
        self.stores
    }
}

/// A backup of the data should not hold what opens it.
/// One spelling of a path, by its words alone: `a/../b` is `b`.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        let is_named = matches!(
            straight.components().next_back(),
            Some(Component::Normal(_))
        );
        match part {
            Component::CurDir => {}
            Component::ParentDir if is_named => {
                straight.pop();
            }
            part => straight.push(part),
        }
    }
    straight
}

fn check_keys(
    store: &AuditStore,
    data_dir: &Path,
    place: Place,
    field: &str,
    problems: &mut Problems,
) {
    let keys_dir = straight(&store.keys_dir);
    if keys_dir.starts_with(straight(&store.dir)) {
        problems.error(
            place,
            &format!("{field}.keys.dir"),
            "within the store's own folder: a backup of the store could be read",
            "name a folder outside of `dir`",
        );
        return;
    }
    let is_beside = keys_dir.starts_with(straight(data_dir));
    if is_beside && store.kek == Kek::Generated {
        problems.warning(
            place,
            field,
            "the keys of audit records are kept in `data_dir`, beside what they open: a copy of the folder can be read",
            "add `keys: { dir, kek: { id, key: \"${env:AUDIT_KEK}\" } }` to the store under `audit_stores`",
        );
    }
}

/// The key file remembers which key wrapped it by the key's id.
fn check_ids(store: &AuditStore, place: Place, field: &str, problems: &mut Problems) {
    let Some(current) = store.kek.id() else {
        return;
    };
    for (at, previous) in store.previous.iter().enumerate() {
        if previous.id() == Some(current) {
            problems.warning(
                place,
                &format!("{field}.keys.previous[{at}]"),
                format!("`{current}` is the id of `kek` too: this key is never tried"),
                "give `kek` a new id if it is a new key, or leave this one out",
            );
        }
    }
}

fn field_of(scope: &Scope) -> String {
    match scope {
        Scope::Global | Scope::Match(_) => String::new(),
        Scope::Product(id) => format!("products[{id}]."),
        Scope::Subscription(id) => format!("subscriptions[{id}]."),
        Scope::Application(name) => format!("applications[{name}]."),
    }
}
