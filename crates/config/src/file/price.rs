//! Prices: the catalogue, what replaces it, and exchange rates.

use domain::{Currency, ModelName};
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::problem::Place;
use crate::read::{
    Amount, Discount, Exchange, Field, List, MarkUp, Placed, Reader, Reference, Text, When, Whole,
    section,
};
use crate::tree::Node;

section! {
    /// Where list prices come from.
    pub struct Prices {
        /// A catalogue file instead of the one that ships with Tollgate. `tollgate prices update`
        /// writes it; the gateway reloads when it changes.
        pub catalogue: Option<CatalogueFile>,
    }
}

/// A catalogue's text, and where it was read.
#[derive(Debug)]
pub(crate) struct CatalogueFile {
    pub path: String,
    pub text: String,
    pub place: Place,
}

impl Field for CatalogueFile {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let path = Text::read(node, reader)?.text;
        match reader.file(&path) {
            Ok(text) => Some(Self {
                path,
                text,
                place: node.place,
            }),
            Err(fault) => {
                let fix = "bring one with `tollgate prices update`, or leave it out to use the catalogue that ships with Tollgate";
                let problem = format!("the catalogue cannot be read: {fault}");
                reader.error(node.place, problem, fix);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

section! {
    /// What a unit of one currency is worth in another.
    pub struct ExchangeRate {
        /// The currency that prices are in.
        pub from: Currency,
        /// The currency that costs are wanted in: the configuration's `currency`.
        pub to: Placed<Currency>,
        /// How many `to` one `from` is worth.
        pub rate: Exchange,
        /// From when on. Without it, ever since.
        pub since: Option<When>,
    }
}

section! {
    /// Rates of one tier, for prompts of one length. What is left out costs as its comment says.
    pub struct RateFields {
        /// Prompt tokens, and what embeddings are made of.
        pub input_per_million: Option<Amount>,
        /// Prompt tokens that the provider had in its cache. Without it, as input.
        pub cached_input_per_million: Option<Amount>,
        /// Prompt tokens that the provider put into its cache for minutes. Without it, as input.
        pub cache_write_per_million: Option<Amount>,
        /// Prompt tokens that the provider put into its cache for an hour. Without it, as for
        /// minutes.
        pub cache_write_1h_per_million: Option<Amount>,
        /// Answer tokens. Without it, answers have no price; embeddings have none.
        pub output_per_million: Option<Amount>,
        /// Answer tokens of reasoning. Without it, as output.
        pub reasoning_per_million: Option<Amount>,
        /// Prompt tokens of audio. Without it, audio has no price.
        pub audio_input_per_million: Option<Amount>,
        /// Answer tokens of audio. Without it, audio has no price.
        pub audio_output_per_million: Option<Amount>,
        /// One image. Without it, images have no price.
        pub per_image: Option<Amount>,
    }
}

section! {
    /// Rates of a whole call, answer included, whose prompt is longer than a threshold.
    pub struct LongContext {
        /// Of all prompt tokens, cached ones too.
        pub above_prompt_tokens: Whole<1, 1_000_000_000>,
        ..rates: RateFields,
    }
}

section! {
    /// Rates of one service tier.
    pub struct TierFields {
        /// Dearer rates of long prompts. What they leave out costs as in shorter ones.
        pub long_context: List<LongContext> = "[]",
        ..rates: RateFields,
    }
}

section! {
    /// A price with a date.
    pub struct Price {
        /// From when on. Without it, ever since.
        pub since: Option<When>,
        /// Until when; not included. Without it, until another takes its place.
        pub until: Option<Placed<When>>,
        /// What the rates are in. Without it, the configuration's `currency`.
        pub currency: Option<Placed<Currency>>,
        /// Instead of rates: this percentage less than prices of this scope and wider ones.
        pub discount_percent: Option<Placed<Discount>>,
        /// Instead of rates: this percentage more than prices of this scope and wider ones.
        pub mark_up_percent: Option<Placed<MarkUp>>,
        /// Rates of calls that the provider served as a batch. Without it, they have no price.
        pub batch: Option<TierFields>,
        /// Rates of calls that the provider served with priority. Without it, they have no price.
        pub priority: Option<TierFields>,
        /// Rates of calls that the provider served when it had room. Without it, they have no price.
        pub flex: Option<TierFields>,
        ..standard: TierFields,
    }
}

section! {
    /// A price of this scope: rates, or a percentage on the prices of wider ones.
    pub struct ScopedPrice {
        /// For which models. Without it, for all that have none of their own here.
        pub models: Option<List<Reference<ModelName>>>,
        ..price: Price,
    }
}

section! {
    /// Throughput that is paid by the hour, whatever is used of it. Calls that it answers cost
    /// nothing more; the hourly amount is a line of its own in reports.
    pub struct Provisioned {
        /// The models that are deployed on it. Without it, all that this backend answers.
        pub models: Option<List<Reference<ModelName>>>,
        /// For all of it together.
        pub amount_per_hour: Amount,
        /// What the amount is in. Without it, the configuration's `currency`.
        pub currency: Option<Currency>,
        /// From when on.
        pub since: When,
        /// Until when; not included. Without it, until further notice.
        pub until: Option<Placed<When>>,
    }
}
