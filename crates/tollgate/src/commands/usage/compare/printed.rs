//! A comparison as rows.

use std::io::Write;

use anyhow::Result;
use domain::Currency;
use report::compare::{By, Comparison, Key, Sides, Tolerance, Verdict};
use report::{Cell, Column, Decimal, Writer};

use super::Days;
use super::invoice::Invoice;
use crate::table::{self, Format, Table, counted};

pub struct Printed<'a> {
    pub comparison: &'a Comparison,
    pub by: By,
    pub tolerance: Tolerance,
    pub currency: Option<Currency>,
    pub invoice: &'a Invoice,
    pub days: Days,
    /// Only rows that are not fine.
    pub differences: bool,
}

/// Converted money may have all decimals that are kept.
const MONEY: u32 = 18;

impl Printed<'_> {
    pub fn is_fine(&self) -> bool {
        let mut rows = self.comparison.rows();
        rows.all(|(_, sides)| sides.verdict(self.tolerance).is_fine())
    }

    pub fn write<W: Write>(&self, mut to: W, format: Format) -> Result<W> {
        match format {
            Format::Table => {
                to.write_all(self.for_people().as_bytes())?;
                Ok(to)
            }
            Format::Csv => self.for_machines(to, report::Format::Csv),
            Format::Json => self.for_machines(to, report::Format::Json),
        }
    }

    fn rows(&self) -> impl Iterator<Item = (&Key, &Sides, Verdict)> {
        self.comparison
            .rows()
            .map(|(key, sides)| (key, sides, sides.verdict(self.tolerance)))
            .filter(|(_, _, verdict)| !self.differences || !verdict.is_fine())
    }

    fn names(&self) -> Vec<&'static str> {
        let asked = [
            (self.by.day, "day"),
            (self.by.model, "model"),
            (self.by.kind, "kind"),
        ];
        asked
            .into_iter()
            .filter(|(is_asked, _)| *is_asked)
            .map(|(_, name)| name)
            .collect()
    }

    fn for_machines<W: Write>(&self, to: W, format: report::Format) -> Result<W> {
        let names = self.names().into_iter().map(Column::text);
        let columns = names.chain([
            Column::decimal("our_tokens", 0),
            Column::decimal("their_tokens", 0),
            Column::decimal("tokens_difference", 0),
            Column::decimal("tokens_difference_share", 6),
            Column::decimal("our_cost", MONEY),
            Column::decimal("their_cost", MONEY),
            Column::decimal("cost_difference", MONEY),
            Column::decimal("cost_difference_share", 6),
            Column::text("currency"),
            Column::decimal("unpriced_tokens", 0),
            Column::text("verdict"),
        ]);
        let mut writer = Writer::new(to, format, columns.collect())?;
        for (key, sides, verdict) in self.rows() {
            let whole = |number: Option<i64>| Cell::from(number.and_then(whole));
            let (ours, theirs) = (
                sides.ours.unwrap_or_default(),
                sides.theirs.unwrap_or_default(),
            );
            let mut cells: Vec<Cell> = self.key(key).iter().map(|name| Cell::text(name)).collect();
            cells.extend([
                whole(ours.tokens),
                whole(theirs.tokens),
                whole(sides.tokens_difference()),
                sides.tokens_share().into(),
                ours.cost.into(),
                theirs.cost.into(),
                sides.cost_difference().into(),
                sides.cost_share().into(),
                Cell::or_null(self.currency.as_ref().map(Currency::as_str)),
                whole(Some(sides.unpriced)),
                Cell::text(verdict.as_str()),
            ]);
            writer.row(&cells)?;
        }
        Ok(writer.finish()?)
    }

    fn key(&self, key: &Key) -> Vec<String> {
        let day = key.day.map(|day| day.to_string());
        let kind = key.kind.map(|kind| kind.as_str().to_owned());
        [
            (self.by.day, day),
            (self.by.model, key.model.clone()),
            (self.by.kind, kind),
        ]
        .into_iter()
        .filter(|(is_asked, _)| *is_asked)
        .map(|(_, name)| name.unwrap_or_default())
        .collect()
    }

    /// Columns that neither side has are left out.
    fn for_people(&self) -> String {
        let total = self.comparison.total();
        let (ours, theirs) = (
            total.ours.unwrap_or_default(),
            total.theirs.unwrap_or_default(),
        );
        let has_tokens = ours.tokens.is_some() || theirs.tokens.is_some();
        let has_cost = ours.cost.is_some() || theirs.cost.is_some();
        let mut table = self
            .names()
            .into_iter()
            .fold(Table::default(), |table, name| table.column(name));
        if has_tokens {
            table = table
                .number("our tokens")
                .number("their tokens")
                .number("difference")
                .number("%");
        }
        if has_cost {
            let code = self
                .currency
                .map_or_else(String::new, |currency| format!(" {currency}"));
            table = table
                .number(&format!("our cost{code}"))
                .number(&format!("their cost{code}"))
                .number("difference")
                .number("%");
        }
        table = table.column("");
        let cells = |names: Vec<String>, sides: &Sides, verdict: &str| {
            let mut cells: Vec<table::Cell> = names.into_iter().map(table::Cell::Text).collect();
            if has_tokens {
                cells.extend(tokens_cells(sides));
            }
            if has_cost {
                cells.extend(cost_cells(sides));
            }
            cells.push(table::Cell::text(verdict));
            cells
        };
        let mut shown = 0;
        for (key, sides, verdict) in self.rows() {
            shown += 1;
            table.row(cells(self.key(key), sides, said(verdict, sides)));
        }
        let mut names = vec![String::from("total")];
        names.resize(self.names().len(), " ".to_owned());
        names.truncate(self.names().len());
        table.total(cells(names, &total, " "));
        format!("{}\n{}", table.aligned(), self.below(shown))
    }

    fn below(&self, shown: usize) -> String {
        let all = self.comparison.rows().count();
        let bad = self
            .comparison
            .rows()
            .filter(|(_, sides)| !sides.verdict(self.tolerance).is_fine())
            .count();
        let Days { first, last } = self.days;
        let Invoice {
            layout,
            rows,
            skipped,
            outside,
            ..
        } = self.invoice;
        let mut text = format!("{first} to {last}, {rows} rows of the invoice ({layout})");
        if *skipped > 0 {
            text.push_str(&format!(", {skipped} of other services passed over"));
        }
        if *outside > 0 {
            text.push_str(&format!(", {outside} of other days passed over"));
        }
        text.push('\n');
        let share = self.tolerance.share.times(Decimal::whole(100));
        if bad == 0 {
            text.push_str(&format!("{} within {share}%\n", counted(all, "row")));
        } else {
            text.push_str(&format!(
                "{bad} of {} further apart than {share}%\n",
                counted(all, "row")
            ));
        }
        if shown < all {
            text.push_str(&format!("{} not shown\n", counted(all - shown, "row")));
        }
        text
    }
}

fn said(verdict: Verdict, sides: &Sides) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Within => "within",
        Verdict::Differs if sides.unpriced > 0 => "DIFFERS: unpriced here",
        Verdict::Differs => "DIFFERS",
        Verdict::OnlyOurs => "ONLY OURS",
        Verdict::OnlyTheirs => "ONLY THEIRS",
    }
}

fn tokens_cells(sides: &Sides) -> [table::Cell; 4] {
    let shown = |number: Option<i64>| {
        let text = number.and_then(whole).map(|number| number.fixed(0));
        table::Cell::Text(text.unwrap_or_default())
    };
    [
        shown(sides.ours.and_then(|ours| ours.tokens)),
        shown(sides.theirs.and_then(|theirs| theirs.tokens)),
        shown(sides.tokens_difference()),
        percent(sides.tokens_share()),
    ]
}

fn cost_cells(sides: &Sides) -> [table::Cell; 4] {
    let shown = |amount: Option<Decimal>| {
        table::Cell::Text(amount.map(|amount| amount.fixed(4)).unwrap_or_default())
    };
    [
        shown(sides.ours.and_then(|ours| ours.cost)),
        shown(sides.theirs.and_then(|theirs| theirs.cost)),
        shown(sides.cost_difference()),
        percent(sides.cost_share()),
    ]
}

fn percent(share: Option<Decimal>) -> table::Cell {
    let text = share.map(|share| share.times(Decimal::whole(100)).fixed(2));
    table::Cell::Text(text.unwrap_or_default())
}

fn whole(number: i64) -> Option<Decimal> {
    Decimal::new(i128::from(number), 0)
}
