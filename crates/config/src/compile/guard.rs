//! Guards: names, places, and the rules that a guard goes by.

use std::collections::HashMap;
use std::sync::Arc;

use content::Kind;
use content::redact::{HashKey, Rules};
use domain::Scope;

use crate::file::guard::{self, GuardOfOneKind, GuardedContent, HashKeyText, KindActions};
use crate::problem::{Place, Problems};
use crate::read::{List, Placed};
use crate::snapshot::{Guard, GuardKind, Guarded, Guards, Pii};

/// Each looks at every prompt and answer.
const GUARDS_MAX: usize = 16;

/// The guards of a scope: those written there, else the wider scope's. An empty list is none.
pub(super) fn guards(
    scope: &Scope,
    written: Option<List<GuardOfOneKind>>,
    wider: Option<&Arc<Guards>>,
    problems: &mut Problems,
) -> Option<Arc<Guards>> {
    let Some(written) = written else {
        return wider.cloned();
    };
    let mut list = Vec::with_capacity(written.items.len());
    let mut seen: HashMap<String, Place> = HashMap::new();
    for GuardOfOneKind { section, place } in written.items {
        let (name, place) = match &section.name {
            Some(name) => (name.name.to_string(), name.place),
            None => (kind_name(&section).to_owned(), place),
        };
        let field = format!("{}guards[{name}]", field_of(scope));
        if list.len() == GUARDS_MAX {
            let problem = format!("more than {GUARDS_MAX} guards");
            problems.error(place, &field, problem, "leave some out");
            break;
        }
        if let Some(first) = seen.insert(name.clone(), place) {
            let problem = format!(
                "two guards are called `{name}`, the first at {}",
                problems.at(first)
            );
            problems.error(place, &field, problem, "give each its own `name`");
        }
        let rule = format!("{scope}/guard/{name}").into();
        list.extend(guard(rule, section, &field, problems));
    }
    (!list.is_empty()).then(|| Arc::new(Guards { list }))
}

fn kind_name(section: &guard::Guard) -> &'static str {
    let guard::Guard { name: _, pii: _ } = section;
    "pii"
}

fn field_of(scope: &Scope) -> String {
    match scope {
        Scope::Global | Scope::Match(_) => String::new(),
        Scope::Product(id) => format!("products[{id}]."),
        Scope::Subscription(id) => format!("subscriptions[{id}]."),
        Scope::Application(name) => format!("applications[{name}]."),
    }
}

fn guard(
    rule: Arc<str>,
    section: guard::Guard,
    field: &str,
    problems: &mut Problems,
) -> Option<Guard> {
    let guard::Guard { name: _, pii } = section;
    // That one is written was seen when it was read.
    let pii = pii?.value;
    let guard::Pii {
        action,
        kinds: KindActions(kinds),
        r#where,
        min_confidence,
        on_error,
        hash_key,
    } = pii;
    let on = guarded(r#where, &format!("{field}.pii.where"), problems);
    let hash_key = hash_key.map(|HashKeyText(key)| key);
    let every_kind = Kind::ALL.map(|kind| (kind, action));
    let rules = Rules::new(
        every_kind.into_iter().chain(kinds),
        min_confidence,
        hash_key.clone().unwrap_or(HashKey([0; 32])),
    );
    Some(Guard {
        rule,
        on,
        on_error,
        kind: GuardKind::Pii(Box::new(Pii { rules, hash_key })),
    })
}

/// Prompt and answer, unless something else is written.
pub(super) fn guarded(
    written: Option<Placed<List<GuardedContent>>>,
    field: &str,
    problems: &mut Problems,
) -> Guarded {
    let Some(Placed { value, place }) = written else {
        return Guarded {
            prompt: true,
            answer: true,
            audit: false,
        };
    };
    if value.items.is_empty() && value.is_whole {
        let fix = "write [prompt, answer], or leave the guard out";
        problems.error(place, field, "it looks at nothing", fix);
    }
    let has = |content| value.items.contains(&content);
    Guarded {
        prompt: has(GuardedContent::Prompt),
        answer: has(GuardedContent::Answer),
        audit: has(GuardedContent::Audit),
    }
}
