//! Models that are called without a price.

use config::snapshot::AlertCondition;
use domain::Wall;
use domain::limit::Calendar;
use store::alerts::Crossing;
use store::ledger::spend::{Spend, UnpricedModel};

use super::counts::Kind;
use super::facts::Facts;
use super::message::{Message, Severity};
use super::watch::{LookError, Told, Watch};
use super::words;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Watch {
    pub(super) fn look_at_unpriced(
        &mut self,
        facts: &Facts,
        spend: &Spend,
    ) -> Result<(), LookError> {
        for rule in &facts.snapshot.alerting.rules {
            let AlertCondition::Unpriced { every } = &rule.condition else {
                continue;
            };
            let calendar = Calendar {
                period: *every,
                time_zone: facts.snapshot.settings.time_zone.clone(),
            };
            let span = calendar.span_at(facts.now);
            // The hour before too: it may have ended since the last look.
            let since = Wall(facts.now.0 - HOUR_MS).max(span.start);
            for model in spend.unpriced(since)? {
                let crossing = Crossing {
                    rule: rule.name.to_string(),
                    subject: model.model.clone(),
                    period: span.start,
                    mark: "called".to_owned(),
                    kept_until: Wall(span.end.0.saturating_add(DAY_MS)),
                };
                self.raise(facts, &[crossing], &rule.notify, |_| {
                    told(&rule.name, &model, since, facts)
                })?;
            }
        }
        Ok(())
    }
}

fn told(rule: &str, unpriced: &UnpricedModel, since: Wall, facts: &Facts) -> Message {
    let UnpricedModel {
        model,
        calls,
        tokens,
    } = unpriced;
    let zone = &facts.snapshot.settings.time_zone;
    let (calls_told, tokens_told) = (words::thousands(*calls), words::thousands(*tokens));
    let since = words::moment(since, zone);
    let told = Told {
        kind: Kind::ModelUnpriced,
        severity: Severity::Warning,
        resolved: false,
        rule: rule.to_owned(),
        subject: model.clone(),
        title: format!("Model {model} is used without a price"),
        text: format!(
            "{calls_told} calls with {tokens_told} tokens since {since} have no price. They stand on the ledger as unpriced: no report and no budget knows what they cost.\n\
             Give the model a price in the configuration, or bring a newer catalogue; `tollgate prices show {model}` says why there is none."
        ),
    };
    told.into_message()
        .fact("Model", model)
        .fact("Calls", &calls_told)
        .fact("Tokens", &tokens_told)
        .detail("model", model.as_str())
        .detail("calls", *calls)
        .detail("tokens", *tokens)
}
