//! The invoice's side: lines of a file, summed by day and item as they are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;
use jiff::civil::Date;
use report::Decimal;
use report::compare::{Amounts, Comparison, Key, ROWS_MAX};
use report::invoice::{LayoutKind, Mapping, Names, Reader, TokenKind};

use super::Days;

pub struct Invoice {
    pub layout: LayoutKind,
    pub currency: Option<String>,
    pub rows: u64,
    /// Of other services.
    pub skipped: u64,
    /// Lines of other days than were asked for.
    pub outside: u64,
    sums: BTreeMap<(Date, String, TokenKind), Amounts>,
}

pub fn read(
    path: &Path,
    layout: Option<LayoutKind>,
    mapping: &Mapping,
    asked: (Option<Date>, Option<Date>),
) -> Result<Invoice> {
    let name = || format!("`{}`", path.display());
    let file = File::open(path).with_context(|| format!("cannot read {}", name()))?;
    let mut file = BufReader::with_capacity(64 * 1024, file);
    let is_gzip = file
        .fill_buf()
        .with_context(name)?
        .starts_with(&[0x1f, 0x8b]);
    let from: Box<dyn Read> = if is_gzip {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = Reader::new(BufReader::new(from), layout, mapping).with_context(name)?;
    let mut sums = BTreeMap::<_, Amounts>::new();
    let mut lines = Vec::new();
    let mut outside = 0;
    while reader.lines(&mut lines).with_context(name)? {
        for line in lines.drain(..) {
            let early = asked.0.is_some_and(|first| line.day < first);
            if early || asked.1.is_some_and(|last| line.day > last) {
                outside += 1;
                continue;
            }
            if sums.len() >= ROWS_MAX {
                bail!(
                    "{} has more than {ROWS_MAX} items by day; is the right column mapped to model?",
                    name()
                );
            }
            let amounts = Amounts {
                tokens: line.tokens,
                cost: line.cost,
            };
            sums.entry((line.day, line.item, line.kind))
                .or_default()
                .add(amounts);
        }
    }
    if reader.currency().is_none() && sums.values().any(|amounts| amounts.cost.is_some()) {
        bail!(
            "{} does not say what currency its costs are in; add --currency",
            name()
        );
    }
    let (rows, skipped) = reader.counts();
    Ok(Invoice {
        layout: reader.layout(),
        currency: reader.currency().map(str::to_owned),
        rows,
        skipped,
        outside,
        sums,
    })
}

impl Invoice {
    /// Those asked for; where nothing was, from its first line to its last. None without lines.
    pub fn days(&self, asked: (Option<Date>, Option<Date>)) -> Option<Days> {
        let first = self.sums.keys().next().map(|(day, ..)| *day)?;
        let last = self.sums.keys().next_back().map(|(day, ..)| *day)?;
        Some(Days {
            first: asked.0.unwrap_or(first),
            last: asked.1.unwrap_or(last),
        })
    }

    /// What no name of ours fits keeps the provider's.
    pub fn add_to(
        &self,
        comparison: &mut Comparison,
        names: &mut Names,
        rate: Option<Decimal>,
    ) -> Result<()> {
        for ((day, item, kind), amounts) in &self.sums {
            let key = Key {
                day: Some(*day),
                model: Some(names.model_of(item).unwrap_or_else(|| item.clone())),
                kind: Some(*kind),
            };
            let cost = match rate {
                Some(rate) => amounts.cost.map(|cost| cost.times(rate)),
                None => amounts.cost,
            };
            comparison.add_theirs(&key, Amounts { cost, ..*amounts })?;
        }
        Ok(())
    }
}
