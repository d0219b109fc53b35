//! What an alert says, before a channel gives it a form. Kept in the outbox as JSON; webhooks get it as
//! it is.

use config::snapshot::Settings;
use domain::Wall;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::words;

/// Longer texts are cut: channels have bounds, and names that clients chose stand in them.
const TITLE_CHARACTERS_MAX: usize = 140;
const TEXT_CHARACTERS_MAX: usize = 2_000;
const FACT_CHARACTERS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is over, or a test.
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Its fields are those of `data` in a webhook's body, as `docs/alerts.md` lists them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The same for every try and every channel.
    pub id: String,
    /// `budget.threshold`, `breaker.open`
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: Severity,
    /// The name of the budget or of the rule.
    pub rule: String,
    /// What it is about: a budget's key, a team, a model, a backend.
    pub subject: String,
    /// What was told before is over.
    pub resolved: bool,
    /// RFC 3339, UTC.
    pub raised_at: String,
    /// One line.
    pub title: String,
    /// What happened, what it means, and what to do.
    pub text: String,
    /// In the operator's words, for people.
    pub facts: Vec<Fact>,
    /// The same for machines.
    pub details: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

impl Message {
    /// For trying a channel.
    pub fn test(id: String, channel: &str, now: Wall, settings: &Settings) -> Self {
        let zone = &settings.time_zone;
        let at = words::moment(now, zone);
        Self {
            id,
            kind: "test".to_owned(),
            severity: Severity::Info,
            rule: "test".to_owned(),
            subject: channel.to_owned(),
            resolved: false,
            raised_at: words::rfc3339(now),
            title: format!("Test of channel {channel}"),
            text: format!(
                "`tollgate alerts test` sent this on {at} ({}). Alerts of this gateway will look like it; nothing is to be done.",
                words::zone_name(zone)
            ),
            facts: Vec::new(),
            details: Map::new(),
        }
        .fact("Channel", channel)
        .detail("channel", channel)
    }

    pub fn fact(mut self, name: &str, value: &str) -> Self {
        self.facts.push(Fact {
            name: name.to_owned(),
            value: cut(value, FACT_CHARACTERS_MAX),
        });
        self
    }

    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// As the outbox keeps it.
    pub fn into_json(mut self) -> String {
        self.title = cut(&self.title, TITLE_CHARACTERS_MAX);
        self.text = cut(&self.text, TEXT_CHARACTERS_MAX);
        // A map of texts and numbers cannot fail.
        serde_json::to_string(&self).unwrap_or_default()
    }
}

/// At most so many characters, on one line if it was one: names may hold anything.
fn cut(text: &str, characters_max: usize) -> String {
    let harmless = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    let mut cut: String = text.chars().take(characters_max).map(harmless).collect();
    if cut.len() < text.len() && text.chars().count() > characters_max {
        cut.pop();
        cut.push('…');
    }
    cut
}

#[cfg(test)]
pub(super) fn sample() -> Message {
    Message {
        id: "alert_0123".to_owned(),
        kind: "budget.threshold".to_owned(),
        severity: Severity::Warning,
        rule: "search-month".to_owned(),
        subject: "search".to_owned(),
        resolved: false,
        raised_at: "2026-11-22T14:00:00Z".to_owned(),
        title: "Budget search-month: 80% used".to_owned(),
        text: "402.13 of 500.00 EUR are spent.\nCalls go on.".to_owned(),
        facts: Vec::new(),
        details: Map::new(),
    }
    .fact("Spent", "402.13 EUR")
    .detail("spent", "402.13")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_from_the_outbox() {
        let message = sample();
        let kept = message.clone().into_json();
        assert_eq!(serde_json::from_str::<Message>(&kept).unwrap(), message);
    }

    #[test]
    fn a_name_of_any_length_and_kind_fits_its_line() {
        let message = sample().fact("Key", &"\u{1b}[2J😀".repeat(1000));
        let value = &message.facts[1].value;
        assert_eq!(value.chars().count(), 200);
        assert!(value.ends_with('…') && !value.contains('\u{1b}'));
        assert_eq!(cut("kurz", 4), "kurz");
        assert_eq!(cut("länger", 4), "län…");
    }
}
