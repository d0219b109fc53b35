//! One look at everything. Runs on a thread that may block, a look at a time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::alert::Episode;
use domain::{ChannelId, Currency, Wall};
use serde_json::Map;
use store::Alerts;
use store::alerts::{AlertsError, Crossing, NewAlert};
use store::ledger::LedgerError;
use store::ledger::spend::Spend;

use super::budgets::Seen;
use super::counts::{Counts, Kind};
use super::facts::Facts;
use super::message::{Message, Severity};
use super::pace::Usuals;
use super::words;
use crate::clock::Chance;

/// Between two questions to the ledger.
const LEDGER_INTERVAL: Duration = Duration::from_secs(15);
/// Between two sweeps of the outbox.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// Why a look was not finished. What it missed is found by the next one.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Outbox(#[from] AlertsError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

pub struct Watch {
    pub(super) outbox: Arc<Alerts>,
    pub(super) dir: PathBuf,
    chance: Arc<Chance>,
    counts: Arc<Counts>,
    /// By rule and subject, as the outbox has them. `None` before the first look.
    pub(super) episodes: Option<HashMap<(String, String), Episode>>,
    pub(super) usuals: Usuals,
    pub(super) budgets: Seen,
    ledger_at: Option<Wall>,
    swept_at: Option<Wall>,
    /// Something was written down in this look.
    is_news: bool,
}

/// What an alert says before it has an id.
pub(super) struct Told {
    pub kind: Kind,
    pub severity: Severity,
    pub resolved: bool,
    pub rule: String,
    pub subject: String,
    pub title: String,
    pub text: String,
}

impl Watch {
    pub fn new(
        outbox: Arc<Alerts>,
        dir: PathBuf,
        chance: Arc<Chance>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            outbox,
            dir,
            chance,
            counts,
            episodes: None,
            usuals: Usuals::default(),
            budgets: Seen::default(),
            ledger_at: None,
            swept_at: None,
            is_news: false,
        }
    }

    /// Whether there is something to deliver. What fails is noted, and hides nothing else.
    pub fn look(&mut self, facts: &Facts) -> bool {
        self.is_news = false;
        let mut fault = None;
        let mut note = |looked: Result<(), LookError>| {
            if let (None, Err(error)) = (&fault, looked) {
                fault = Some(error.to_string());
            }
        };
        note(self.look_at_budgets(facts));
        note(self.look_at_conditions(facts));
        if is_due(&mut self.ledger_at, LEDGER_INTERVAL, facts.now) {
            note(self.look_at_ledger(facts));
        }
        if is_due(&mut self.swept_at, SWEEP_INTERVAL, facts.now) {
            note(self.sweep(facts.now));
        }
        self.counts.set_fault(fault);
        self.is_news
    }

    fn look_at_ledger(&mut self, facts: &Facts) -> Result<(), LookError> {
        let snapshot = &facts.snapshot;
        if snapshot.alerting.rules.is_empty() && snapshot.budgets.is_empty() {
            return Ok(());
        }
        let spend = Spend::open(&self.dir)?;
        self.look_at_ended_periods(facts, &spend)?;
        self.look_at_forecasts(facts, &spend)?;
        self.look_at_unpriced(facts, &spend)?;
        self.look_at_pace(facts, &spend)
    }

    fn sweep(&self, now: Wall) -> Result<(), LookError> {
        let swept = self.outbox.sweep(now)?;
        self.counts.dropped(swept.dropped);
        Ok(())
    }

    /// Tells what of `crossings` was not told before. `tell` gets the new ones, in their order.
    pub(super) fn raise(
        &mut self,
        facts: &Facts,
        crossings: &[Crossing],
        channels: &[ChannelId],
        tell: impl FnOnce(&[&Crossing]) -> Message,
    ) -> Result<(), LookError> {
        let id = self.id(facts.now);
        let mut told = None;
        let raised = self.outbox.raise(crossings, facts.now, |new| {
            let mut message = tell(new);
            message.id = id;
            message.raised_at = words::rfc3339(facts.now);
            told = Some((
                message.kind.clone(),
                message.title.clone(),
                message.rule.clone(),
            ));
            stored(message, channels)
        })?;
        if let (Some(dropped), Some((kind, title, rule))) = (raised, told) {
            self.note(&kind, &rule, &title, dropped);
        }
        Ok(())
    }

    /// Tells without asking whether it was told before.
    pub(super) fn tell(
        &mut self,
        facts: &Facts,
        channels: &[ChannelId],
        mut message: Message,
    ) -> Result<(), LookError> {
        message.id = self.id(facts.now);
        message.raised_at = words::rfc3339(facts.now);
        let (kind, rule, title) = (
            message.kind.clone(),
            message.rule.clone(),
            message.title.clone(),
        );
        let dropped = self.outbox.tell(&stored(message, channels), facts.now)?;
        self.note(&kind, &rule, &title, dropped);
        Ok(())
    }

    fn note(&mut self, kind: &str, rule: &str, title: &str, dropped: u64) {
        self.is_news = true;
        if let Some(known) = Kind::ALL.into_iter().find(|known| known.as_str() == kind) {
            self.counts.raised(known);
        }
        self.counts.dropped(dropped);
        tracing::warn!(kind, rule, title, "alert");
    }

    fn id(&self, now: Wall) -> String {
        format!("alert_{}", self.chance.call_id(now))
    }
}

/// Whether so much time has passed, or the clock was set back.
pub(super) fn is_due(last: &mut Option<Wall>, interval: Duration, now: Wall) -> bool {
    let is_due = last.is_none_or(|last| now < last || now.since(last) >= interval);
    if is_due {
        *last = Some(now);
    }
    is_due
}

/// What costs on the ledger are in.
pub(super) fn currency(facts: &Facts) -> Currency {
    facts.snapshot.prices.currency
}

fn stored(message: Message, channels: &[ChannelId]) -> NewAlert {
    let kind = Kind::ALL
        .into_iter()
        .find(|known| known.as_str() == message.kind)
        .map_or("", Kind::as_str);
    NewAlert {
        id: message.id.clone(),
        kind,
        rule: message.rule.clone(),
        subject: message.subject.clone(),
        title: message.title.clone(),
        body: message.into_json(),
        channels: channels.to_vec(),
    }
}

impl Told {
    pub fn into_message(self) -> Message {
        let Self {
            kind,
            severity,
            resolved,
            rule,
            subject,
            title,
            text,
        } = self;
        Message {
            id: String::new(),
            kind: kind.as_str().to_owned(),
            severity,
            rule,
            subject,
            resolved,
            raised_at: String::new(),
            title,
            text,
            facts: Vec::new(),
            details: Map::new(),
        }
    }
}
