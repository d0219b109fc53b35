//! Guards that ask a service.

use domain::BackendId;

use super::GuardedContent;
use crate::file::auth::Auth;
use crate::file::backend::WebUrl;
use crate::file::notify::{HookUrl, WebhookSecret};
use crate::file::tls::ClientTls;
use crate::read::{List, Map, Placed, Reference, Share, Span, Text, Whole, section, words};
use crate::snapshot::{OnError, PresidioAction};

section! {
    /// Azure AI Content Safety judges harm by category, blocklists, and attacks on the model.
    pub struct ContentSafety {
        /// A backend with `dialect: azure-content-safety`.
        pub backend: Reference<BackendId>,
        /// The severity from which on each category blocks. Without it, 4 (medium) for all four;
        /// what is left out of it is not looked at.
        pub categories: Option<Categories>,
        /// Attacks on the model block: in what users write, and in what tools return.
        pub shield_prompt: bool = "false",
        /// Blocklists of the service, by name. A hit blocks.
        pub blocklists: List<Text> = "[]",
        /// Judge no categories where a blocklist is hit.
        pub halt_on_blocklist_hit: bool = "false",
        /// Where it looks. Without it: `[prompt, answer]`.
        pub r#where: Option<Placed<List<GuardedContent>>>,
        /// How long the service may take for one question.
        pub timeout: Span = "2s",
        /// What follows if it cannot judge.
        pub on_error: OnError = "block",
        /// Characters of a prompt's text, or of an answer that is whole, that are judged at once.
        /// Longer texts are judged in several windows; texts of different turns never share one with
        /// a system prompt.
        pub prompt_window: Whole<100, 10_000> = "10000",
        /// Characters of a streamed answer that are judged at once: so much of it is held back.
        pub answer_window: Whole<100, 10_000> = "1000",
        /// The longest that a streamed answer's text waits for its window to fill up. Then what is there
        /// is judged, and leaves if it passes; the next window sees its end again.
        pub hold: Span = "2s",
        /// Characters that a window has in common with the one before it. A phrase no longer than
        /// this is seen whole by one of them. At most half a
        /// window. Without it: 100, or half a window if that is less.
        pub overlap: Option<Placed<Whole<0, 1_000>>>,
    }
}

section! {
    /// The severity from which on each category blocks: 2 is low, 4 medium, 6 high. An odd one asks the
    /// service for all eight levels.
    pub struct Categories {
        /// Hate and fairness.
        pub hate: Option<Whole<1, 7>>,
        /// Self-harm.
        pub self_harm: Option<Whole<1, 7>>,
        /// Sexual content.
        pub sexual: Option<Whole<1, 7>>,
        /// Violence.
        pub violence: Option<Whole<1, 7>>,
    }
}

section! {
    /// OpenAI's moderation endpoint, or one that speaks as it does.
    pub struct Moderation {
        /// A backend with `dialect: openai`.
        pub backend: Reference<BackendId>,
        /// The model that judges.
        pub model: Text = "omni-moderation-latest",
        /// The score from which on each category blocks, by the endpoint's own names, as in
        /// `{ violence: 0.5, self-harm/intent: 0.3 }`.
        pub thresholds: Map<Share<false>> = "{}",
        /// Whether what the endpoint itself flags blocks. Without it, only where there are no
        /// `thresholds`.
        pub flagged: Option<bool>,
        /// Where it looks. Without it: `[prompt, answer]`.
        pub r#where: Option<Placed<List<GuardedContent>>>,
        /// How long the endpoint may take for one question.
        pub timeout: Span = "2s",
        /// What follows if it cannot judge.
        pub on_error: OnError = "block",
        /// Characters of a prompt's text, or of an answer that is whole, that are judged at once.
        pub prompt_window: Whole<100, 10_000> = "2000",
        /// Characters of a streamed answer that are judged at once: so much of it is held back.
        pub answer_window: Whole<100, 10_000> = "1000",
        /// The longest that a streamed answer's text waits for its window to fill up. Then what is there
        /// is judged, and leaves if it passes; the next window sees its end again.
        pub hold: Span = "2s",
        /// Characters that a window has in common with the one before it. At most half a
        /// window. Without it: 100, or half a window if that is less.
        pub overlap: Option<Placed<Whole<0, 1_000>>>,
    }
}

section! {
    /// A judge of your own, by HTTP: see `docs/guards.md` for what it is sent and what it may answer.
    pub struct GuardWebhook {
        /// Where it is asked. Never logged beyond its host.
        pub url: HookUrl,
        /// Signs each question, by Standard Webhooks: `whsec_` and Base64, or any text of 16
        /// characters or more. Without it, questions are not signed.
        pub secret: Option<WebhookSecret>,
        /// The gateway's credential there, beside the signature. Of whichever kind, it is sent as
        /// `Authorization: Bearer`.
        pub auth: Placed<Auth> = "none",
        /// Whom the gateway trusts there, and what it shows. Without it: the public authorities, and
        /// nothing.
        pub tls: Option<Placed<ClientTls>>,
        /// Where it looks. Without it: `[prompt, answer]`.
        pub r#where: Option<Placed<List<GuardedContent>>>,
        /// How long it may take for one question.
        pub timeout: Span = "2s",
        /// What follows if it cannot judge.
        pub on_error: OnError = "block",
        /// Characters of a streamed answer that are judged at once: so much of it is held back.
        pub answer_window: Whole<100, 10_000> = "1000",
        /// The longest that a streamed answer's text waits for its window to fill up. Then what is there
        /// is judged, and leaves if it passes; the next window sees its end again.
        pub hold: Span = "2s",
        /// Characters that such a window has in common with the one before it. At most half a
        /// window. Without it: 100, or half a window if that is less.
        pub overlap: Option<Placed<Whole<0, 1_000>>>,
    }
}

section! {
    /// Microsoft Presidio's analyzer finds names and addresses by a model of language.
    pub struct Presidio {
        /// Its base URL, without `/analyze`.
        pub url: WebUrl,
        /// The gateway's credential there. Of whichever kind, it is sent as `Authorization: Bearer`.
        pub auth: Placed<Auth> = "none",
        /// Whom the gateway trusts there, and what it shows. Without it: the public authorities, and
        /// nothing.
        pub tls: Option<Placed<ClientTls>>,
        /// The language of the texts, as the analyzer names it.
        pub language: Text = "en",
        /// What it looks for, by the analyzer's names. Without it, `[PERSON, LOCATION]`: `pii` finds the
        /// rest in this process.
        pub entities: Option<Placed<List<Text>>>,
        /// How sure the analyzer must be.
        pub min_score: Share<true> = "0.5",
        /// What becomes of what it finds.
        pub action: PresidioAction = "redact",
        /// Where it looks. Without it: `[prompt, answer]`.
        pub r#where: Option<Placed<List<GuardedContent>>>,
        /// How long the analyzer may take for one question.
        pub timeout: Span = "2s",
        /// What follows if it cannot judge.
        pub on_error: OnError = "block",
        /// Characters of a prompt's text, or of an answer that is whole, that are analyzed at once.
        pub prompt_window: Whole<100, 10_000> = "5000",
        /// Characters of a streamed answer that are analyzed at once: so much of it is held back.
        pub answer_window: Whole<100, 10_000> = "500",
        /// The longest that a streamed answer's text waits for its window to fill up. Then what is there
        /// is judged, and leaves if it passes; the next window sees its end again.
        pub hold: Span = "2s",
        /// Characters that a window has in common with the one before it. A name no longer than this
        /// is seen whole by one of them. At most half a
        /// window. Without it: 100, or half a window if that is less.
        pub overlap: Option<Placed<Whole<0, 1_000>>>,
    }
}

words! { PresidioAction, "action":
    /// Its kind stands in its place: `[PERSON]`.
    "redact" => PresidioAction::Redact,
    /// `<PERSON_1>` stands in its place, and is put back in the answer.
    "mask" => PresidioAction::Mask,
    /// The call is refused with 400 `content_filter`.
    "block" => PresidioAction::Block,
}
