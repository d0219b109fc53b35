//! One row of a file as lines: which day, how many tokens of which kind, how much money.

use super::super::csv::Row;
use super::super::{InvoiceError, Line, TokenKind, date};
use super::{Layout, LayoutKind, Quantity};
use crate::decimal::Decimal;

impl Layout {
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
                Some(quantity) if self.counts_tokens(&item) => self.tokens(row, quantity)?,
                Some(_) | None => None,
            };
            let kind = match self.token_kind {
                Some(column) => TokenKind::of_name(row.field(column)),
                None => match TokenKind::of_name(&item) {
                    TokenKind::Tokens if tokens.is_none() && self.has_units() => TokenKind::Other,
                    kind => kind,
                },
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
        let has_unit = self
            .quantity
            .is_some_and(|quantity| quantity.unit.is_some());
        has_unit || self.kind == LayoutKind::OpenAiCosts
    }

    /// Line items name no unit: sessions, images and searches are no tokens.
    fn counts_tokens(&self, item: &str) -> bool {
        self.kind != LayoutKind::OpenAiCosts || TokenKind::of_name(item) != TokenKind::Tokens
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
                name.contains("token") || TokenKind::of_name(&name) != TokenKind::Tokens
            });
    is_token.then(|| number.saturating_mul(factor))
}
