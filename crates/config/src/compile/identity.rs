//! Token issuers.

use std::sync::Arc;

use crate::expression::Expression;
use crate::file::identity;
use crate::problem::Problems;
use crate::read::{Cel, Placed};
use crate::snapshot::{Algorithm, Issuer, RequiredClaim};

const EVERY_ALGORITHM: [Algorithm; 9] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

pub(super) fn issuers(
    sections: Vec<identity::Issuer>,
    problems: &mut Problems,
) -> Vec<Arc<Issuer>> {
    let mut issuers = Vec::with_capacity(sections.len());
    for section in sections {
        let identity::Issuer {
            name,
            openid_config,
            issuer,
            audiences:
                Placed {
                    value: audiences,
                    place,
                },
            required_claims,
            subscription,
            application,
            user,
            algorithms,
        } = section;
        let field = format!("identity.jwt[{}]", name.id.0);
        if audiences.items.is_empty() && audiences.is_whole {
            let problem = "no audience: a token made for any other service would be accepted";
            problems.error(
                place,
                &format!("{field}.audiences"),
                problem,
                "name what `aud` must hold",
            );
        }
        let subscription = mapping(&format!("{field}.subscription"), &subscription, problems);
        let application =
            application.map(|cel| mapping(&format!("{field}.application"), &cel, problems));
        let user = user.map(|cel| mapping(&format!("{field}.user"), &cel, problems));
        issuers.push(Arc::new(Issuer {
            name: name.id.0,
            openid_config: openid_config.0,
            issuer: issuer.map(|issuer| issuer.text),
            audiences: audiences
                .items
                .into_iter()
                .map(|audience| audience.text)
                .collect(),
            required_claims: required_claims
                .items
                .into_iter()
                .map(|claim| required_claim(&field, claim, problems))
                .collect(),
            subscription,
            application,
            user,
            algorithms: if algorithms.items.is_empty() {
                EVERY_ALGORITHM.to_vec()
            } else {
                algorithms.items
            },
        }));
    }
    issuers
}

/// The subscription and application are what these find, so they cannot read them.
fn mapping(field: &str, cel: &Cel, problems: &mut Problems) -> Expression {
    if let Some(name) = cel.expression.reads_tenant() {
        let problem = format!("`{name}` is not known before the token is mapped");
        problems.error(
            cel.place,
            field,
            problem,
            "use claims, caller.issuer, caller.subject or request",
        );
    }
    Expression::clone(&cel.expression)
}

fn required_claim(
    field: &str,
    section: identity::RequiredClaim,
    problems: &mut Problems,
) -> RequiredClaim {
    let identity::RequiredClaim {
        name,
        r#match,
        values: Placed {
            value: values,
            place,
        },
    } = section;
    if values.items.is_empty() && values.is_whole {
        let field = format!("{field}.required_claims[{}].values", name.text);
        problems.error(
            place,
            &field,
            "no values: the rule could never be met or always be",
            "name the values",
        );
    }
    RequiredClaim {
        name: name.text,
        matching: r#match,
        values: values.items.into_iter().map(|value| value.text).collect(),
    }
}
