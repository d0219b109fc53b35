//! What services that judge content are asked about a document, or about a window of a stream.
//!
//! Texts of different voices never share a question: a harmless system prompt must not hide what a
//! user wrote. Nothing is left out for its length.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use config::snapshot::{
    ContentSafety, Guard, GuardKind, GuardWebhook, Moderation, Presidio, PresidioAction,
};
use content::redact::Masks;
use content::safety::{Judgement, azure, moderation, presidio, webhook};
use content::split;
use dialect::texts::{self, Voice};
use domain::record::Content;
use http::{HeaderMap, HeaderValue};

use super::asking::{self, Asking};
use super::service::{Failure, Question, Services};
use crate::alerts;
use crate::clock::Clock;

/// Texts of one question to a webhook, and what they may take together. A longer one goes alone.
const WEBHOOK_TEXTS_MAX: usize = 1_000;
const WEBHOOK_BYTES_MAX: usize = 512 * 1024;

/// Whose call it is, for judges that are told.
#[derive(Debug)]
pub struct Subject {
    pub call: String,
    pub subscription: String,
    pub product: String,
    pub application: Option<String>,
    pub model: String,
}

/// Judges, and what they need to ask. Cheap to clone.
#[derive(Clone)]
pub struct Judges {
    pub services: Arc<Services>,
    pub clock: Clock,
    pub subject: Arc<Subject>,
}

/// What became of texts that were judged.
#[derive(Debug, Default)]
pub struct Judged {
    pub judgement: Judgement,
    pub failure: Option<Failure>,
    /// One for each text, where some were edited.
    pub edited: Option<Vec<String>>,
    /// What an analyzer found in each text: for [`apply`], which has the masks.
    pub spans: Vec<Vec<presidio::Span>>,
}

impl From<(Judgement, Option<Failure>)> for Judged {
    fn from((judgement, failure): (Judgement, Option<Failure>)) -> Self {
        Self {
            judgement,
            failure,
            ..Self::default()
        }
    }
}

/// Does with what an analyzer found in these texts what its guard says. `meant`: what a value means as
/// it is written, which is what is put back.
pub fn apply(
    presidio: &Presidio,
    texts: &[&str],
    judged: &mut Judged,
    masks: &mut Masks,
    meant: impl Fn(&str) -> String,
) {
    let mut edited = Vec::with_capacity(texts.len());
    let mut is_edited = false;
    for (text, spans) in texts.iter().zip(std::mem::take(&mut judged.spans)) {
        let kept = masks.places(text);
        let replace = |kind: &str, value: &str| {
            let mask = match presidio.action {
                PresidioAction::Mask => masks.placeholder_of(kind, &meant(value)),
                PresidioAction::Redact | PresidioAction::Block => None,
            };
            // Past the bound of what one conversation may hold, it cannot be put back.
            mask.map_or_else(|| presidio::redaction(kind), |mask| mask.to_string())
        };
        let replaced = presidio::edited(text, spans, &kept, &mut judged.judgement, replace);
        is_edited |= replaced.is_some();
        edited.push(replaced.unwrap_or_else(|| (*text).to_owned()));
    }
    judged.judgement.is_blocked |= is_edited && presidio.action == PresidioAction::Block;
    judged.edited = is_edited.then_some(edited);
}

impl Judges {
    /// A whole document, and the document as a judge edited it.
    pub async fn document(
        &self,
        guard: &GuardKind,
        rule: &str,
        on: Content,
        document: &[u8],
        masks: &mut Masks,
    ) -> (Judged, Option<Vec<u8>>) {
        let judged = match guard {
            GuardKind::Pii(_) | GuardKind::Lists(_) => Judged::default(),
            GuardKind::ContentSafety(safety) => {
                let turns = turns(document);
                let bounds = safety.windows.prompt;
                let questions = split::questions(borrowed(&turns), bounds);
                self.content_safety(safety, &questions, on).await
            }
            GuardKind::Moderation(moderation) => {
                let turns = turns(document);
                let bounds = moderation.windows.prompt;
                let questions = split::questions(borrowed(&turns), bounds);
                let texts: Vec<&str> = questions.iter().map(|(_, text)| &**text).collect();
                self.moderation(moderation, &texts).await
            }
            GuardKind::Webhook(webhook) => {
                return self.webhook_document(webhook, rule, on, document).await;
            }
            GuardKind::Presidio(presidio) => {
                let mut all = Vec::new();
                texts::each(document, |text| all.push(text.to_owned()));
                let shown: Vec<&str> = all.iter().map(String::as_str).collect();
                let mut judged = self.presidio(presidio, &shown, 0..usize::MAX).await;
                apply(presidio, &shown, &mut judged, masks, str::to_owned);
                let edited = judged
                    .edited
                    .take()
                    .and_then(|edited| with(document, on, edited));
                return (judged, edited);
            }
        };
        (judged, None)
    }

    /// A window of a streamed answer's text. What an analyzer found is still to be applied.
    /// `given_out`: which of its bytes leave once it passes. Those before have left, and of what stands
    /// behind them, the next window will tell more.
    pub async fn window(&self, guard: &Guard, text: &str, given_out: Range<usize>) -> Judged {
        let rule = &guard.rule;
        match &guard.kind {
            GuardKind::Pii(_) | GuardKind::Lists(_) => Judged::default(),
            GuardKind::ContentSafety(safety) => {
                let questions = [(Voice::Assistant, text.to_owned())];
                self.content_safety(safety, &questions, Content::Answer)
                    .await
            }
            GuardKind::Moderation(moderation) => self.moderation(moderation, &[text]).await,
            GuardKind::Webhook(webhook) => {
                self.webhook(webhook, rule, Content::Answer, &[text]).await
            }
            GuardKind::Presidio(presidio) => self.presidio(presidio, &[text], given_out).await,
        }
    }

    async fn content_safety(
        &self,
        safety: &ContentSafety,
        questions: &[(Voice, String)],
        on: Content,
    ) -> Judged {
        let texts = questions.iter().map(|(_, text)| &**text);
        let mut inquiries: Vec<Inquiry<'_>> = Vec::new();
        // Attacks first: they are cheaper to find than what they lead to.
        if safety.shields_prompt && on == Content::Prompt {
            let of = |voices: &'static [Voice]| {
                let all = questions.iter();
                all.filter(move |(voice, _)| voices.contains(voice))
                    .map(|(_, text)| &**text)
            };
            inquiries.extend(of(&[Voice::User, Voice::Assistant]).map(Inquiry::Prompt));
            let documents: Vec<&str> = of(&[Voice::Tool]).collect();
            let lengths: Vec<usize> = documents.iter().map(|text| text.chars().count()).collect();
            for batch in azure::batches(&lengths) {
                inquiries.push(Inquiry::Documents(documents[batch].to_vec()));
            }
        }
        if safety.rules.analyses() {
            inquiries.extend(texts.map(Inquiry::Analyze));
        }
        let mut asked: Vec<Asking<'_>> = Vec::with_capacity(inquiries.len());
        for inquiry in &inquiries {
            asked.push(Box::pin(self.ask_azure(safety, inquiry)));
        }
        asking::all(asked).await.into()
    }

    async fn ask_azure(
        &self,
        safety: &ContentSafety,
        inquiry: &Inquiry<'_>,
    ) -> Result<Judgement, Failure> {
        let operation = match inquiry {
            Inquiry::Analyze(_) => azure::Operation::Analyze,
            Inquiry::Prompt(_) | Inquiry::Documents(_) => azure::Operation::ShieldPrompt,
        };
        let body = match inquiry {
            Inquiry::Analyze(text) => azure::analyze(text, &safety.rules),
            Inquiry::Prompt(text) => azure::shield_prompt(text, &[]),
            Inquiry::Documents(texts) => azure::shield_prompt("", texts),
        };
        let question = Question {
            path: azure::path(operation, &safety.api_version),
            headers: HeaderMap::new(),
            body: body.into(),
            timeout: safety.timeout,
        };
        let read = |answer: &[u8]| match inquiry {
            Inquiry::Analyze(_) => azure::read_analysis(answer, &safety.rules).ok(),
            Inquiry::Prompt(_) => azure::read_shield(answer, true, 0).ok(),
            Inquiry::Documents(texts) => azure::read_shield(answer, false, texts.len()).ok(),
        };
        self.services.ask(&safety.service, question, read).await
    }

    async fn moderation(&self, rules: &Moderation, texts: &[&str]) -> Judged {
        let mut asked: Vec<Asking<'_>> = Vec::new();
        for inputs in texts.chunks(moderation::INPUTS_MAX) {
            asked.push(Box::pin(self.ask_moderation(rules, inputs)));
        }
        asking::all(asked).await.into()
    }

    async fn ask_moderation(
        &self,
        rules: &Moderation,
        inputs: &[&str],
    ) -> Result<Judgement, Failure> {
        let path = if rules.service.url.0.path().ends_with("/v1") {
            "/moderations"
        } else {
            "/v1/moderations"
        };
        let question = Question {
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: moderation::request(&rules.model, inputs).into(),
            timeout: rules.timeout,
        };
        let read = |answer: &[u8]| moderation::read(answer, inputs.len(), &rules.rules).ok();
        self.services.ask(&rules.service, question, read).await
    }

    async fn webhook_document(
        &self,
        webhook: &GuardWebhook,
        rule: &str,
        on: Content,
        document: &[u8],
    ) -> (Judged, Option<Vec<u8>>) {
        let mut all = Vec::new();
        texts::each(document, |text| all.push(text.to_owned()));
        let shown: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut sum = Judged::default();
        let mut edited: Vec<String> = Vec::with_capacity(shown.len());
        let mut is_edited = false;
        for batch in batches(&shown) {
            let texts = &shown[batch];
            let judged = self.webhook(webhook, rule, on, texts).await;
            sum.judgement.add(&judged.judgement);
            sum.failure = judged.failure;
            if sum.judgement.is_blocked || sum.failure.is_some() {
                return (sum, None);
            }
            is_edited |= judged.edited.is_some();
            let unedited = || texts.iter().map(|text| (*text).to_owned()).collect();
            edited.extend(judged.edited.unwrap_or_else(unedited));
        }
        if !is_edited {
            return (sum, None);
        }
        (sum, with(document, on, edited))
    }

    /// `given_out`: of a text that goes on, what begins behind it is not looked at yet.
    async fn presidio(
        &self,
        presidio: &Presidio,
        texts: &[&str],
        given_out: Range<usize>,
    ) -> Judged {
        let spans = Mutex::new(vec![Vec::<presidio::Span>::new(); texts.len()]);
        let inquiries = presidio::inquiries(texts, presidio.windows.prompt);
        let mut asked: Vec<Asking<'_>> = Vec::with_capacity(inquiries.len());
        for inquiry in &inquiries {
            let spans = &spans;
            asked.push(Box::pin(async move {
                let found = self.ask_presidio(presidio, inquiry).await?;
                let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
                inquiry.place(&found, &mut spans);
                Ok(Judgement::default())
            }));
        }
        let (judgement, failure) = asking::all(asked).await;
        let mut spans = spans.into_inner().unwrap_or_else(PoisonError::into_inner);
        for spans in &mut spans {
            match presidio.action {
                PresidioAction::Mask | PresidioAction::Redact => {
                    presidio::editable(spans, &given_out);
                }
                // What was told in part can still end the answer.
                PresidioAction::Block => spans.retain(|span| span.range.start < given_out.end),
            }
        }
        Judged {
            judgement,
            failure,
            edited: None,
            spans,
        }
    }

    async fn ask_presidio(
        &self,
        presidio: &Presidio,
        inquiry: &presidio::Inquiry,
    ) -> Result<Vec<presidio::Entity>, Failure> {
        let Presidio {
            language,
            entities,
            score_min,
            ..
        } = presidio;
        let question = Question {
            path: "/analyze".to_owned(),
            headers: HeaderMap::new(),
            body: presidio::request(&inquiry.text, language, entities, *score_min).into(),
            timeout: presidio.timeout,
        };
        let read = |answer: &[u8]| presidio::read(answer, &inquiry.text).ok();
        let found = self.services.ask(&presidio.service, question, read).await?;
        // The analyzer was told already; one that does not know the field says everything.
        let is_sure = |entity: &presidio::Entity| entity.score >= *score_min;
        Ok(found.into_iter().filter(is_sure).collect())
    }

    async fn webhook(
        &self,
        webhook: &GuardWebhook,
        rule: &str,
        on: Content,
        texts: &[&str],
    ) -> Judged {
        let subject = &self.subject;
        let body = webhook::Question {
            version: webhook::Question::VERSION,
            call: &subject.call,
            guard: rule,
            subscription: &subject.subscription,
            product: &subject.product,
            application: subject.application.as_deref(),
            model: &subject.model,
            on: on.as_str(),
            texts,
        }
        .body();
        let question = Question {
            path: String::new(),
            headers: self.signed(webhook, &body),
            body: Bytes::from(body),
            timeout: webhook.timeout,
        };
        let read = |answer: &[u8]| webhook::read(answer, texts.len()).ok();
        let (ruling, reason) = match self.services.ask(&webhook.service, question, read).await {
            Ok(answer) => answer,
            Err(failure) => {
                return Judged {
                    failure: Some(failure),
                    ..Judged::default()
                };
            }
        };
        let mut judged = Judged::default();
        if let Some(reason) = &reason {
            judged.judgement.note(reason, 1);
        }
        match ruling {
            webhook::Ruling::Pass => {}
            webhook::Ruling::Block => judged.judgement.is_blocked = true,
            webhook::Ruling::Redact(edited) => judged.edited = Some(edited),
        }
        judged
    }

    /// As alerts are signed, by Standard Webhooks.
    fn signed(&self, webhook: &GuardWebhook, body: &str) -> HeaderMap {
        let id = format!("guard_{}", self.subject.call);
        let timestamp = (self.clock.now().wall.0 / 1000).to_string();
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: &str| {
            // Letters, digits and marks of Base64 fit a header.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        add("webhook-id", &id);
        add("webhook-timestamp", &timestamp);
        if let Some(key) = &webhook.key {
            let signature = alerts::signature(&key.0, &id, &timestamp, body);
            add("webhook-signature", &signature);
        }
        headers
    }
}

/// The document with its texts, which are the same in number and order, as they were edited.
fn with(document: &[u8], on: Content, edited: Vec<String>) -> Option<Vec<u8>> {
    let mut edited = edited.into_iter();
    let edit = |_: &str, text: &str| edited.next().filter(|edited| edited != text);
    match on {
        Content::Prompt => texts::edit_called(document, edit),
        Content::Answer => texts::edit_answer(document, edit),
    }
}

/// What Azure's service is asked about.
enum Inquiry<'q> {
    Analyze(&'q str),
    Prompt(&'q str),
    Documents(Vec<&'q str>),
}

fn turns(document: &[u8]) -> Vec<(Voice, String)> {
    let mut turns = Vec::new();
    texts::each_turn(document, |voice, text| turns.push((voice, text.to_owned())));
    turns
}

fn borrowed(turns: &[(Voice, String)]) -> impl Iterator<Item = (Voice, &str)> {
    turns.iter().map(|(voice, text)| (*voice, &**text))
}

fn batches(texts: &[&str]) -> Vec<std::ops::Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, text) in texts.iter().enumerate() {
        let is_full = at - start == WEBHOOK_TEXTS_MAX || bytes + text.len() > WEBHOOK_BYTES_MAX;
        if at > start && is_full {
            batches.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += text.len();
    }
    if start < texts.len() {
        batches.push(start..texts.len());
    }
    batches
}
