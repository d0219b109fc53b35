//! What is so at one moment, gathered without waiting for anything.

use std::sync::Arc;

use config::Snapshot;
use domain::Wall;
use store::counters::BudgetLevel;
use store::ledger::Health;

use crate::audit::stores::StoreHealth;
use crate::gateway::Gateway;
use crate::sinks::SinkHealth;

pub struct Facts {
    pub now: Wall,
    pub snapshot: Arc<Snapshot>,
    /// Counters of budgets, in their running periods.
    pub budgets: Vec<BudgetLevel>,
    /// Backends whose breaker is not closed.
    pub open_breakers: Vec<String>,
    pub failing_identities: Vec<String>,
    pub failing_issuers: Vec<String>,
    pub sinks: Vec<SinkHealth>,
    pub ledger: Health,
    pub audit: Vec<StoreHealth>,
}

impl Facts {
    pub fn of(gateway: &Gateway) -> Self {
        let snapshot = gateway.snapshot.load_full();
        let backends = gateway.router.backends();
        let open = backends
            .all()
            .into_iter()
            .filter(|state| state.is_tripped());
        let identities = backends.identities().into_iter();
        let failing = identities.filter(|followed| followed.identity.is_failing());
        let issuers = gateway.authenticator.failing_issuers(&snapshot);
        let now = gateway.clock.now();
        Self {
            now: now.wall,
            budgets: gateway.counters.budget_levels(now),
            open_breakers: open.map(|state| state.id().to_string()).collect(),
            failing_identities: failing
                .map(|followed| followed.identity.name().to_owned())
                .collect(),
            failing_issuers: issuers.iter().map(|name| name.to_string()).collect(),
            sinks: gateway.sinks.health(),
            ledger: gateway.ledger.health(),
            audit: gateway.audit.health(),
            snapshot,
        }
    }
}
