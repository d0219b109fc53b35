//! Whose calls a budget counts: names, lists of names, and patterns with `*` and `?`.

use std::fmt;

use crate::ids::{ApplicationName, ModelName, ProductId, SubscriptionId};

/// All that is written must fit; what is absent fits everything. A call that has no application, or
/// no user, fits no pattern for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallMatch {
    pub subscription: Option<Patterns>,
    pub product: Option<Patterns>,
    pub application: Option<Patterns>,
    pub model: Option<Patterns>,
    pub user: Option<Patterns>,
}

/// Any of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(pub Vec<Pattern>);

/// `*` stands for any text, `?` for one character; capitals count.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl CallMatch {
    /// The part that is known when a configuration is loaded.
    pub fn fits_tenant(&self, subscription: &SubscriptionId, product: &ProductId) -> bool {
        fits(self.subscription.as_ref(), Some(subscription.as_str()))
            && fits(self.product.as_ref(), Some(product.as_str()))
    }

    pub fn fits_model(&self, model: &ModelName) -> bool {
        fits(self.model.as_ref(), Some(model.as_str()))
    }

    /// The part that each call tells.
    pub fn fits_call(
        &self,
        model: &ModelName,
        application: Option<&ApplicationName>,
        user: Option<&str>,
    ) -> bool {
        self.fits_model(model)
            && fits(
                self.application.as_ref(),
                application.map(ApplicationName::as_str),
            )
            && fits(self.user.as_ref(), user)
    }
}

fn fits(patterns: Option<&Patterns>, name: Option<&str>) -> bool {
    patterns.is_none_or(|Patterns(any)| {
        name.is_some_and(|name| any.iter().any(|pattern| pattern.fits(name)))
    })
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn has_wildcard(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// Linear but for the text behind the last `*`, which is tried at each place: names and
    /// patterns are short.
    pub fn fits(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Behind the last `*`, and where its text would begin if it stood for one character more.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let rest_here = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), rest_here.clone()));
                    rest = rest_here;
                    continue;
                }
                (Some('?'), Some(_)) => continue,
                (Some(wanted), Some(found)) if wanted == found => continue,
                (_, _) => {}
            }
            let Some((after, mut skipped)) = retry.take() else {
                return false;
            };
            if skipped.next().is_none() {
                return false;
            }
            (pattern, rest) = (after.clone(), skipped.clone());
            retry = Some((after, skipped));
        }
    }
}

/// As a scope: `subscription/search`, `subscription/search|batch,model/gpt-4*`, `global`.
impl fmt::Display for CallMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subscription,
            product,
            application,
            model,
            user,
        } = self;
        let mut separator = "";
        for (what, patterns) in [
            ("subscription", subscription),
            ("product", product),
            ("application", application),
            ("model", model),
            ("user", user),
        ] {
            if let Some(Patterns(any)) = patterns {
                let names: Vec<&str> = any.iter().map(|pattern| pattern.0.as_str()).collect();
                write!(f, "{separator}{what}/{}", names.join("|"))?;
                separator = ",";
            }
        }
        if separator.is_empty() {
            f.write_str("global")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&str]) -> Option<Patterns> {
        Some(Patterns(
            texts.iter().map(|text| Pattern::new(text)).collect(),
        ))
    }

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_one_character() {
        for (pattern, name, fits) in [
            ("search", "search", true),
            ("search", "Search", false),
            ("search", "search-2", false),
            ("gpt-4*", "gpt-4o", true),
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "gpt-5", false),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-2024", false),
            ("team-?", "team-é", true),
            ("team-?", "team-", false),
            ("*a*b*", "xxaxxabxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("**", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn everything_that_is_written_must_fit() {
        let of = CallMatch {
            subscription: patterns(&["search", "batch"]),
            model: patterns(&["gpt-4*"]),
            user: patterns(&["*"]),
            ..CallMatch::default()
        };
        assert!(of.fits_tenant(&"batch".into(), &"standard".into()));
        assert!(!of.fits_tenant(&"chat".into(), &"standard".into()));
        assert!(of.fits_call(&"gpt-4o".into(), None, Some("alice")));
        assert!(!of.fits_call(&"gpt-5".into(), None, Some("alice")));
        assert!(
            !of.fits_call(&"gpt-4o".into(), None, None),
            "a call without a user is nobody's"
        );
        assert_eq!(
            of.to_string(),
            "subscription/search|batch,model/gpt-4*,user/*"
        );
        assert_eq!(CallMatch::default().to_string(), "global");
        assert!(CallMatch::default().fits_call(&"gpt-4o".into(), None, None));
    }

    /// The rule itself, without care for time.
    fn slow(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', rest @ ..] => (0..=name.len()).any(|skipped| slow(rest, &name[skipped..])),
            ['?', rest @ ..] => !name.is_empty() && slow(rest, &name[1..]),
            [c, rest @ ..] => name.first() == Some(c) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_what_the_rule_says(pattern in "[ab*?]{0,7}", name in "[ab]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                Pattern::new(&pattern).fits(&name),
                slow(&chars(&pattern), &chars(&name))
            );
        }
    }
}
