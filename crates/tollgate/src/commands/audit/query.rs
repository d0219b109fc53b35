//! What a search asks for, as options.

use anyhow::{Result, bail};
use audit::Query;
use clap::Args;
use domain::record::Outcome;
use domain::{CallId, SubscriptionId};

use super::Opened;
use crate::moment::Moment;

#[derive(Debug, Args)]
pub(super) struct Filters {
    /// Calls that began at it or later: a date, an RFC 3339 time, or how long ago (30m, 24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,
    /// Calls that began before it
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    #[arg(long, value_name = "ID")]
    product: Option<String>,
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// As usage records have it: ok, client_error, refused, upstream_failed, cut, hung_up, …
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<Outcome>,
    /// A user, or where none is known a caller. Needs the right to read content
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// Part of what guards found: `blocked`, `email`, a guard's name
    #[arg(long, value_name = "TEXT")]
    verdict: Option<String>,
    /// Words that must all be there, phrases in double quotes. Needs the right to read content
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
}

impl Filters {
    pub(super) fn query(&self, opened: &Opened) -> Result<Query> {
        let zone = &opened.snapshot.settings.time_zone;
        let resolved = |moment: Option<Moment>, name: &str| match moment {
            None => Ok(None),
            Some(moment) => match moment.resolve(opened.now, zone) {
                Some(at) => Ok(Some(at)),
                None => bail!("--{name}: the calendar of `time_zone` has no such day"),
            },
        };
        let name = |name: &Option<String>| name.as_deref().map(Into::into);
        Ok(Query {
            since: resolved(self.since, "since")?,
            until: resolved(self.until, "until")?,
            subscription: self.subscription.as_deref().map(SubscriptionId::from),
            product: name(&self.product),
            application: name(&self.application),
            model: name(&self.model),
            outcome: self.outcome,
            person: self.person.clone(),
            verdict: self.verdict.clone(),
            text: self.text.clone(),
            ..Query::default()
        })
    }
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let found = Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.as_str() == text);
    found.ok_or_else(|| {
        format!(
            "write one of: {}",
            Outcome::ALL.map(Outcome::as_str).join(", ")
        )
    })
}

/// As `x-request-id` has it.
pub(super) fn call_id(text: &str) -> Result<CallId, String> {
    let fault = || "write the 32 hex digits of x-request-id".to_owned();
    if text.len() != 32 {
        return Err(fault());
    }
    u128::from_str_radix(text, 16)
        .map(CallId)
        .map_err(|_| fault())
}
