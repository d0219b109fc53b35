//! Which column says what, in the exports of providers that are known and in any other with a mapping.

mod line;

use std::fmt;

use super::InvoiceError;
use super::mapping::{Header, Mapping, MappingError, Target};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutKind {
    /// Cost Management's exports and usage details, of every kind of account.
    Azure,
    /// The usage export of completions or embeddings: tokens, no money.
    OpenAiUsage,
    /// The cost export: money by line item, tokens only if it has quantities.
    OpenAiCosts,
    Focus,
    /// Whatever the mapping names.
    Mapped,
}

/// Indices into the header.
#[derive(Clone, Debug)]
pub struct Layout {
    kind: LayoutKind,
    header: Vec<String>,
    date: usize,
    item: Vec<usize>,
    token_kind: Option<usize>,
    /// One of these: a number of units and the unit, or tokens by kind.
    quantity: Option<Quantity>,
    input: Option<usize>,
    cached: Option<usize>,
    audio_input: Option<usize>,
    output: Option<usize>,
    audio_output: Option<usize>,
    cost: Option<usize>,
    currency: Option<usize>,
    given_currency: Option<String>,
    /// Names the service that a row is of.
    service: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Quantity {
    column: usize,
    unit: Option<usize>,
}

impl LayoutKind {
    pub const ALL: [Self; 5] = [
        Self::Azure,
        Self::OpenAiUsage,
        Self::OpenAiCosts,
        Self::Focus,
        Self::Mapped,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::OpenAiUsage => "openai-usage",
            Self::OpenAiCosts => "openai-costs",
            Self::Focus => "focus",
            Self::Mapped => "mapped",
        }
    }

    /// By columns that only this layout has.
    fn of_header(header: &Header<'_>) -> Option<Self> {
        let has = |names: &[&str]| names.iter().all(|name| header.find(&[name]).is_some());
        if has(&["ChargePeriodStart", "BilledCost"]) {
            return Some(Self::Focus);
        }
        if has(&["num_model_requests", "input_tokens"]) {
            return Some(Self::OpenAiUsage);
        }
        if has(&["line_item"]) && header.find(&AMOUNT).is_some() {
            return Some(Self::OpenAiCosts);
        }
        if has(&["MeterName"]) && header.find(&AZURE_COST).is_some() {
            return Some(Self::Azure);
        }
        None
    }
}

const AMOUNT: [&str; 3] = ["amount_value", "amount", "cost"];

/// The billing currency's cost first; the accounts' kinds differ in what they have.
const AZURE_COST: [&str; 5] = [
    "CostInBillingCurrency",
    "PreTaxCostInBillingCurrency",
    "ExtendedCost",
    "PreTaxCost",
    "Cost",
];

impl Layout {
    pub fn of(
        names: &[String],
        kind: Option<LayoutKind>,
        mapping: &Mapping,
    ) -> Result<Self, InvoiceError> {
        let header = Header { names, mapping };
        let kind = match kind.or_else(|| LayoutKind::of_header(&header)) {
            Some(kind) => kind,
            None if !mapping.columns.is_empty() => LayoutKind::Mapped,
            None => return Err(InvoiceError::UnknownLayout(header.shown())),
        };
        let layout = Self::with_header(&header, kind)?;
        if layout.cost.is_none()
            && layout.quantity.is_none()
            && layout.input.is_none()
            && layout.output.is_none()
        {
            return Err(MappingError::NothingToCompare(
                "cost, tokens, input_tokens or output_tokens",
            )
            .into());
        }
        Ok(layout)
    }

    fn with_header(header: &Header<'_>, kind: LayoutKind) -> Result<Self, MappingError> {
        let mut layout = Self {
            kind,
            header: header.names.to_vec(),
            date: 0,
            item: Vec::new(),
            token_kind: header.optional(Target::Kind, &[])?,
            quantity: None,
            input: header.optional(Target::InputTokens, &[])?,
            cached: header.optional(Target::CachedTokens, &[])?,
            audio_input: None,
            output: header.optional(Target::OutputTokens, &[])?,
            audio_output: None,
            cost: None,
            currency: None,
            given_currency: header
                .mapping
                .currency
                .as_ref()
                .map(|code| code.to_uppercase()),
            service: Vec::new(),
        };
        let quantity = |candidates: &[&str], unit: &[&str]| -> Result<_, MappingError> {
            let column = header.optional(Target::Tokens, candidates)?;
            let mapped = header
                .mapping
                .columns
                .iter()
                .any(|(target, _)| *target == Target::Tokens);
            // What is mapped to tokens is tokens, not thousands of them.
            let unit = if mapped { None } else { header.find(unit) };
            Ok(column.map(|column| Quantity { column, unit }))
        };
        match kind {
            LayoutKind::Azure => {
                layout.date =
                    header.required(Target::Date, &["Date", "UsageDateTime", "UsageDate"])?;
                layout.item = vec![header.required(Target::Model, &["MeterName"])?];
                layout.quantity = quantity(
                    &["Quantity", "UsageQuantity", "ConsumedQuantity"],
                    &["UnitOfMeasure"],
                )?;
                layout.cost = header.optional(Target::Cost, &AZURE_COST)?;
                layout.currency = header.optional(
                    Target::Currency,
                    &["BillingCurrency", "BillingCurrencyCode", "Currency"],
                )?;
                let service = [
                    "MeterCategory",
                    "MeterSubCategory",
                    "ConsumedService",
                    "MeterName",
                ];
                layout.service = service
                    .iter()
                    .filter_map(|name| header.find(&[name]))
                    .collect();
            }
            LayoutKind::OpenAiUsage => {
                layout.date =
                    header.required(Target::Date, &["start_time_iso", "start_time", "date"])?;
                layout.item = vec![header.required(Target::Model, &["model"])?];
                layout.input = header.optional(Target::InputTokens, &["input_tokens"])?;
                layout.cached = header.optional(Target::CachedTokens, &["input_cached_tokens"])?;
                layout.audio_input = header.find(&["input_audio_tokens"]);
                layout.output = header.optional(Target::OutputTokens, &["output_tokens"])?;
                layout.audio_output = header.find(&["output_audio_tokens"]);
            }
            LayoutKind::OpenAiCosts => {
                layout.date =
                    header.required(Target::Date, &["start_time_iso", "start_time", "date"])?;
                layout.item = vec![header.required(Target::Model, &["line_item"])?];
                layout.quantity = quantity(&["quantity"], &[])?;
                layout.cost = Some(header.required(Target::Cost, &AMOUNT)?);
                layout.currency =
                    header.optional(Target::Currency, &["amount_currency", "currency"])?;
            }
            LayoutKind::Focus => {
                layout.date = header.required(Target::Date, &["ChargePeriodStart"])?;
                let names = ["x_SkuMeterName", "SkuId", "SkuMeter"];
                layout.item = match header.optional(Target::Model, &[])? {
                    Some(mapped) => vec![mapped],
                    None => names
                        .iter()
                        .filter_map(|name| header.find(&[name]))
                        .collect(),
                };
                layout.quantity = quantity(&["ConsumedQuantity"], &["ConsumedUnit"])?;
                layout.cost = header.optional(Target::Cost, &["BilledCost"])?;
                layout.currency = header.optional(Target::Currency, &["BillingCurrency"])?;
                let service = [
                    "ServiceCategory",
                    "ServiceName",
                    "SkuMeter",
                    "x_SkuMeterCategory",
                    "x_SkuMeterName",
                ];
                layout.service = service
                    .iter()
                    .filter_map(|name| header.find(&[name]))
                    .collect();
            }
            LayoutKind::Mapped => {
                layout.date = header.required(Target::Date, &[])?;
                layout.item = vec![header.required(Target::Model, &[])?];
                layout.quantity = quantity(&[], &[])?;
                layout.cost = header.optional(Target::Cost, &[])?;
                layout.currency = header.optional(Target::Currency, &[])?;
            }
        }
        Ok(layout)
    }

    pub fn kind(&self) -> LayoutKind {
        self.kind
    }
}

impl fmt::Display for LayoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
