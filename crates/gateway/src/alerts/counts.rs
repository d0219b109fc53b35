//! What is counted of alerts, for the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ChannelId;
use store::alerts::Waiting;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    BudgetThreshold,
    BudgetForecast,
    PaceFaster,
    PaceSlower,
    ModelUnpriced,
    BreakerOpen,
    CredentialFailure,
    SinkTrouble,
    LedgerFault,
    AuditFault,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::BudgetThreshold,
        Self::BudgetForecast,
        Self::PaceFaster,
        Self::PaceSlower,
        Self::ModelUnpriced,
        Self::BreakerOpen,
        Self::CredentialFailure,
        Self::SinkTrouble,
        Self::LedgerFault,
        Self::AuditFault,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BudgetThreshold => "budget.threshold",
            Self::BudgetForecast => "budget.forecast",
            Self::PaceFaster => "pace.faster",
            Self::PaceSlower => "pace.slower",
            Self::ModelUnpriced => "model.unpriced",
            Self::BreakerOpen => "breaker.open",
            Self::CredentialFailure => "credential.failure",
            Self::SinkTrouble => "sink.trouble",
            Self::LedgerFault => "ledger.fault",
            Self::AuditFault => "audit.fault",
        }
    }
}

/// How a delivery ended, or did not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Delivered,
    /// It is tried again.
    Failed,
    Refused,
}

impl Ending {
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Refused];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

#[derive(Default)]
pub struct Counts {
    /// In the order of [`Kind::ALL`].
    raised: [AtomicU64; Kind::ALL.len()],
    dropped: AtomicU64,
    channels: Mutex<BTreeMap<ChannelId, OfChannel>>,
    /// Why alerts cannot be looked for or kept.
    fault: Mutex<Option<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfChannel {
    /// In the order of [`Ending::ALL`].
    pub endings: [u64; Ending::ALL.len()],
    pub waiting: u64,
}

impl Counts {
    pub(super) fn raised(&self, kind: Kind) {
        for (known, count) in Kind::ALL.iter().zip(&self.raised) {
            if *known == kind {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn dropped(&self, deliveries: u64) {
        if deliveries > 0 {
            self.dropped.fetch_add(deliveries, Ordering::Relaxed);
            tracing::error!(
                deliveries,
                "alerts were dropped undelivered: too many waited for a channel, or for too long"
            );
        }
    }

    pub(super) fn ended(&self, channel: &ChannelId, ending: Ending) {
        let mut channels = lock(&self.channels);
        let of_channel = channels.entry(channel.clone()).or_default();
        for (known, count) in Ending::ALL.iter().zip(&mut of_channel.endings) {
            if *known == ending {
                *count += 1;
            }
        }
    }

    /// Channels are those of configurations in force: few.
    pub(super) fn set_waiting(&self, waiting: &[Waiting]) {
        let mut channels = lock(&self.channels);
        for of_channel in channels.values_mut() {
            of_channel.waiting = 0;
        }
        for Waiting {
            channel,
            deliveries,
            since: _,
        } in waiting
        {
            channels.entry(channel.clone()).or_default().waiting = *deliveries;
        }
    }

    /// Logged when it changes, not every time.
    pub(super) fn set_fault(&self, fault: Option<String>) {
        let mut noted = lock(&self.fault);
        match (&*noted, &fault) {
            (None, Some(fault)) => tracing::error!(%fault, "alerts cannot be told"),
            (Some(_), None) => tracing::info!("alerts can be told again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *noted = fault;
    }

    pub fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    pub fn of_kinds(&self) -> impl Iterator<Item = (Kind, u64)> {
        let counts = Kind::ALL.into_iter().zip(&self.raised);
        counts.map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }

    pub fn of_channels(&self) -> Vec<(ChannelId, OfChannel)> {
        let channels = lock(&self.channels);
        channels
            .iter()
            .map(|(id, of_channel)| (id.clone(), *of_channel))
            .collect()
    }

    pub fn all_dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
