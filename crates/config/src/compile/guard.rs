//! Guards: names, places, and the rules that a guard goes by.

mod lists;
mod service;

use std::collections::HashMap;
use std::sync::Arc;

use content::redact::{HashKey, Rules};
use domain::Scope;

use self::service::Site;
use super::backend::Backends;
use crate::file::guard::{self, GuardOfOneKind, GuardedContent, HashKeyText, KindActions};
use crate::problem::{Place, Problems};
use crate::read::{List, Placed};
use crate::snapshot::{Guard, GuardKind, Guarded, Guards, OnError, Pii};

/// Each looks at every prompt and answer.
const GUARDS_MAX: usize = 16;

/// The guards of a scope: those written there, else the wider scope's. An empty list is none.
pub(super) fn guards(
    scope: &Scope,
    written: Option<List<GuardOfOneKind>>,
    wider: Option<&Arc<Guards>>,
    backends: &Backends,
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
        let mut site = Site {
            rule: &rule,
            field: &field,
            place,
            backends,
            problems,
        };
        list.extend(guard(section, &mut site));
    }
    (!list.is_empty()).then(|| Arc::new(Guards { list }))
}

fn kind_name(section: &guard::Guard) -> &'static str {
    let guard::Guard {
        name: _,
        pii,
        presidio,
        lists,
        content_safety,
        moderation,
        webhook: _,
    } = section;
    if presidio.is_some() {
        return "presidio";
    }
    match (pii, lists, content_safety, moderation) {
        (Some(_), ..) => "pii",
        (_, Some(_), ..) => "lists",
        (.., Some(_), _) => "content_safety",
        (.., Some(_)) => "moderation",
        (None, None, None, None) => "webhook",
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

/// What follows an error, and the guard if it is one.
type Kind = (OnError, Option<GuardKind>);

fn guard(section: guard::Guard, site: &mut Site<'_>) -> Option<Guard> {
    let guard::Guard {
        name: _,
        pii,
        presidio,
        lists,
        content_safety,
        moderation,
        webhook,
    } = section;
    // That exactly one is written was seen when it was read.
    let (on, (on_error, kind)) = if let Some(Placed { mut value, .. }) = pii {
        let field = format!("{}.pii.where", site.field);
        let on = guarded(value.r#where.take(), &field, site.problems);
        (on, pii_guard(value))
    } else if let Some(Placed { mut value, .. }) = presidio {
        let on = whole(value.r#where.take(), "presidio", site);
        (on, service::presidio(value, site))
    } else if let Some(Placed { mut value, .. }) = lists {
        let on = whole(value.r#where.take(), "lists", site);
        (on, lists::lists(value, site))
    } else if let Some(Placed { mut value, .. }) = content_safety {
        let on = whole(value.r#where.take(), "content_safety", site);
        (on, service::content_safety(value, on, site))
    } else if let Some(Placed { mut value, .. }) = moderation {
        let on = whole(value.r#where.take(), "moderation", site);
        (on, service::moderation(value, site))
    } else {
        let Placed { mut value, .. } = webhook?;
        let on = whole(value.r#where.take(), "webhook", site);
        (on, service::webhook(value, site))
    };
    Some(Guard {
        rule: site.rule.clone(),
        on,
        on_error,
        kind: kind?,
    })
}

fn pii_guard(section: guard::Pii) -> Kind {
    let guard::Pii {
        action,
        kinds: KindActions(kinds),
        r#where: _,
        min_confidence,
        on_error,
        hash_key,
    } = section;
    let hash_key = hash_key.map(|HashKeyText(key)| key);
    let every_kind = content::Kind::ALL.map(|kind| (kind, action));
    let rules = Rules::new(
        every_kind.into_iter().chain(kinds),
        min_confidence,
        hash_key.clone().unwrap_or(HashKey([0; 32])),
    );
    let pii = Pii { rules, hash_key };
    (on_error, Some(GuardKind::Pii(Box::new(pii))))
}

/// Of guards that say of content what it is, and do not edit what records keep of it.
fn whole(
    written: Option<Placed<List<GuardedContent>>>,
    kind: &str,
    site: &mut Site<'_>,
) -> Guarded {
    let field = format!("{}.{kind}.where", site.field);
    let place = written.as_ref().map_or(site.place, |written| written.place);
    let on = guarded(written, &field, site.problems);
    if on.audit {
        let problem = "only `pii` edits what audit records keep";
        let fix = "write prompt, answer or both";
        site.problems.error(place, &field, problem, fix);
    }
    on
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
