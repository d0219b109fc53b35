//! Rows of usage: columns for machines, and fewer of them for people.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use domain::{Currency, Nanos};
use report::{Column, Decimal, Writer};
use store::ledger::UsageRow;

use super::By;
use crate::table::{Cell, Table};

/// After the names asked for, in every format for machines.
const COLUMNS: [Column; 20] = [
    Column::count("calls"),
    Column::count("attempts"),
    Column::count("prompt_tokens"),
    Column::count("completion_tokens"),
    Column::count("cached_prompt_tokens"),
    Column::count("reasoning_tokens"),
    Column::count("total_tokens"),
    Column::count("estimated_tokens"),
    Column::decimal("cost", 9),
    Column::text("currency"),
    Column::count("unpriced_calls"),
    Column::decimal("saved", 9),
    Column::count("unpriced_tokens"),
    Column::decimal("estimated_cost", 9),
    Column::decimal("estimated_share", 6),
    Column::decimal("unpriced_share", 6),
    Column::count("saved_tokens"),
    Column::count("compared"),
    Column::count("compared_wrong"),
    Column::decimal("compared_wrong_share", 6),
];

pub fn write<W: Write>(to: W, format: report::Format, by: &[By], rows: &[UsageRow]) -> Result<W> {
    let names = by.iter().map(|by| Column::text(by.name()));
    let mut writer = Writer::new(to, format, names.chain(COLUMNS).collect())?;
    for row in rows {
        let names = row.by.iter().map(|name| report::Cell::text(name));
        let cells: Vec<report::Cell> = names.chain(cells(row)).collect();
        writer.row(&cells)?;
    }
    Ok(writer.finish()?)
}

fn cells(row: &UsageRow) -> [report::Cell; COLUMNS.len()] {
    use report::Cell::Count;
    let money = |amount: Nanos| report::Cell::from(Decimal::from(amount));
    [
        Count(row.calls),
        Count(row.attempts),
        Count(row.prompt_tokens),
        Count(row.completion_tokens),
        Count(row.cached_prompt_tokens),
        Count(row.reasoning_tokens),
        Count(row.total_tokens),
        Count(row.estimated_tokens),
        money(row.cost),
        report::Cell::or_null(row.currency.as_ref().map(Currency::as_str)),
        Count(row.unpriced_calls),
        money(row.saved),
        Count(row.unpriced_tokens),
        money(row.estimated_cost),
        share(row.estimated_tokens, row.total_tokens).into(),
        share(row.unpriced_tokens, row.total_tokens).into(),
        Count(row.saved_tokens),
        Count(row.compared),
        Count(row.compared_wrong),
        share(row.compared_wrong, row.compared).into(),
    ]
}

fn share(part: u64, whole: u64) -> Option<Decimal> {
    Decimal::whole(part).share_of(Decimal::whole(whole))
}

/// With a line of sums below, and warnings below that.
pub fn for_people(by: &[By], rows: &[UsageRow]) -> String {
    if rows.is_empty() {
        return "no calls in this time\n".to_owned();
    }
    let money = Money::of(rows);
    let mut table = by
        .iter()
        .fold(Table::default(), |table, by| table.column(by.name()));
    for name in ["calls", "prompt", "cached", "completion", "tokens"] {
        table = table.number(name);
    }
    for name in ["cost", "saved"] {
        table = table.number(&money.heading(name));
    }
    table = table.number("estimated").number("unpriced");
    let mut total = UsageRow::default();
    let mut costs = Costs::default();
    let mut savings = Costs::default();
    for row in rows {
        let names = row.by.iter().map(|name| Cell::text(name));
        let cost = money.shown(row.cost, row.currency);
        let saved = money.shown(row.saved, row.currency);
        table.row(names.chain(amounts(row, &cost, &saved)).collect());
        add(&mut total, row);
        if let Some(currency) = row.currency {
            *costs.entry(currency).or_default() += row.cost;
            *savings.entry(currency).or_default() += row.saved;
        }
    }
    let names = (0..by.len()).map(|index| Cell::text(if index == 0 { "total" } else { " " }));
    let (cost, saved) = (money.sum(&costs), money.sum(&savings));
    table.total(names.chain(amounts(&total, &cost, &saved)).collect());
    let mut text = table.aligned();
    if total.unpriced_calls > 0 {
        text.push_str(&format!(
            "\n{} of {} calls have no price: what they cost is missing here\n",
            crate::table::thousands(total.unpriced_calls),
            crate::table::thousands(total.calls),
        ));
    }
    if total.saved_tokens > 0 {
        text.push_str(&format!(
            "\n{} tokens more were answered from the cache, for nothing\n",
            crate::table::thousands(total.saved_tokens),
        ));
    }
    if total.compared > 0 {
        let share = percent(total.compared_wrong, total.compared);
        text.push_str(&format!(
            "\n{} of {} cached answers that would have been given were wrong{}\n",
            crate::table::thousands(total.compared_wrong),
            crate::table::thousands(total.compared),
            if share.is_empty() {
                share
            } else {
                format!(": {share}")
            },
        ));
    }
    text
}

fn amounts(row: &UsageRow, cost: &str, saved: &str) -> [Cell; 9] {
    [
        Cell::Number(row.calls),
        Cell::Number(row.prompt_tokens),
        Cell::Number(row.cached_prompt_tokens),
        Cell::Number(row.completion_tokens),
        Cell::Number(row.total_tokens),
        Cell::text(cost),
        Cell::text(saved),
        Cell::Text(percent(row.estimated_tokens, row.total_tokens)),
        Cell::Text(percent(row.unpriced_tokens, row.total_tokens)),
    ]
}

fn add(total: &mut UsageRow, row: &UsageRow) {
    for (sum, amount) in [
        (&mut total.calls, row.calls),
        (&mut total.prompt_tokens, row.prompt_tokens),
        (&mut total.cached_prompt_tokens, row.cached_prompt_tokens),
        (&mut total.completion_tokens, row.completion_tokens),
        (&mut total.total_tokens, row.total_tokens),
        (&mut total.estimated_tokens, row.estimated_tokens),
        (&mut total.unpriced_calls, row.unpriced_calls),
        (&mut total.unpriced_tokens, row.unpriced_tokens),
        (&mut total.saved_tokens, row.saved_tokens),
        (&mut total.compared, row.compared),
        (&mut total.compared_wrong, row.compared_wrong),
    ] {
        *sum = sum.saturating_add(amount);
    }
}

/// Empty of nothing, and never 0% of something.
fn percent(part: u64, whole: u64) -> String {
    let Some(share) = share(part, whole).filter(|_| part > 0) else {
        return String::new();
    };
    let percent = share.times(Decimal::whole(100)).fixed(1);
    if percent == "0.0" {
        return "<0.1%".to_owned();
    }
    format!("{percent}%")
}

type Costs = BTreeMap<Currency, Nanos>;

/// How amounts are shown: of one currency, it stands in the heading.
struct Money {
    only: Option<Currency>,
    decimals: u32,
}

impl Money {
    fn of(rows: &[UsageRow]) -> Self {
        let mut currencies: Vec<Currency> = rows.iter().filter_map(|row| row.currency).collect();
        currencies.sort();
        currencies.dedup();
        let largest = rows.iter().map(|row| row.cost.max(row.saved)).max();
        let unit = 1_000_000_000;
        Self {
            only: match currencies[..] {
                [only] => Some(only),
                _ => None,
            },
            // Cents are enough where there are hundreds, and nothing where there are thousandths.
            decimals: match largest.unwrap_or_default().0 {
                amount if amount >= 100 * unit => 2,
                amount if amount >= unit => 4,
                _ => 6,
            },
        }
    }

    fn heading(&self, name: &str) -> String {
        match self.only {
            Some(currency) => format!("{name} {currency}"),
            None => name.to_owned(),
        }
    }

    /// Empty where nothing has a price.
    fn shown(&self, amount: Nanos, currency: Option<Currency>) -> String {
        let Some(currency) = currency else {
            return String::new();
        };
        let number = Decimal::from(amount).fixed(self.decimals);
        match self.only {
            Some(_) => number,
            None => format!("{number} {currency}"),
        }
    }

    fn sum(&self, costs: &Costs) -> String {
        let shown: Vec<String> = costs
            .iter()
            .map(|(currency, amount)| self.shown(*amount, Some(*currency)))
            .collect();
        shown.join(" + ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: [By; 2] = [By::Subscription, By::Model];

    fn rows() -> Vec<UsageRow> {
        let row = |name: &str, total_tokens| UsageRow {
            by: vec![name.to_owned(), "gpt-4o".to_owned()],
            calls: 2,
            total_tokens,
            estimated_tokens: 1,
            cost: Nanos(1_250_000),
            currency: Some(Currency::USD),
            unpriced_calls: 1,
            unpriced_tokens: 117,
            saved: Nanos(250_000),
            ..UsageRow::default()
        };
        vec![row("batch", 10_000), row("search", 234)]
    }

    fn written(format: report::Format) -> String {
        String::from_utf8(write(Vec::new(), format, &BY, &rows()).unwrap()).unwrap()
    }

    #[test]
    fn the_table_ends_with_sums_and_says_what_is_missing_in_them() {
        let printed = for_people(&BY, &rows());
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            lines[0].ends_with("cost USD  saved USD  estimated  unpriced"),
            "{printed}"
        );
        let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
        assert_eq!(
            words(1),
            [
                "batch", "gpt-4o", "2", "0", "0", "0", "10,000", "0.001250", "0.000250", "<0.1%",
                "1.2%"
            ]
        );
        assert_eq!(words(2)[8..], ["0.000250", "0.4%", "50.0%"]);
        assert_eq!(
            words(4),
            [
                "total", "4", "0", "0", "0", "10,234", "0.002500", "0.000500", "<0.1%", "2.3%"
            ]
        );
        assert_eq!(
            lines[6],
            "2 of 4 calls have no price: what they cost is missing here"
        );
    }

    #[test]
    fn sums_of_two_currencies_stand_side_by_side() {
        let mut rows = rows();
        rows[0].currency = Some("EUR".parse().unwrap());
        let printed = for_people(&BY, &rows);
        assert!(printed.contains("0.001250 EUR + 0.001250 USD"), "{printed}");
    }

    #[test]
    fn false_hits_stand_below_the_sums() {
        let mut rows = rows();
        (rows[0].compared, rows[0].compared_wrong) = (1_000, 5);
        rows[1].compared = 250;
        let printed = for_people(&BY, &rows);
        let told = "\n5 of 1,250 cached answers that would have been given were wrong: 0.4%\n";
        assert!(printed.ends_with(told), "{printed}");
        let csv = String::from_utf8(write(Vec::new(), report::Format::Csv, &BY, &rows).unwrap());
        assert!(
            csv.unwrap()
                .lines()
                .any(|line| line.ends_with(",1000,5,0.005"))
        );
    }

    #[test]
    fn large_amounts_are_shown_to_the_cent() {
        let mut rows = rows();
        rows[0].cost = Nanos(1_234_567_891_000_000);
        let printed = for_people(&BY, &rows);
        assert!(printed.contains(" 1,234,567.89 "), "{printed}");
    }

    #[test]
    fn json_rows_have_the_names_asked_for_and_then_every_amount() {
        let printed: serde_json::Value =
            serde_json::from_str(&written(report::Format::Json)).unwrap();
        let row = printed[1].as_object().unwrap();
        assert_eq!(row["subscription"], "search");
        assert_eq!(row["total_tokens"], 234);
        assert_eq!(row["cost"], 0.00125);
        assert_eq!(row["currency"], "USD");
        assert_eq!(row["unpriced_share"], 0.5);
        assert_eq!(row.len(), 2 + COLUMNS.len());
    }

    #[test]
    fn csv_has_a_header_and_no_sums() {
        let printed = written(report::Format::Csv);
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("subscription,model,calls,attempts,prompt_tokens"));
        assert_eq!(
            lines[2],
            "search,gpt-4o,2,0,0,0,0,0,234,1,0.00125,USD,1,0.00025,117,0.0,0.004274,0.5,0,0,0,"
        );
    }
}
