//! `guards`: who looks at prompts and answers, and what follows.

pub(crate) mod lists;
pub(crate) mod service;

use content::redact::{Action, HashKey};
use content::{Confidence, Kind};
use schemars::{Schema, SchemaGenerator, json_schema};
use sha2::{Digest, Sha256};

use self::lists::Lists;
use self::service::{ContentSafety, GuardWebhook, Moderation, Presidio};
use crate::problem::Place;
use crate::read::{Field, GuardName, List, Placed, Reader, Step, section, suggestion, words};
use crate::snapshot::OnError;
use crate::tree::{Content, Node};

section! {
    /// Something that looks at content. Exactly one of `pii`, `presidio`, `lists`, `content_safety`,
    /// `moderation` and `webhook`.
    pub struct Guard {
        /// Names it in refusals, records and metrics. Unique in its list. Without it, its kind.
        pub name: Option<GuardName>,
        /// Personal data and secrets.
        pub pii: Option<Placed<Pii>>,
        /// Names, addresses and what else Microsoft Presidio finds.
        pub presidio: Option<Placed<Presidio>>,
        /// Words, patterns and topics.
        pub lists: Option<Placed<Lists>>,
        /// Azure AI Content Safety.
        pub content_safety: Option<Placed<ContentSafety>>,
        /// OpenAI's moderation endpoint.
        pub moderation: Option<Placed<Moderation>>,
        /// A judge of your own.
        pub webhook: Option<Placed<GuardWebhook>>,
    }
}

/// A guard of exactly one kind.
#[derive(Debug)]
pub(crate) struct GuardOfOneKind {
    pub section: Guard,
    pub place: Place,
}

impl Field for GuardOfOneKind {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems.count();
        let section = Guard::read(node, reader)?;
        let kinds = [
            section.pii.is_some(),
            section.presidio.is_some(),
            section.lists.is_some(),
            section.content_safety.is_some(),
            section.moderation.is_some(),
            section.webhook.is_some(),
        ];
        match kinds.iter().filter(|is_written| **is_written).count() {
            1 => Some(Self {
                section,
                place: node.place,
            }),
            // What was meant is reported already.
            0 if reader.problems.count() > before => None,
            _ => {
                let fix = "write one of: pii, presidio, lists, content_safety, moderation, webhook";
                reader.error(node.place, "not exactly one kind of guard", fix);
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Guard::schema(generator)
    }
}

section! {
    /// Finds personal data and secrets by their form, their check digits and the words before them, in
    /// this process.
    pub struct Pii {
        /// What becomes of what is found.
        pub action: Action = "redact",
        /// Actions of single kinds, as in `{ payment_card: block, email: mask }`. The kinds: `email`,
        /// `phone`, `iban`, `payment_card`, `ip_address`, `mac_address`, `de_tax_id`,
        /// `de_social_security`, `fr_nir`, `fr_tax_id`, `es_dni`, `it_fiscal_code`, `pl_pesel`,
        /// `ro_cnp`, `nl_bsn`, `be_national_number`, `se_personnummer`, `pt_nif`, `cz_birth_number`,
        /// `at_social_security`, `us_ssn`, `uk_nino`, `uk_nhs_number`, `passport`, `driving_licence`,
        /// `date_of_birth`, `credential`, `jwt`, `private_key`, `connection_string`.
        pub kinds: KindActions = "{}",
        /// Where it looks. Without it: `[prompt, answer]`.
        pub r#where: Option<Placed<List<GuardedContent>>>,
        /// How sure a finding must be.
        pub min_confidence: Confidence = "medium",
        /// Of content that cannot be read.
        pub on_error: OnError = "block",
        /// What `hash` is keyed with: 16 characters or more. Without it, a key that is made once and kept
        /// in `data_dir`.
        pub hash_key: Option<HashKeyText>,
    }
}

words! { Action, "action":
    /// Nothing.
    "allow" => Action::Allow,
    /// Its kind stands in its place: `[EMAIL]`.
    "redact" => Action::Redact,
    /// A placeholder stands in its place, `<EMAIL_1>`, the same for the same value throughout a
    /// conversation, and is put back in the answer.
    "mask" => Action::Mask,
    /// Its kind and the beginning of a keyed hash stand in its place: `[EMAIL:9f86d081]`.
    "hash" => Action::Hash,
    /// The call is refused with 400 `content_filter`.
    "block" => Action::Block,
}

words! { Confidence, "confidence":
    /// Form alone may do.
    "low" => Confidence(30),
    /// Form with check digits, or form and context.
    "medium" => Confidence::LIKELY,
    /// Hardly ever anything else.
    "high" => Confidence(80),
}

words! { OnError, "way to go on":
    /// The call is refused: with 400 `content_filter`, or 503 `guard_unavailable` where a service gave
    /// no judgement.
    "block" => OnError::Block,
    /// The content passes as it is; the record says so.
    "allow" => OnError::Allow,
}

/// What a guard can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuardedContent {
    Prompt,
    Answer,
    Audit,
}

words! { GuardedContent, "content":
    /// What the provider gets.
    "prompt" => GuardedContent::Prompt,
    /// What the client gets.
    "answer" => GuardedContent::Answer,
    /// What an audit record keeps of both.
    "audit" => GuardedContent::Audit,
}

/// Actions by the names of kinds.
#[derive(Debug, Default)]
pub(crate) struct KindActions(pub Vec<(Kind, Action)>);

impl Field for KindActions {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            let problem = format!("expected a map, found {}", node.described());
            reader.error(node.place, problem, "write `{ email: mask }`");
            return None;
        };
        let mut actions = Vec::with_capacity(entries.len());
        for entry in entries {
            let known = Kind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == entry.name);
            let Some(kind) = known else {
                let names = Kind::ALL.map(Kind::as_str);
                reader.error(
                    entry.place,
                    "this is no kind of personal data or secret",
                    suggestion(&entry.name, &names),
                );
                continue;
            };
            let action = reader.within(Step::Item(kind.as_str().to_owned()), |reader| {
                Action::read(&entry.value, reader)
            });
            actions.extend(action.map(|action| (kind, action)));
        }
        Some(Self(actions))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let action = Action::schema(generator);
        let mut kinds = serde_json::Map::new();
        for kind in Kind::ALL {
            kinds.insert(kind.as_str().to_owned(), action.clone().to_value());
        }
        json_schema!({ "type": "object", "properties": kinds, "additionalProperties": false })
    }
}

/// A text of any length that a key is made of.
#[derive(Debug)]
pub(crate) struct HashKeyText(pub HashKey);

impl Field for HashKeyText {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const CHARACTERS_MIN: usize = 16;
        let fix = "write `${env:NAME}` or `${file:/path}` with 16 characters or more in it";
        let (_, filled) = reader.scalar(node, "a secret", fix)?;
        if filled.text.chars().count() < CHARACTERS_MIN {
            reader.error(node.place, "the key is shorter than 16 characters", fix);
            return None;
        }
        Some(Self(HashKey(Sha256::digest(&*filled.text).into())))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^.{16,}$|\\$\\{", "writeOnly": true })
    }
}
