//! Keys of the file and of the registry, by their hash. No problem shows one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::SubscriptionId;

use crate::RegistryKey;
use crate::file::subscription::Keys;
use crate::problem::{Place, Problems};
use crate::read::Declared;
use crate::snapshot::{KeyGrant, KeyHash, KeySlot, Subscription};

pub(super) fn keys(
    written: &[(Declared<SubscriptionId>, Keys)],
    registry: &[RegistryKey],
    subscriptions: &HashMap<SubscriptionId, Arc<Subscription>>,
    problems: &mut Problems,
) -> HashMap<KeyHash, KeyGrant> {
    let mut table = Table {
        grants: HashMap::new(),
        holders: HashMap::new(),
        problems,
    };
    let mut places: HashMap<(&SubscriptionId, KeySlot), Place> = HashMap::new();
    for (subscription, keys) in written {
        let id = &subscription.id;
        for (slot, key) in [
            (KeySlot::Primary, &keys.primary),
            (KeySlot::Secondary, &keys.secondary),
        ] {
            let Some(key) = key else { continue };
            places.insert((id, slot), key.place);
            let holder = Holder {
                place: key.place,
                field: format!("subscriptions[{id}].keys.{slot}"),
                key_id: format!("{id}/{slot}"),
            };
            table.add(key.hash, holder, subscriptions.get(id), None);
        }
    }
    let declared: HashSet<&SubscriptionId> = written
        .iter()
        .map(|(subscription, _)| &subscription.id)
        .collect();
    for key in registry {
        let key_id = shown_id(&key.id);
        let field = format!("keys[{key_id}]");
        if !declared.contains(&key.subscription) {
            let problem = format!(
                "its subscription `{}` is not in the configuration: the key opens nothing",
                key.subscription
            );
            let fix = format!(
                "add the subscription, or run `tollgate keys revoke {}`",
                key.id
            );
            table
                .problems
                .warning(Place::REGISTRY, &field, problem, fix);
            continue;
        }
        if let Some(place) = places.get(&(&key.subscription, key.slot)).copied() {
            let (subscription, slot) = (&key.subscription, key.slot);
            let problem =
                format!("the registry holds a {slot} key of `{subscription}` too: `{key_id}`");
            let fix = format!("remove this one, or run `tollgate keys revoke {}`", key.id);
            table.problems.error(
                place,
                &format!("subscriptions[{subscription}].keys.{slot}"),
                problem,
                fix,
            );
            continue;
        }
        let holder = Holder {
            place: Place::REGISTRY,
            field,
            key_id,
        };
        table.add(
            key.hash,
            holder,
            subscriptions.get(&key.subscription),
            key.application.clone(),
        );
    }
    table.grants
}

struct Table<'p> {
    grants: HashMap<KeyHash, KeyGrant>,
    holders: HashMap<KeyHash, Holder>,
    problems: &'p mut Problems,
}

struct Holder {
    place: Place,
    field: String,
    key_id: String,
}

impl Table<'_> {
    fn add(
        &mut self,
        hash: KeyHash,
        holder: Holder,
        subscription: Option<&Arc<Subscription>>,
        application: Option<domain::ApplicationName>,
    ) {
        if let Some(first) = self.holders.get(&hash) {
            let problem = format!(
                "the same key as `{}` at {}",
                first.key_id,
                self.problems.at(first.place)
            );
            self.problems.error(
                holder.place,
                &holder.field,
                problem,
                "give each its own key",
            );
            return;
        }
        if let Some(subscription) = subscription {
            let grant = KeyGrant {
                subscription: subscription.clone(),
                key_id: holder.key_id.as_str().into(),
                application,
            };
            self.grants.insert(hash, grant);
        }
        self.holders.insert(hash, holder);
    }
}

/// As the key itself begins: `tg_ab12cd`.
fn shown_id(id: &str) -> String {
    if id.starts_with("tg_") {
        id.to_owned()
    } else {
        format!("tg_{id}")
    }
}
