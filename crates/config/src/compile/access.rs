//! Access: tokens that are nobody else's, and owners of something.

use std::collections::HashMap;

use domain::AccessId;
use domain::access::{Grant, Reach, Role};

use crate::file::access as file;
use crate::problem::{Place, Problems};
use crate::read::Placed;
use crate::snapshot::{Access, KeyHash};

pub(super) fn access(written: Vec<file::Access>, problems: &mut Problems) -> Vec<Access> {
    let mut all = Vec::with_capacity(written.len());
    let mut tokens: HashMap<KeyHash, (AccessId, Place)> = HashMap::new();
    for file::Access { id, token, roles } in written {
        let id = id.id;
        let field = format!("access[{id}]");
        if let Some((first, place)) = tokens.get(&token.hash) {
            let problem = format!("the same token as `{first}` at {}", problems.at(*place));
            let fix = "give each person a token of their own";
            problems.error(token.place, &format!("{field}.token"), problem, fix);
        } else {
            tokens.insert(token.hash, (id.clone(), token.place));
        }
        if roles.value.items.is_empty() && roles.value.is_whole {
            let field = format!("{field}.roles");
            problems.error(roles.place, &field, "no role", "write `[{ role: viewer }]`");
        }
        let has = |wanted: Role| {
            let mut roles = roles.value.items.iter();
            roles.any(|grant| grant.role.value == wanted)
        };
        if has(Role::Auditor) && has(Role::Admin) {
            problems.warning(
                roles.place,
                &format!("{field}.roles"),
                "one person reads content and may also erase it",
                "give `auditor` and `admin` to two people",
            );
        }
        let grants = roles.value.items.into_iter();
        all.push(Access {
            grants: grants
                .map(|grant| compile(grant, &format!("{field}.roles"), problems))
                .collect(),
            token: token.hash,
            id,
        });
    }
    all
}

fn compile(grant: file::RoleGrant, field: &str, problems: &mut Problems) -> Grant {
    let file::RoleGrant {
        role: Placed { value: role, place },
        subscriptions,
    } = grant;
    let reach = match subscriptions {
        None => Reach::All,
        Some(Placed { value, place }) => {
            if value.items.is_empty() && value.is_whole {
                let fix = "name some, or leave `subscriptions` out for all";
                problems.error(place, field, "over no subscription", fix);
            }
            Reach::Subscriptions(value.items.into_iter().map(|of| of.id).collect())
        }
    };
    if role == Role::Owner && reach == Reach::All {
        let fix = "add `subscriptions: [ID]`, or write `role: viewer`";
        problems.error(
            place,
            field,
            "an owner of no subscription in particular",
            fix,
        );
    }
    Grant { role, reach }
}
