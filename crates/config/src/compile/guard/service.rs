//! Guards that ask a service: what they ask, and what of an answer blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use content::safety::{azure, moderation};
use content::split::Bounds;
use dialect::Dialect;
use domain::breaker::BreakerRule;

use super::Kind;
use crate::compile::backend::Backends;
use crate::file::auth::Auth;
use crate::file::guard::service::{Categories, ContentSafety, GuardWebhook, Moderation, Presidio};
use crate::file::tls::{self, ClientTls};
use crate::problem::{Place, Problems};
use crate::read::{Placed, Span, Whole};
use crate::snapshot::{
    self, AnswerWindows, GuardKind, Guarded, KeyHeader, PrivateUrl, Service, Windows,
};

/// Severity of what is more than rude and less than a threat.
const MEDIUM: u8 = 4;

/// If nothing is said, and half a window if that is less.
const OVERLAP: u32 = 100;

type Overlap = Option<Placed<Whole<0, 1_000>>>;

/// Of services that have no backend of their own to say it.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// A guard as it is written: where it stands, and whom it may name.
pub(super) struct Site<'s> {
    pub rule: &'s Arc<str>,
    pub field: &'s str,
    pub place: Place,
    pub backends: &'s Backends,
    pub problems: &'s mut Problems,
}

impl Site<'_> {
    fn error(&mut self, place: Place, field: &str, problem: &str, fix: &str) {
        let field = format!("{}.{field}", self.field);
        self.problems.error(place, &field, problem, fix);
    }

    fn windows(
        &mut self,
        kind: &str,
        prompt: Whole<100, 10_000>,
        (answer, hold): (Whole<100, 10_000>, Span),
        overlap: Overlap,
    ) -> Windows {
        let windows = [("prompt_window", prompt), ("answer_window", answer)];
        let [prompt, answer] = self.bounds(kind, windows, overlap);
        Windows {
            prompt,
            answer: AnswerWindows {
                bounds: answer,
                hold: hold.0,
            },
        }
    }

    /// An overlap that is not written is as long as its windows allow.
    fn bounds<const N: usize>(
        &mut self,
        kind: &str,
        windows: [(&str, Whole<100, 10_000>); N],
        overlap: Overlap,
    ) -> [Bounds; N] {
        let chars = overlap
            .as_ref()
            .map_or(OVERLAP, |overlap| overlap.value.as_u32());
        let smallest = windows.iter().min_by_key(|(_, window)| window.as_u32());
        if let (Some(overlap), Some((name, window))) = (overlap, smallest)
            && chars > window.as_u32() / 2
        {
            let window = window.as_u32();
            let problem = format!("more than half of `{name}`, which is {window}");
            let most = window / 2;
            let fix = format!(
                "at most {most} with `{name}: {window}`, or `{name}` of at least {}",
                2 * chars
            );
            self.error(overlap.place, &format!("{kind}.overlap"), &problem, &fix);
        }
        windows.map(|(_, window)| Bounds::new(window.as_u32() as usize, chars as usize))
    }

    /// One that a guard has to itself.
    fn service(
        &mut self,
        kind: &str,
        url: PrivateUrl,
        auth: Placed<Auth>,
        written: Option<Placed<ClientTls>>,
    ) -> Arc<Service> {
        let field = format!("{}.{kind}", self.field);
        let Placed { value: auth, place } = auth;
        if let Some(name) = auth.is_for_azure_ai() {
            self.problems.warning(
                place,
                &format!("{field}.auth.{name}"),
                "not written: the token would be one for Azure's AI services, which this service is none of",
                "write what the token is for, such as `api://judge`",
            );
        }
        Arc::new(Service {
            name: self.rule.clone(),
            tls: tls::of(&url.0, written, &field, self.problems),
            url,
            auth: auth.0,
            key_header: KeyHeader::Bearer,
            connect_timeout: CONNECT_TIMEOUT,
            breaker: BreakerRule::default(),
        })
    }
}

pub(super) fn content_safety(section: ContentSafety, on: Guarded, site: &mut Site<'_>) -> Kind {
    let ContentSafety {
        backend,
        categories,
        shield_prompt,
        blocklists,
        halt_on_blocklist_hit,
        r#where: _,
        timeout,
        on_error,
        prompt_window,
        answer_window,
        hold,
        overlap,
    } = section;
    let windows = site.windows(
        "content_safety",
        prompt_window,
        (answer_window, hold),
        overlap,
    );
    let rules = azure::Rules {
        thresholds: thresholds(categories.as_ref()),
        blocklists: blocklists.items.into_iter().map(|list| list.text).collect(),
        halt_on_blocklist_hit,
    };
    if shield_prompt && !on.prompt {
        let problem = "it does not look at prompts, and `shield_prompt` is about them";
        let fix = "add `prompt` to `where`, or remove `shield_prompt`";
        site.error(site.place, "content_safety.shield_prompt", problem, fix);
    }
    if !rules.analyses() && !shield_prompt {
        let problem = "it looks for nothing";
        let fix = "name categories or blocklists, or set `shield_prompt: true`";
        site.error(site.place, "content_safety", problem, fix);
    }
    let Some(judge) = site.backends.judges.get(&backend.id) else {
        if site.backends.models.contains_key(&backend.id) {
            let problem = "this backend hosts models and judges nothing";
            let fix = "name a backend with `dialect: azure-content-safety`";
            site.error(backend.place, "content_safety.backend", problem, fix);
        }
        return (on_error, None);
    };
    let kind = snapshot::ContentSafety {
        service: judge.service.clone(),
        api_version: judge.api_version.clone(),
        rules,
        shields_prompt: shield_prompt,
        timeout: timeout.0,
        windows,
    };
    (on_error, Some(GuardKind::ContentSafety(Box::new(kind))))
}

fn thresholds(written: Option<&Categories>) -> [Option<u8>; azure::Category::ALL.len()] {
    let Some(Categories {
        hate,
        self_harm,
        sexual,
        violence,
    }) = written
    else {
        return [Some(MEDIUM); azure::Category::ALL.len()];
    };
    // In the order of `Category::ALL`.
    [hate, self_harm, sexual, violence]
        .map(|severity| severity.and_then(|Whole(severity)| u8::try_from(severity).ok()))
}

pub(super) fn moderation(section: Moderation, site: &mut Site<'_>) -> Kind {
    let Moderation {
        backend,
        model,
        thresholds,
        flagged,
        r#where: _,
        timeout,
        on_error,
        prompt_window,
        answer_window,
        hold,
        overlap,
    } = section;
    let windows = site.windows("moderation", prompt_window, (answer_window, hold), overlap);
    let thresholds: BTreeMap<String, f64> = thresholds
        .entries
        .into_iter()
        .map(|entry| (entry.name, entry.value.0))
        .collect();
    let rules = moderation::Rules {
        block_flagged: flagged.unwrap_or(thresholds.is_empty()),
        thresholds,
    };
    if !rules.block_flagged && rules.thresholds.is_empty() {
        let problem = "it never blocks anything";
        let fix = "name thresholds, or remove `flagged: false`";
        site.error(site.place, "moderation", problem, fix);
    }
    let hosts = site.backends.models.get(&backend.id);
    let judge = hosts.filter(|host| host.dialect == Dialect::OpenAi);
    let Some(judge) = judge else {
        if hosts.is_some() || site.backends.judges.contains_key(&backend.id) {
            let problem = "only backends with `dialect: openai` have a moderation endpoint";
            let fix = "name one of those; for Azure, write a `content_safety` guard";
            site.error(backend.place, "moderation.backend", problem, fix);
        }
        return (on_error, None);
    };
    let kind = snapshot::Moderation {
        service: Arc::new(Service {
            name: format!("backend/{}/moderations", judge.id).into(),
            url: PrivateUrl(judge.url.clone()),
            auth: judge.auth.clone(),
            key_header: KeyHeader::Bearer,
            tls: judge.tls.clone(),
            connect_timeout: judge.timeouts.connect,
            breaker: judge.breaker,
        }),
        model: model.text.into(),
        rules,
        timeout: timeout.0,
        windows,
    };
    (on_error, Some(GuardKind::Moderation(Box::new(kind))))
}

pub(super) fn webhook(section: GuardWebhook, site: &mut Site<'_>) -> Kind {
    let GuardWebhook {
        url,
        secret,
        auth,
        tls,
        r#where: _,
        timeout,
        on_error,
        answer_window,
        hold,
        overlap,
    } = section;
    let windows = [("answer_window", answer_window)];
    let [bounds] = site.bounds("webhook", windows, overlap);
    let kind = snapshot::GuardWebhook {
        service: site.service("webhook", url.0, auth, tls),
        key: secret.map(|secret| secret.0),
        timeout: timeout.0,
        windows: AnswerWindows {
            bounds,
            hold: hold.0,
        },
    };
    (on_error, Some(GuardKind::Webhook(Box::new(kind))))
}

pub(super) fn presidio(section: Presidio, site: &mut Site<'_>) -> Kind {
    let Presidio {
        url,
        auth,
        tls,
        language,
        entities,
        min_score,
        action,
        r#where: _,
        timeout,
        on_error,
        prompt_window,
        answer_window,
        hold,
        overlap,
    } = section;
    if url.0.path().trim_end_matches('/').ends_with("/analyze") {
        site.problems.warning(
            site.place,
            &format!("{}.presidio.url", site.field),
            "ends with `/analyze`, which is added: the analyzer would be asked at `/analyze/analyze`",
            "leave `/analyze` out",
        );
    }
    let windows = site.windows("presidio", prompt_window, (answer_window, hold), overlap);
    let entities = match entities {
        Some(written) => {
            if written.value.items.is_empty() && written.value.is_whole {
                let fix = "name entities, or remove the field";
                site.error(
                    written.place,
                    "presidio.entities",
                    "it looks for nothing",
                    fix,
                );
            }
            written
                .value
                .items
                .into_iter()
                .map(|name| name.text)
                .collect()
        }
        None => ["PERSON", "LOCATION"].map(str::to_owned).to_vec(),
    };
    let kind = snapshot::Presidio {
        service: site.service("presidio", PrivateUrl(url.0), auth, tls),
        language: language.text.into(),
        entities,
        score_min: min_score.0,
        action,
        timeout: timeout.0,
        windows,
    };
    (on_error, Some(GuardKind::Presidio(Box::new(kind))))
}
