//! Which column says what, in the exports of providers that are known and in any other with a mapping.

use std::fmt;
use std::str::FromStr;

use super::csv::Row;
use super::{InvoiceError, Line, TokenKind, date, meter};
use crate::decimal::Decimal;

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

/// What can be mapped to a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Date,
    Model,
    Kind,
    Tokens,
    InputTokens,
    CachedTokens,
    OutputTokens,
    Cost,
    Currency,
}

/// Columns by what they hold, over what a known layout says; and a currency for files that name none.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    pub columns: Vec<(Target, String)>,
    pub currency: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("write FIELD=COLUMN with one of the fields {}", Target::names())]
    Malformed,
    #[error("`{0}` is no field; known: {names}", names = Target::names())]
    UnknownTarget(String),
    #[error("the header has no column `{column}` for {target}; it has: {header}")]
    NoColumn {
        target: &'static str,
        column: String,
        header: String,
    },
    #[error("map {0}: no column of the header is known to hold it; it has: {1}")]
    Missing(&'static str, String),
    #[error("map {0} too: without one of them there is nothing to compare")]
    NothingToCompare(&'static str),
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

impl Target {
    pub const ALL: [Self; 9] = [
        Self::Date,
        Self::Model,
        Self::Kind,
        Self::Tokens,
        Self::InputTokens,
        Self::CachedTokens,
        Self::OutputTokens,
        Self::Cost,
        Self::Currency,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Model => "model",
            Self::Kind => "kind",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::CachedTokens => "cached_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Cost => "cost",
            Self::Currency => "currency",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

/// `date=Usage Day`
pub fn target_and_column(text: &str) -> Result<(Target, String), MappingError> {
    let (target, column) = text.split_once('=').ok_or(MappingError::Malformed)?;
    if column.is_empty() {
        return Err(MappingError::Malformed);
    }
    let target = Target::from_str(target)?;
    Ok((target, column.to_owned()))
}

impl FromStr for Target {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        Self::ALL
            .into_iter()
            .find(|target| target.as_str() == text)
            .ok_or_else(|| MappingError::UnknownTarget(text.to_owned()))
    }
}

struct Header<'a> {
    names: &'a [String],
    mapping: &'a Mapping,
}

impl Header<'_> {
    fn find(&self, candidates: &[&str]) -> Option<usize> {
        candidates.iter().find_map(|candidate| {
            self.names
                .iter()
                .position(|name| squeezed(name) == squeezed(candidate))
        })
    }

    fn optional(&self, target: Target, candidates: &[&str]) -> Result<Option<usize>, MappingError> {
        let mapped = self
            .mapping
            .columns
            .iter()
            .find(|(mapped, _)| *mapped == target);
        let Some((_, column)) = mapped else {
            return Ok(self.find(candidates));
        };
        let found = self.names.iter().position(|name| name == column);
        found.map(Some).ok_or_else(|| MappingError::NoColumn {
            target: target.as_str(),
            column: column.clone(),
            header: self.shown(),
        })
    }

    fn required(&self, target: Target, candidates: &[&str]) -> Result<usize, MappingError> {
        self.optional(target, candidates)?
            .ok_or_else(|| MappingError::Missing(target.as_str(), self.shown()))
    }

    fn shown(&self) -> String {
        self.names.join(", ")
    }
}

/// Accounts differ in capitals and underscores.
fn squeezed(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

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

    /// Adds what the row says, nothing if it is of another service. Returns its currency.
    pub fn read(&self, row: &Row, lines: &mut Vec<Line>) -> Result<Option<String>, InvoiceError> {
        if !self.is_of_a_model(row) {
            return Ok(None);
        }
        let shown_day = row.field(self.date);
        let day = date::day(shown_day).ok_or_else(|| {
            self.fault(
                row,
                self.date,
                "is no day; write 2026-11-01 or 11/01/2026 (month first)",
            )
        })?;
        let names: Vec<&str> = self
            .item
            .iter()
            .map(|index| row.field(*index).trim())
            .collect();
        let item = names.join(" ").trim().to_owned();
        let cost = match self.cost {
            Some(column) => self.decimal(row, column)?,
            None => None,
        };
        let by_kind = self.by_kind(row)?;
        if by_kind.is_empty() {
            let tokens = match &self.quantity {
                Some(quantity) => self.tokens(row, quantity)?,
                None => None,
            };
            let kind = match self.token_kind {
                Some(column) => TokenKind::of_name(row.field(column)),
                None if tokens.is_none() && self.has_units() => TokenKind::Other,
                None => TokenKind::of_name(&item),
            };
            lines.push(Line {
                day,
                item,
                kind,
                tokens,
                cost,
            });
        } else {
            // Money for all kinds together stands once.
            let mut cost = cost;
            for (kind, tokens) in by_kind {
                lines.push(Line {
                    day,
                    item: item.clone(),
                    kind,
                    tokens: Some(tokens),
                    cost: cost.take(),
                });
            }
        }
        Ok(self.currency_of(row))
    }

    /// A quantity may be of something else than tokens.
    fn has_units(&self) -> bool {
        self.quantity
            .is_some_and(|quantity| quantity.unit.is_some())
    }

    fn currency_of(&self, row: &Row) -> Option<String> {
        self.cost?;
        let written = self
            .currency
            .map(|column| row.field(column).trim().to_uppercase());
        written
            .filter(|code| !code.is_empty())
            .or_else(|| self.given_currency.clone())
    }

    /// Exports of a whole cloud account have rows of disks and networks too.
    fn is_of_a_model(&self, row: &Row) -> bool {
        const SIGNS: [&str; 6] = [
            "openai",
            "foundry",
            "tokens",
            "machine learning",
            "cognitive",
            "ai services",
        ];
        self.service.is_empty()
            || self.service.iter().any(|column| {
                let value = row.field(*column).to_lowercase();
                SIGNS.iter().any(|sign| value.contains(sign))
            })
    }

    /// Without the kinds of which the row has none, but for one, so that a row of zeros is a line.
    fn by_kind(&self, row: &Row) -> Result<Vec<(TokenKind, i64)>, InvoiceError> {
        let count = |column: Option<usize>| -> Result<i64, InvoiceError> {
            match column {
                Some(column) => Ok(self.whole(row, column)?.unwrap_or(0)),
                None => Ok(0),
            }
        };
        if self.input.is_none() && self.output.is_none() {
            return Ok(Vec::new());
        }
        let (input, cached) = (count(self.input)?, count(self.cached)?);
        let uncached = input - cached;
        if uncached < 0 && cached > 0 {
            let column = self.cached.unwrap_or_default();
            return Err(self.fault(
                row,
                column,
                "is more than all input tokens, of which it is a part",
            ));
        }
        let mut kinds = vec![
            (TokenKind::Input, uncached),
            (TokenKind::CachedInput, cached),
            (TokenKind::AudioInput, count(self.audio_input)?),
            (TokenKind::Output, count(self.output)?),
            (TokenKind::AudioOutput, count(self.audio_output)?),
        ];
        kinds.retain(|(kind, tokens)| *tokens != 0 || *kind == TokenKind::Input);
        Ok(kinds)
    }

    /// `None` if the unit is no token.
    fn tokens(&self, row: &Row, quantity: &Quantity) -> Result<Option<i64>, InvoiceError> {
        let Some(unit) = quantity.unit else {
            return self.whole(row, quantity.column);
        };
        let names = self.item.iter().map(|index| row.field(*index));
        let Some(factor) = tokens_in_a_unit(row.field(unit), names) else {
            return Ok(None);
        };
        let Some(units) = self.decimal(row, quantity.column)? else {
            return Ok(None);
        };
        // Thousands with decimals that floating-point arithmetic left: tokens are whole.
        let tokens = units.times(Decimal::whole(factor)).rounded();
        tokens
            .map(Some)
            .ok_or_else(|| self.fault(row, quantity.column, "is too large"))
    }

    fn whole(&self, row: &Row, column: usize) -> Result<Option<i64>, InvoiceError> {
        let Some(number) = self.decimal(row, column)? else {
            return Ok(None);
        };
        let whole = number.units(0).and_then(|units| i64::try_from(units).ok());
        whole
            .map(Some)
            .ok_or_else(|| self.fault(row, column, "is no whole number of tokens"))
    }

    fn decimal(&self, row: &Row, column: usize) -> Result<Option<Decimal>, InvoiceError> {
        let text = row.field(column).trim();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            self.fault(
                row,
                column,
                "is no number; write it with a point and without separators, such as 1234.56",
            )
        })
    }

    fn fault(&self, row: &Row, column: usize, problem: &str) -> InvoiceError {
        InvoiceError::Field {
            line: row.line,
            column: self.header.get(column).cloned().unwrap_or_default(),
            value: row.field(column).chars().take(64).collect(),
            problem: problem.to_owned(),
        }
    }
}

/// `1K`, `1M`, `1000`, `10K Tokens`; `None` of hours and whatever else is no token.
fn tokens_in_a_unit<'a>(unit: &str, mut names: impl Iterator<Item = &'a str>) -> Option<u64> {
    let unit = unit.trim().to_lowercase();
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = unit.split_at(digits);
    let number: u64 = if number.is_empty() {
        1
    } else {
        number.parse().ok()?
    };
    let rest = rest.trim_start();
    let (factor, rest) = match rest.strip_prefix(['k', 'm']) {
        Some(after) if !after.starts_with(|c: char| c.is_alphabetic()) => (
            if rest.starts_with('k') {
                1_000
            } else {
                1_000_000
            },
            after,
        ),
        _ => (1, rest),
    };
    let rest = rest.trim();
    let is_token = rest.starts_with("token")
        || rest.is_empty()
            && names.any(|name| {
                let name = name.to_lowercase();
                name.contains("token") || meter::TokenKind::of_name(&name) != TokenKind::Tokens
            });
    is_token.then(|| number.saturating_mul(factor))
}

impl fmt::Display for LayoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
