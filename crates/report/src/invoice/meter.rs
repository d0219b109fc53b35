//! What a meter's or a line item's name says: which kind of token it counts, and of which model.
//! `gpt-4o-0806-Inp-glbl Tokens` is input of gpt-4o; `gpt-4o-mini-…` is not.

use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// Without what a cache had.
    Input,
    CachedInput,
    CacheWrite,
    AudioInput,
    Output,
    AudioOutput,
    /// Tokens of which nobody says more.
    Tokens,
    /// Hours, images, searches: has a cost and no tokens.
    Other,
}

impl TokenKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::AudioInput => "audio_input",
            Self::Output => "output",
            Self::AudioOutput => "audio_output",
            Self::Tokens => "tokens",
            Self::Other => "other",
        }
    }

    /// By the words of a name. Providers shorten: `Inp`, `inpt`, `Outp`, `opt`, `cchd`, `cd`.
    pub fn of_name(name: &str) -> Self {
        let words = words(name);
        let any = |test: &dyn Fn(&str) -> bool| words.iter().any(|word| test(word));
        let audio = any(&|word| word == "aud" || word.starts_with("audio"));
        let written = any(&|word| matches!(word, "write" | "writes" | "creation" | "wr"));
        let cached =
            any(&|word| matches!(word, "cd" | "cch" | "cchd" | "chd") || word.starts_with("cache"));
        let output = any(&|word| {
            matches!(
                word,
                "opt" | "out" | "outpt" | "completion" | "completions" | "generated"
            ) || word.contains("outp")
        });
        let input = any(&|word| {
            matches!(word, "in" | "prompt" | "inpt" | "embedding" | "embeddings")
                || word.contains("inp")
        });
        match () {
            () if cached && written => Self::CacheWrite,
            () if cached => Self::CachedInput,
            () if output && audio => Self::AudioOutput,
            () if output => Self::Output,
            () if audio && input => Self::AudioInput,
            () if input => Self::Input,
            () => Self::Tokens,
        }
    }
}

/// `gpt-4o mini_Batch` as `gpt`, `4o`, `mini`, `batch`.
fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphanumeric() && c != '.')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// A name that goes on with one of these is another model.
const VARIANTS: [&str; 24] = [
    "mini",
    "nano",
    "micro",
    "turbo",
    "audio",
    "realtime",
    "rt",
    "aud",
    "pro",
    "max",
    "lite",
    "flash",
    "codex",
    "transcribe",
    "tts",
    "search",
    "deep",
    "image",
    "vision",
    "small",
    "large",
    "medium",
    "oss",
    "instruct",
];

/// `PATTERN=MODEL`: what a meter is, if its name does not tell. `*` stands for any text; large and
/// small letters are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pattern: String,
    model: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write PATTERN=MODEL, such as `gpt 4o 1120*=gpt-4o`")]
pub struct RuleError;

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (pattern, model) = text.rsplit_once('=').ok_or(RuleError)?;
        if pattern.is_empty() || model.is_empty() {
            return Err(RuleError);
        }
        Ok(Self {
            pattern: pattern.to_lowercase(),
            model: model.to_owned(),
        })
    }
}

/// The models that the ledger knows, to find them in a provider's names.
#[derive(Clone, Debug, Default)]
pub struct Names {
    rules: Vec<Rule>,
    /// By letters and digits alone; the same model may have several names.
    models: BTreeMap<String, String>,
    /// What was found, as an invoice has a few names in many rows.
    found: BTreeMap<String, Option<String>>,
}

/// Names that are remembered; past them they are looked for anew.
const FOUND_MAX: usize = 10_000;

impl Names {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    pub fn add(&mut self, model: &str) {
        let key = squeezed(model);
        if !key.is_empty() {
            self.models.entry(key).or_insert_with(|| model.to_owned());
        }
    }

    /// Whose line this is: by the rules, in their order, else the longest known name that the
    /// provider's name has in it and does not continue into that of a variant.
    pub fn model_of(&mut self, item: &str) -> Option<String> {
        if let Some(found) = self.found.get(item) {
            return found.clone();
        }
        let lower = item.to_lowercase();
        let by_rule = self.rules.iter().find(|rule| fits(&rule.pattern, &lower));
        let found = match by_rule {
            Some(rule) => Some(rule.model.clone()),
            None => self.by_name(item),
        };
        if self.found.len() < FOUND_MAX {
            self.found.insert(item.to_owned(), found.clone());
        }
        found
    }

    fn by_name(&self, item: &str) -> Option<String> {
        let words = words(item);
        let mut best: Option<(&String, &String)> = None;
        for (key, model) in &self.models {
            let is_longer = best.is_none_or(|(longest, _)| key.len() > longest.len());
            if is_longer && (0..words.len()).any(|start| names_it(&words[start..], key)) {
                best = Some((key, model));
            }
        }
        best.map(|(_, model)| model.clone())
    }
}

/// Whether the words begin with the name, as whole words, and do not go on to a variant of it.
fn names_it(words: &[String], key: &str) -> bool {
    let mut rest = key;
    for (index, word) in words.iter().enumerate() {
        match rest.strip_prefix(squeezed(word).as_str()) {
            Some("") => {
                let next = words.get(index + 1).map(String::as_str);
                return next.is_none_or(|next| !VARIANTS.contains(&next));
            }
            Some(left) => rest = left,
            None => return false,
        }
    }
    false
}

/// Letters and digits alone: `gpt-4.1` and `GPT 4.1` are the same name, and so is `gpt41`.
fn squeezed(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a text is of a pattern with `*`.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(mut part) = parts.next() else {
        return rest.is_empty();
    };
    for next in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        part = next;
    }
    rest.ends_with(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_are_read_from_the_words_that_providers_use() {
        for (name, kind) in [
            ("gpt-4o-0806-Inp-glbl Tokens", TokenKind::Input),
            ("gpt 4o 1120 cached Inp glbl Tokens", TokenKind::CachedInput),
            ("GPT 5.1 cd inp Gl 1M Tokens", TokenKind::CachedInput),
            ("5.4 opt Dz 1M Tokens", TokenKind::Output),
            ("gpt-4o-mini-0718-BatchOutp-glbl Tokens", TokenKind::Output),
            ("gpt 4o aud in regnl Tokens", TokenKind::AudioInput),
            ("gpt 4o rt aud outp Tokens", TokenKind::AudioOutput),
            ("gpt-4o-2024-08-06, input", TokenKind::Input),
            ("gpt-4o-2024-08-06, cached input", TokenKind::CachedInput),
            ("claude cache write tokens", TokenKind::CacheWrite),
            ("text-embedding-3-small", TokenKind::Input),
            ("Provisioned Managed Global Unit", TokenKind::Tokens),
        ] {
            assert_eq!(TokenKind::of_name(name), kind, "{name}");
        }
    }

    fn names(models: &[&str], rules: &[&str]) -> Names {
        let mut names = Names::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        for model in models {
            names.add(model);
        }
        names
    }

    #[test]
    fn a_meter_is_its_models_and_no_variants() {
        let mut names = names(&["gpt-4o", "gpt-4.1-mini", "text-embedding-3-small"], &[]);
        let mut model = |item: &str| names.model_of(item).unwrap_or_default();
        assert_eq!(model("gpt-4o-0806-Inp-glbl Tokens"), "gpt-4o");
        assert_eq!(model("gpt 4o 1120 Outp glbl Tokens"), "gpt-4o");
        assert_eq!(model("Azure OpenAI GPT4o prompt"), "gpt-4o");
        assert_eq!(model("gpt-4o-2024-08-06"), "gpt-4o");
        assert_eq!(model("gpt 4.1 mini Inp glbl Tokens"), "gpt-4.1-mini");
        assert_eq!(
            model("text-embedding-3-small-glbl Tokens"),
            "text-embedding-3-small"
        );
        for other in [
            "gpt-4o-mini-0718-Inp-glbl Tokens",
            "gpt 4.1 Inp glbl Tokens",
            "gpt-4",
            "gpt-4omni",
            "Disk",
            "",
        ] {
            assert_eq!(model(other), "", "{other}");
        }
    }

    #[test]
    fn the_longest_name_wins_and_a_rule_beats_every_name() {
        let mut known = names(
            &["gpt-4o", "gpt-4o-mini"],
            &["5.1 *cd*tokens=gpt-5.1", "chat*=gpt-4o"],
        );
        assert_eq!(known.model_of("gpt-4o-mini Inp").unwrap(), "gpt-4o-mini");
        assert_eq!(known.model_of("5.1 x CD inp 1M Tokens").unwrap(), "gpt-5.1");
        assert_eq!(known.model_of("Chat gpt-4o-mini").unwrap(), "gpt-4o");
        assert!("gpt-4o".parse::<Rule>().is_err());
        assert!("=gpt-4o".parse::<Rule>().is_err());
    }

    #[test]
    fn patterns_stand_for_any_text_between() {
        for (pattern, text, fit) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("abc", "abc", true),
            ("*", "", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("abc", "abcd", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_matching_panic(item in "\\PC{0,20}", model in "\\PC{0,8}", pattern in "[a*é]{1,6}") {
            let mut names = names(&[&model], &[&format!("{pattern}=m")]);
            let _ = names.model_of(&item);
            let _ = TokenKind::of_name(&item);
        }
    }
}
