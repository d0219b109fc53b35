//! Lines of the price book, as they are written in the configuration.

use std::sync::Arc;

use domain::price::book::{Entry, ExchangeRate, Term};
use domain::price::{LongContext, RateCard, Rates, TierRates};
use domain::{Currency, ModelName, ServiceTier, Wall};
use jiff::tz::TimeZone;

use super::is_twice;
use crate::file::price::{
    Price, Provisioned as ProvisionedFields, RateFields, ScopedPrice, TierFields,
};
use crate::file::{File, backend, model};
use crate::problem::{Place, Problems};
use crate::read::{List, Placed, Reference, When};
use crate::snapshot::Provisioned;

pub(super) struct Entries<'p> {
    problems: &'p mut Problems,
    zone: TimeZone,
    currency: Currency,
}

/// One entry before it is known whether another of its scope says the same.
struct Line<'f> {
    field: String,
    place: Place,
    models: Option<Vec<ModelName>>,
    price: &'f Price,
}

impl<'p> Entries<'p> {
    pub fn new(file: &File, problems: &'p mut Problems) -> Self {
        Self {
            problems,
            zone: file.time_zone.clone(),
            currency: file.currency,
        }
    }

    pub fn exchange_rates(&mut self, file: &File) -> Vec<ExchangeRate> {
        let mut rates: Vec<ExchangeRate> = Vec::new();
        for (index, section) in file.exchange_rates.value.items.iter().enumerate() {
            let field = format!("exchange_rates[{index}]");
            let rate = ExchangeRate {
                written: self.problems.at(section.to.place).into(),
                from: section.from,
                to: section.to.value,
                rate: section.rate.0,
                since: section.since.map(|since| since.at(&self.zone)),
            };
            let problem = if rate.from == rate.to {
                "a rate from a currency to itself"
            } else if is_twice(&rate, &rates) {
                "another rate between these currencies has the same date"
            } else {
                if rate.to != self.currency {
                    let problem = format!("nothing is converted to {}", rate.to);
                    let fix = format!("costs are in {}: leave it out", self.currency);
                    self.problems
                        .warning(section.to.place, &field, problem, fix);
                }
                rates.push(rate);
                continue;
            };
            let fix = "leave one out, or give it another `since`";
            self.problems.error(section.to.place, &field, problem, fix);
        }
        rates
    }

    /// `price` and `prices` of a model.
    pub fn of_model(&mut self, model: &model::Model) -> Vec<Entry> {
        let field = format!("models[{}]", model.name.id);
        let line = |field: String, price: &'_ Placed<Price>| (field, price.place);
        let mut lines = Vec::new();
        if let Some(price) = &model.price {
            let (field, place) = line(format!("{field}.price"), price);
            lines.push(Line {
                field,
                place,
                models: None,
                price: &price.value,
            });
        }
        for (index, price) in model.prices.items.iter().enumerate() {
            let (field, place) = line(format!("{field}.prices[{index}]"), price);
            lines.push(Line {
                field,
                place,
                models: None,
                price: &price.value,
            });
        }
        self.entries(lines)
    }

    /// `prices` of any other scope.
    pub fn scoped(&mut self, field: &str, prices: &List<Placed<ScopedPrice>>) -> Vec<Entry> {
        let numbered = prices.items.iter().enumerate();
        let lines = numbered.map(|(index, price)| Line {
            field: format!("{field}[{index}]"),
            place: price.place,
            models: names(price.value.models.as_ref()),
            price: &price.value.price,
        });
        self.entries(lines.collect())
    }

    pub fn provisioned(&mut self, backend: &backend::Backend) -> Vec<(Entry, Provisioned)> {
        let mut all = Vec::new();
        for (index, section) in backend.provisioned.items.iter().enumerate() {
            let Placed { value, place } = section;
            let ProvisionedFields {
                models,
                amount_per_hour,
                currency,
                since,
                until,
            } = value;
            let field = format!("backends[{}].provisioned[{index}]", backend.id.id);
            let since = since.at(&self.zone);
            let until = self.until(&field, Some(since), until.as_ref());
            let models = names(models.as_ref());
            let entry = Entry {
                origin: field.into(),
                written: self.problems.at(*place).into(),
                models: models.clone(),
                since: Some(since),
                until,
                term: Term::Provisioned,
            };
            let provisioned = Provisioned {
                backend: backend.id.id.clone(),
                models,
                amount_per_hour: amount_per_hour.0,
                currency: currency.unwrap_or(self.currency),
                since,
                until,
            };
            all.push((entry, provisioned));
        }
        all
    }

    fn entries(&mut self, lines: Vec<Line<'_>>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(lines.len());
        for line in lines {
            let (field, place) = (line.field.clone(), line.place);
            let Some(entry) = self.entry(line) else {
                continue;
            };
            let is_percent = |entry: &Entry| matches!(entry.term, Term::Percent(_));
            let same = entries.iter().find(|other| {
                other.since == entry.since
                    && is_percent(other) == is_percent(&entry)
                    && overlap(other.models.as_deref(), entry.models.as_deref())
            });
            if let Some(same) = same {
                let problem = format!("the price at {} has the same date and model", same.written);
                let fix = "leave one out, or give it another `since`";
                self.problems.error(place, &field, problem, fix);
                continue;
            }
            entries.push(entry);
        }
        entries
    }

    fn entry(&mut self, line: Line<'_>) -> Option<Entry> {
        let Line {
            field,
            place,
            models,
            price,
        } = line;
        let since = price.since.map(|since: When| since.at(&self.zone));
        let until = self.until(&field, since, price.until.as_ref());
        let term = self.term(&field, place, price)?;
        Some(Entry {
            written: self.problems.at(place).into(),
            origin: field.into(),
            models,
            since,
            until,
            term,
        })
    }

    fn until(
        &mut self,
        field: &str,
        since: Option<Wall>,
        until: Option<&Placed<When>>,
    ) -> Option<Wall> {
        let Placed { value, place } = until?;
        let until = value.at(&self.zone);
        if since.is_some_and(|since| until <= since) {
            let field = format!("{field}.until");
            let problem = "it ends before it begins";
            self.problems
                .error(*place, &field, problem, "write a later date than `since`");
        }
        Some(until)
    }

    /// Rates or one percentage, never both: whether it is on top of them would be a guess.
    fn term(&mut self, field: &str, place: Place, price: &Price) -> Option<Term> {
        // What could not be read would look as if it were not there.
        if self.problems.has_within(field) {
            return None;
        }
        let card = self.card(field, place, price)?;
        let currency = price.currency.as_ref();
        let (problem, fix) = match (card, &price.discount_percent, &price.mark_up_percent) {
            (Some(card), None, None) => {
                let currency = currency.map_or(self.currency, |currency| currency.value);
                let card = Arc::new(card);
                return Some(Term::Rates { card, currency });
            }
            (None, Some(percent), None) if currency.is_none() => {
                return Some(Term::Percent(percent.value.0));
            }
            (None, None, Some(percent)) if currency.is_none() => {
                return Some(Term::Percent(percent.value.0));
            }
            (None, None, None) => (
                "it says no price",
                "write rates such as `input_per_million`, or a percentage",
            ),
            (None, Some(_), None) | (None, None, Some(_)) => {
                ("a percentage has no currency", "remove `currency`")
            }
            (None, Some(_), Some(_)) => (
                "a discount and a mark-up at once",
                "write them one after the other, as two prices, or work out what they come to",
            ),
            (Some(_), ..) => (
                "rates and a percentage at once",
                "write the rates as they are with the percentage, or two prices",
            ),
        };
        self.problems.error(place, field, problem, fix);
        None
    }

    /// `None`: a problem was reported. `Some(None)`: no rates are written.
    fn card(&mut self, field: &str, place: Place, price: &Price) -> Option<Option<RateCard>> {
        let others = [
            (ServiceTier::Batch, &price.batch),
            (ServiceTier::Priority, &price.priority),
            (ServiceTier::Flex, &price.flex),
        ];
        let has_rates = rates(&price.standard.rates) != Rates::default()
            || !price.standard.long_context.items.is_empty()
            || others.iter().any(|(_, tier)| tier.is_some());
        if !has_rates {
            return Some(None);
        }
        let standard = Some(&price.standard);
        let mut tiers = Vec::new();
        for (tier, fields) in [(ServiceTier::Standard, standard)]
            .into_iter()
            .chain(others.map(|(tier, fields)| (tier, fields.as_ref())))
        {
            let Some(fields) = fields else { continue };
            let field = match tier {
                ServiceTier::Standard => field.to_owned(),
                other => format!("{field}.{}", other.as_str()),
            };
            tiers.push(self.tier(&field, place, tier, fields)?);
        }
        Some(Some(RateCard { tiers }))
    }

    fn tier(
        &mut self,
        field: &str,
        place: Place,
        tier: ServiceTier,
        fields: &TierFields,
    ) -> Option<TierRates> {
        let base = rates(&fields.rates);
        if base.input.is_none() {
            let problem = "no price of prompts";
            self.problems
                .error(place, field, problem, "add `input_per_million`");
            return None;
        }
        let mut steps: Vec<LongContext> = Vec::new();
        for step in &fields.long_context {
            let above_prompt_tokens = step.above_prompt_tokens.0;
            if steps
                .iter()
                .any(|other| other.above_prompt_tokens == above_prompt_tokens)
            {
                let field = format!("{field}.long_context");
                let problem = format!("{above_prompt_tokens} prompt tokens are there twice");
                self.problems.error(place, &field, problem, "remove one");
                return None;
            }
            steps.push(LongContext {
                above_prompt_tokens,
                rates: rates(&step.rates),
            });
        }
        steps.sort_by_key(|step| step.above_prompt_tokens);
        Some(TierRates { tier, base, steps })
    }
}

fn rates(fields: &RateFields) -> Rates {
    let RateFields {
        input_per_million,
        cached_input_per_million,
        cache_write_per_million,
        cache_write_1h_per_million,
        output_per_million,
        reasoning_per_million,
        audio_input_per_million,
        audio_output_per_million,
        per_image,
    } = fields;
    Rates {
        input: input_per_million.map(|rate| rate.0),
        cached_input: cached_input_per_million.map(|rate| rate.0),
        cache_write: cache_write_per_million.map(|rate| rate.0),
        cache_write_1h: cache_write_1h_per_million.map(|rate| rate.0),
        output: output_per_million.map(|rate| rate.0),
        reasoning: reasoning_per_million.map(|rate| rate.0),
        audio_input: audio_input_per_million.map(|rate| rate.0),
        audio_output: audio_output_per_million.map(|rate| rate.0),
        image: per_image.map(|rate| rate.0),
    }
}

fn names(models: Option<&List<Reference<ModelName>>>) -> Option<Vec<ModelName>> {
    Some(models?.items.iter().map(|model| model.id.clone()).collect())
}

/// Whether a model can be meant by both, each as specific as the other.
fn overlap(one: Option<&[ModelName]>, other: Option<&[ModelName]>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.iter().any(|model| other.contains(model)),
        (None, Some(_)) | (Some(_), None) => false,
    }
}
