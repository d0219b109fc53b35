//! Who stands to whom: which of two words that both questions name acts, gives or comes before the other.

use super::roles::{Place, binds, place};
use super::{Question, alignment};
use crate::language::Language;
use crate::read::{Is, Item};

/// Past this many items a question is not searched.
const ITEMS_MAX: usize = 96;

/// What two questions say of the words that stand in both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relations {
    pub participants: usize,
    pub kept: usize,
    pub turned: usize,
    /// The places of a word that is turned.
    pub first_turned: Option<(usize, usize)>,
    pub unknown: usize,
    /// Words in another order.
    pub inverted: usize,
    pub pairs: usize,
    /// Words whose own role is another.
    pub moved: usize,
}

/// How far a word is at the acting, giving end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Goal,
    Owner,
    Suffers,
    Source,
    Acts,
}

struct Shared {
    cached: usize,
    asked: usize,
    roles: (Option<Role>, Option<Role>),
    noun: bool,
}

pub fn relations(cached: &Question<'_>, asked: &Question<'_>) -> Relations {
    let mut relations = Relations::default();
    if cached.items.len().max(asked.items.len()) > ITEMS_MAX {
        return relations;
    }
    let (clauses, others) = (Clauses::of(cached), Clauses::of(asked));
    let shared: Vec<Shared> = pairs(&cached.items, &asked.items)
        .into_iter()
        .map(|(at, other)| {
            // A name that opens a sentence shows on the other side.
            let noun = clauses.is_noun(at) || others.is_noun(other);
            let roles = match noun {
                true => (clauses.role(at), others.role(other)),
                false => (None, None),
            };
            Shared {
                cached: at,
                asked: other,
                roles,
                noun,
            }
        })
        .collect();
    for (n, one) in shared.iter().enumerate() {
        relations.participants += usize::from(one.noun);
        relations.moved +=
            usize::from(one.noun && matches!(one.roles, (Some(a), Some(b)) if a != b));
        for two in &shared[n + 1..] {
            relations.pairs += 1;
            let inverted = (one.cached < two.cached) != (one.asked < two.asked);
            relations.inverted += usize::from(inverted);
            if !one.noun || !two.noun {
                continue;
            }
            let order = |a: Option<Role>, b: Option<Role>| Some(a?.cmp(&b?)).filter(|o| o.is_ne());
            match (
                order(one.roles.0, two.roles.0),
                order(one.roles.1, two.roles.1),
            ) {
                (Some(a), Some(b)) if a == b => relations.kept += 1,
                (Some(_), Some(_)) => {
                    relations.turned += 1;
                    relations
                        .first_turned
                        .get_or_insert((one.cached, one.asked));
                }
                _ => relations.unknown += 1,
            }
        }
    }
    relations
}

/// Words that both have, each once.
fn pairs(cached: &[Item], asked: &[Item]) -> Vec<(usize, usize)> {
    let mut taken = vec![false; asked.len()];
    let mut found = Vec::new();
    let bears = |item: &Item| !matches!(item.is, Is::Function);
    for exact in [true, false] {
        for (at, item) in cached.iter().enumerate() {
            if !bears(item) || found.iter().any(|(a, _)| *a == at) {
                continue;
            }
            let like = |o: &Item| {
                bears(o)
                    && if exact {
                        o.is == item.is && (o.text == item.text || !matches!(o.is, Is::Content(_)))
                    } else {
                        alignment::same(item, o)
                    }
            };
            if let Some(other) = (0..asked.len()).find(|o| !taken[*o] && like(&asked[*o])) {
                taken[other] = true;
                found.push((at, other));
            }
        }
    }
    found
}

/// A question with the voice of its sentences.
struct Clauses<'a> {
    items: &'a [Item],
    language: Language,
}

impl<'a> Clauses<'a> {
    fn of(question: &'a Question<'_>) -> Self {
        Self {
            items: &question.items,
            language: question.language,
        }
    }

    fn is_noun(&self, at: usize) -> bool {
        let item = &self.items[at];
        if !matches!(item.is, Is::Content(_)) {
            return false;
        }
        item.named
            || at.checked_sub(1).is_some_and(|before| {
                binds(&self.items[before].text) && !joins(&self.items[before].text)
                    || is_case(&self.items[before].text)
            })
            || self.owns(at)
    }

    /// `X's`.
    fn owns(&self, at: usize) -> bool {
        self.language == Language::English
            && self.items.get(at + 1).is_some_and(|next| {
                next.text == "s" && next.span.start <= self.items[at].span.end + 3
            })
    }

    fn sentence(&self, at: usize) -> impl Iterator<Item = (usize, &'a Item)> {
        let of = self.items[at].sentence;
        self.items
            .iter()
            .enumerate()
            .filter(move |(_, item)| item.sentence == of)
    }

    /// A form of be or become, and somebody by whom.
    fn is_passive(&self, at: usize) -> bool {
        let (mut be, mut by) = (false, false);
        for (_, item) in self.sentence(at) {
            let text = item.text.as_str();
            match self.language {
                Language::English => {
                    be |= matches!(
                        text,
                        "is" | "are"
                            | "was"
                            | "were"
                            | "be"
                            | "been"
                            | "being"
                            | "get"
                            | "gets"
                            | "got"
                    );
                    by |= text == "by";
                }
                Language::German => {
                    be |= matches!(
                        text,
                        "wird"
                            | "werden"
                            | "wurde"
                            | "wurden"
                            | "worden"
                            | "werde"
                            | "wuerde"
                            | "wuerden"
                    );
                    by |= matches!(text, "von" | "vom" | "durch");
                }
                Language::French => {
                    be |= matches!(
                        text,
                        "est"
                            | "sont"
                            | "ete"
                            | "etait"
                            | "etaient"
                            | "etre"
                            | "fut"
                            | "sera"
                            | "seront"
                    );
                    by |= text == "par";
                }
            }
        }
        be && by
    }

    fn role(&self, at: usize) -> Option<Role> {
        if self.owns(at) {
            return Some(Role::Owner);
        }
        let passive = self.is_passive(at);
        Some(match place(self.items, at, self.language) {
            Place::By if passive => Role::Acts,
            Place::From if passive && self.language == Language::German => Role::Acts,
            Place::From => Role::Source,
            Place::To | Place::For | Place::Dative => Role::Goal,
            Place::Accusative => Role::Suffers,
            Place::Bare if passive => Role::Suffers,
            Place::Bare => self.bare(at)?,
            Place::By | Place::At | Place::About | Place::Than | Place::Under | Place::Beside => {
                return None;
            }
        })
    }

    /// The first of the bare nouns acts, the next are acted on.
    fn bare(&self, at: usize) -> Option<Role> {
        let before = self
            .sentence(at)
            .filter(|(other, _)| *other < at)
            .any(|(other, _)| {
                self.is_noun(other)
                    && !self.owns(other)
                    && place(self.items, other, self.language) == Place::Bare
            });
        Some(if before { Role::Suffers } else { Role::Acts })
    }
}

fn joins(word: &str) -> bool {
    matches!(word, "and" | "or" | "und" | "oder" | "et" | "ou")
}

fn is_case(word: &str) -> bool {
    matches!(
        word,
        "dem"
            | "den"
            | "des"
            | "einem"
            | "einen"
            | "meinem"
            | "meinen"
            | "unserem"
            | "unseren"
            | "seinem"
            | "seinen"
            | "ihrem"
            | "ihren"
            | "vom"
            | "zum"
            | "zur"
            | "beim"
            | "im"
            | "am"
            | "du"
            | "au"
            | "aux"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cached: &str, asked: &str) -> Relations {
        relations(&Question::read(cached), &Question::read(asked))
    }

    #[test]
    fn who_acts_is_known_through_voice_case_and_possession() {
        let turned = |a: &str, b: &str| {
            let found = of(a, b);
            assert!(found.turned > 0 && found.kept == 0, "{a} / {b}: {found:?}");
        };
        turned(
            "Does the carrier pay the shipper?",
            "Is the carrier paid by the shipper?",
        );
        turned(
            "Begleitet die Orgel den Chor?",
            "Wird die Orgel vom Chor begleitet?",
        );
        turned(
            "Est-ce le garage qui paie l'assureur ?",
            "Le garage est-il payé par l'assureur ?",
        );
        turned(
            "Does Priya review Tomasz?",
            "Is Priya's code reviewed by Tomasz?",
        );
    }

    #[test]
    fn the_same_act_in_another_voice_keeps_its_relations() {
        let kept = |a: &str, b: &str| {
            let found = of(a, b);
            assert!(found.turned == 0 && found.kept > 0, "{a} / {b}: {found:?}");
        };
        kept(
            "Does the carrier pay the shipper?",
            "Is the shipper paid by the carrier?",
        );
        kept(
            "Begleitet die Orgel den Chor?",
            "Wird der Chor von der Orgel begleitet?",
        );
        kept(
            "transfer the money Poland -> Germany",
            "transfer the money from Poland to Germany",
        );
    }

    #[test]
    fn long_questions_are_not_searched() {
        let long = "the carrier pays the shipper ".repeat(40);
        assert_eq!(of(&long, &long), Relations::default());
    }
}
