//! Claims that an operator requires of a token. Pure.
//!
//! Values are compared whole, each with each: a role `AI.Consumer.Denied` never satisfies
//! `AI.Consumer`, as it does wherever a list is joined and searched.

use config::snapshot::{Match, RequiredClaim};
use serde_json::{Map, Value};

/// The first that does not hold.
pub(super) fn first_missing<'a>(
    required: &'a [RequiredClaim],
    claims: &Map<String, Value>,
) -> Option<&'a RequiredClaim> {
    required.iter().find(|rule| !holds(rule, claims))
}

/// An absent or null claim satisfies nothing. Without `values` the claim only has to be there.
fn holds(rule: &RequiredClaim, claims: &Map<String, Value>) -> bool {
    let Some(claim) = claims.get(&rule.name) else {
        return false;
    };
    if claim.is_null() {
        return false;
    }
    let is_present = |wanted: &String| has_value(&rule.name, claim, wanted);
    match rule.matching {
        Match::All => rule.values.iter().all(is_present),
        Match::Any => rule.values.is_empty() || rule.values.iter().any(is_present),
    }
}

fn has_value(name: &str, claim: &Value, wanted: &str) -> bool {
    match claim {
        // The two claims that OAuth itself writes as a list separated by spaces.
        Value::String(scopes) if matches!(name, "scp" | "scope") => {
            scopes.split(' ').any(|scope| scope == wanted)
        }
        Value::Array(values) => values.iter().any(|value| is_value(value, wanted)),
        single => is_value(single, wanted),
    }
}

fn is_value(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(truth) => wanted == if *truth { "true" } else { "false" },
        Value::Number(number) => number.to_string() == wanted,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requires(name: &str, matching: Match, values: &[&str]) -> RequiredClaim {
        RequiredClaim {
            name: name.into(),
            matching,
            values: values.iter().map(|&value| value.into()).collect(),
        }
    }

    fn permits(rule: &RequiredClaim, claims: &Value) -> bool {
        first_missing(std::slice::from_ref(rule), claims.as_object().unwrap()).is_none()
    }

    #[test]
    fn a_role_that_merely_contains_the_required_one_is_not_it() {
        let rule = requires("roles", Match::Any, &["AI.Consumer"]);
        assert!(permits(&rule, &json!({"roles": ["AI.Consumer"]})));
        assert!(permits(&rule, &json!({"roles": "AI.Consumer"})));
        assert!(!permits(&rule, &json!({"roles": ["AI.Consumer.Denied"]})));
        assert!(!permits(
            &rule,
            &json!({"roles": ["Not.AI.Consumer", "ai.consumer"]})
        ));
        assert!(!permits(&rule, &json!({"roles": "AI.Consumer,AI.Admin"})));
        assert!(!permits(&rule, &json!({"roles": "AI.Admin AI.Consumer"})));
        assert!(!permits(&rule, &json!({"roles": [["AI.Consumer"]]})));
    }

    #[test]
    fn all_means_each_value_and_any_means_one() {
        let all = requires("roles", Match::All, &["a", "b"]);
        assert!(permits(&all, &json!({"roles": ["b", "c", "a"]})));
        assert!(!permits(&all, &json!({"roles": ["a", "c"]})));
        let any = requires("roles", Match::Any, &["a", "b"]);
        assert!(permits(&any, &json!({"roles": ["c", "b"]})));
        assert!(!permits(&any, &json!({"roles": ["c"]})));
        assert!(!permits(&any, &json!({"roles": []})));
    }

    #[test]
    fn scopes_are_split_on_spaces_and_nothing_else_is() {
        let rule = |name| requires(name, Match::All, &["chat.write"]);
        assert!(permits(
            &rule("scp"),
            &json!({"scp": "models.read chat.write"})
        ));
        assert!(permits(&rule("scope"), &json!({"scope": "chat.write"})));
        assert!(permits(
            &rule("scp"),
            &json!({"scp": ["models.read", "chat.write"]})
        ));
        assert!(!permits(&rule("scp"), &json!({"scp": "chat.write.all"})));
        assert!(!permits(
            &rule("scp"),
            &json!({"scp": ["models.read chat.write"]})
        ));
        assert!(!permits(
            &rule("groups"),
            &json!({"groups": "models.read chat.write"})
        ));
    }

    #[test]
    fn numbers_and_booleans_are_compared_as_text() {
        assert!(permits(
            &requires("email_verified", Match::All, &["true"]),
            &json!({"email_verified": true})
        ));
        assert!(!permits(
            &requires("email_verified", Match::All, &["true"]),
            &json!({"email_verified": false})
        ));
        assert!(permits(
            &requires("level", Match::Any, &["3"]),
            &json!({"level": 3})
        ));
        assert!(!permits(
            &requires("level", Match::Any, &["3"]),
            &json!({"level": 33})
        ));
    }

    #[test]
    fn an_absent_claim_satisfies_nothing() {
        for matching in [Match::All, Match::Any] {
            for values in [&["a"][..], &[]] {
                let rule = requires("roles", matching, values);
                assert!(!permits(&rule, &json!({"role": ["a"]})));
                assert!(!permits(&rule, &json!({"roles": null})));
            }
            assert!(permits(
                &requires("roles", matching, &[]),
                &json!({"roles": ["anything"]})
            ));
        }
    }

    #[test]
    fn a_name_with_dots_is_one_name() {
        let rule = requires("realm.role", Match::All, &["a"]);
        assert!(permits(&rule, &json!({"realm.role": "a"})));
        assert!(!permits(&rule, &json!({"realm": {"role": "a"}})));
    }

    #[test]
    fn every_rule_must_hold_and_the_first_that_does_not_is_named() {
        let rules = [
            requires("roles", Match::Any, &["a"]),
            requires("tid", Match::All, &["42"]),
        ];
        let claims = json!({"roles": ["a"], "tid": "43"});
        assert_eq!(
            first_missing(&rules, claims.as_object().unwrap()),
            Some(&rules[1])
        );
    }
}
