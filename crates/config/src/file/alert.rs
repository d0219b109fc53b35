//! `alerts`: what is told beside the thresholds of budgets.

use domain::ChannelId;
use domain::limit::Period;
use schemars::{Schema, SchemaGenerator};

use crate::read::{
    AlertName, BudgetName, Declared, Field, List, Money, Placed, Reader, Reference, Section, Share,
    Span, Step, Whole, section, words,
};
use crate::snapshot::{AlertCondition, Direction, PaceMeasure, PaceSubject};
use crate::tree::Node;

/// A rule, with its condition chosen.
#[derive(Debug)]
pub(crate) struct Alert {
    pub name: Declared<AlertName>,
    pub notify: Placed<List<Reference<ChannelId>>>,
    pub condition: AlertCondition,
}

section! {
    /// A rule: its name, its channels, and one condition.
    pub struct AlertFields {
        /// Names it in messages and lists.
        pub name: Declared<AlertName>,
        /// Where it is sent. Without channels it is only logged and listed.
        pub notify: Placed<List<Reference<ChannelId>>> = "[]",
        /// A budget of a day or longer will not last its period.
        pub forecast: Option<ForecastRule>,
        /// A team or an application suddenly spends more, or less.
        pub pace: Option<Placed<PaceRule>>,
        /// A model without a price is called.
        pub unpriced: Option<UnpricedRule>,
        /// A backend's breaker stays open.
        pub breaker_open: Option<BreakerRule>,
        /// Tokens for backends, or issuers' keys, cannot be fetched.
        pub credential_failure: Option<CredentialRule>,
        /// A sink does not take what it is sent.
        pub sink_trouble: Option<SinkRule>,
        /// The ledger cannot be written.
        pub ledger_fault: Option<LedgerRule>,
        /// An audit store cannot take records, or cannot chain them.
        pub audit_fault: Option<AuditRule>,
    }
}

section! {
    /// Told once for each budget, key and period.
    pub struct ForecastRule {
        /// How likely it must be that the budget is passed before its period ends.
        pub certainty: Share<false> = "0.8",
        /// Only these. Without it, all.
        pub budgets: List<Reference<BudgetName>> = "[]",
    }
}

section! {
    /// An hour is compared with the same hours of earlier days of its kind (working day or weekend).
    /// Told once for each subject and day. One of `min_cost_per_hour` and `min_tokens_per_hour` says
    /// what is measured.
    pub struct PaceRule {
        /// Whose hours.
        pub of: PaceSubject = "subscription",
        /// How many times the usual, or which part of it, at least.
        pub factor: Whole<2, 1_000> = "3",
        /// Which way.
        pub direction: Direction = "faster",
        /// Compare cost; hours that cost less are never told.
        pub min_cost_per_hour: Option<Money>,
        /// Compare tokens; hours with fewer are never told.
        pub min_tokens_per_hour: Option<Whole<1, 1_000_000_000_000>>,
    }
}

section! {
    /// Told once for each model and period.
    pub struct UnpricedRule {
        /// When it is told again.
        pub every: Period = "month",
    }
}

section! {
    /// Told once, and once more when it is over.
    pub struct BreakerRule {
        /// How long it must stay open, probes included.
        pub r#for: Span = "5m",
    }
}

section! {
    /// Told once, and once more when it is over.
    pub struct CredentialRule {
        /// How long fetching must have failed.
        pub r#for: Span = "5m",
    }
}

section! {
    /// Told once, and once more when it is over.
    pub struct SinkRule {
        /// How long its deliveries must have failed, or its oldest record have waited for over a minute.
        pub r#for: Span = "10m",
    }
}

section! {
    /// Told once, and once more when it is over.
    pub struct LedgerRule {
        /// How long writing must have failed.
        pub r#for: Span = "1m",
    }
}

section! {
    /// Told once, and once more when it is over.
    pub struct AuditRule {
        /// How long writing must have failed.
        pub r#for: Span = "1m",
    }
}

words! { PaceSubject, "subject":
    /// Teams.
    "subscription" => PaceSubject::Subscription,
    /// Applications, whichever team they call for.
    "application" => PaceSubject::Application,
}

words! { Direction, "direction":
    /// More than usual; told while the hour runs.
    "faster" => Direction::Faster,
    /// Less than usual; told when the hour is over.
    "slower" => Direction::Slower,
    /// Both.
    "either" => Direction::Either,
}

impl Field for Alert {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems.count();
        let AlertFields {
            name,
            notify,
            forecast,
            pace,
            unpriced,
            breaker_open,
            credential_failure,
            sink_trouble,
            ledger_fault,
            audit_fault,
        } = AlertFields::read(node, reader)?;
        let mut conditions = Vec::new();
        let lasting = |span: Span| span.0;
        if let Some(ForecastRule { certainty, budgets }) = forecast {
            let names = budgets.items.into_iter().map(|budget| budget.id.0);
            conditions.push(AlertCondition::Forecast {
                certainty: certainty.0,
                budgets: names.collect(),
            });
        }
        if let Some(Placed { value, place }) = pace {
            let compiled = reader.within(Step::Field("pace"), |reader| {
                let condition = value.condition();
                if condition.is_none() && reader.problems.count() == before {
                    let problem = "not exactly one measure";
                    let fix = "write one of: min_cost_per_hour, min_tokens_per_hour";
                    reader.error(place, problem, fix);
                }
                condition
            });
            conditions.extend(compiled);
        }
        if let Some(UnpricedRule { every }) = unpriced {
            conditions.push(AlertCondition::Unpriced { every });
        }
        if let Some(rule) = breaker_open {
            let lasting = lasting(rule.r#for);
            conditions.push(AlertCondition::BreakerOpen { lasting });
        }
        if let Some(rule) = credential_failure {
            let lasting = lasting(rule.r#for);
            conditions.push(AlertCondition::CredentialFailure { lasting });
        }
        if let Some(rule) = sink_trouble {
            let lasting = lasting(rule.r#for);
            conditions.push(AlertCondition::SinkTrouble { lasting });
        }
        if let Some(rule) = ledger_fault {
            let lasting = lasting(rule.r#for);
            conditions.push(AlertCondition::LedgerFault { lasting });
        }
        if let Some(rule) = audit_fault {
            let lasting = lasting(rule.r#for);
            conditions.push(AlertCondition::AuditFault { lasting });
        }
        match (conditions.pop(), conditions.is_empty()) {
            (Some(condition), true) => Some(Self {
                name,
                notify,
                condition,
            }),
            // What was meant is reported already.
            (None, _) if reader.problems.count() > before => None,
            (None | Some(_), _) => {
                let mut names = Vec::new();
                AlertFields::names(&mut names);
                let kinds = names.get(2..).unwrap_or_default().join(", ");
                let fix = format!("write one of: {kinds}");
                reader.error(node.place, "not exactly one condition", fix);
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        AlertFields::schema(generator)
    }
}

impl PaceRule {
    fn condition(self) -> Option<AlertCondition> {
        let Self {
            of,
            factor,
            direction,
            min_cost_per_hour,
            min_tokens_per_hour,
        } = self;
        let measure = match (min_cost_per_hour, min_tokens_per_hour) {
            (Some(minimum), None) => PaceMeasure::Cost {
                minimum: minimum.0.0.unsigned_abs(),
            },
            (None, Some(minimum)) => PaceMeasure::Tokens { minimum: minimum.0 },
            (None, None) | (Some(_), Some(_)) => return None,
        };
        Some(AlertCondition::Pace {
            of,
            measure,
            factor: factor.0 as f64,
            direction,
        })
    }
}
