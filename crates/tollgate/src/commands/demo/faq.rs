//! What the faq team asks: the same questions again and again, in the same words and in others.

/// Each question's wordings, the most frequent of both first.
const QUESTIONS: &str = include_str!("faq.txt");

#[derive(Clone, Debug)]
pub struct Faq {
    questions: Vec<Vec<&'static str>>,
}

impl Default for Faq {
    fn default() -> Self {
        let mut questions: Vec<Vec<&'static str>> = Vec::new();
        let is_told = |line: &&str| !line.is_empty() && !line.starts_with('#');
        for line in QUESTIONS.lines().filter(is_told) {
            match (line.strip_prefix("  "), questions.last_mut()) {
                (Some(wording), Some(question)) => question.push(wording),
                _ => questions.push(vec![line]),
            }
        }
        Self { questions }
    }
}

impl Faq {
    /// What the call of this number asks: the same in every demo.
    pub fn asked(&self, number: u64) -> &'static str {
        // Another constant than the generator's own step, or a call's second roll would be the next one's first.
        let mut dice = Dice(number.wrapping_mul(0xd134_2543_de82_ef95));
        let wordings = by_rank(&self.questions, dice.roll()).map_or(&[][..], Vec::as_slice);
        by_rank(wordings, dice.roll()).copied().unwrap_or_default()
    }
}

/// As often as what people ask is asked: the second half as often as the first, the third a third (Zipf's law).
fn by_rank<T>(ranked: &[T], roll: f64) -> Option<&T> {
    let share = |rank: usize| 1.0 / rank as f64;
    let all: f64 = (1..=ranked.len()).map(share).sum();
    let mut left = roll * all;
    for (thing, rank) in ranked.iter().zip(1..) {
        left -= share(rank);
        if left < 0.0 {
            return Some(thing);
        }
    }
    ranked.last()
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    /// From 0 to just below 1, evenly.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;

    use cache::Vector;
    use likeness::choice::{self, Candidate, Choice};
    use likeness::comparer::Reading;
    use likeness::verified::Observations;

    use super::super::stage::{Place, Stage};
    use super::*;

    #[test]
    fn the_list_is_read_whole_and_says_nothing_twice() {
        let Faq { questions } = Faq::default();
        let all: Vec<&str> = questions.concat();
        assert!((40..50).contains(&questions.len()), "{}", questions.len());
        assert!(all.len() > 120, "{}", all.len());
        let different: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|asked| *asked == asked.trim()));
    }

    #[test]
    fn a_few_questions_make_most_of_what_is_asked_and_all_are_asked_in_the_end() {
        let faq = Faq::default();
        let mut asked: BTreeMap<&str, u32> = BTreeMap::new();
        for number in 0..20_000 {
            *asked.entry(faq.asked(number)).or_default() += 1;
        }
        assert_eq!(asked.len(), faq.questions.concat().len());
        let times = |wording: &str| asked[wording];
        let (first, second) = (&faq.questions[0], &faq.questions[1]);
        assert!(times(first[0]) > times(first[1]));
        assert!(times(first[0]) > times(second[0]));
        assert_eq!(faq.asked(7), faq.asked(7));
        let of_the_first_seconds: BTreeSet<&str> =
            (1..=40).map(|number| faq.asked(number)).collect();
        assert!(of_the_first_seconds.len() < 35, "some come again at once");
    }

    /// The model that `make model` fetched. Fails rather than skips.
    fn model() -> embed::Model {
        let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
        let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
        let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
        let files =
            embed::find(&folders).unwrap_or_else(|missing| panic!("{missing} (or: make model)"));
        embed::Model::open(&files).unwrap()
    }

    /// By the rule that the demo's own configuration has.
    #[tokio::test]
    async fn no_question_of_the_demo_gets_the_answer_to_another() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = "127.0.0.1:0".parse().unwrap();
        let place = Place {
            dir: Some(dir.path().to_owned()),
            listen: nowhere,
            admin: nowhere,
        };
        let stage = Stage::build(&place).await.unwrap();
        let loaded = crate::configuration::load_files(std::slice::from_ref(&stage.config)).unwrap();
        let team = &loaded.snapshot.subscriptions["faq"];
        let rule = team.cache.as_ref().unwrap().semantic.as_ref().unwrap();

        let (model, lane) = (model(), embed::Lane::default());
        let Faq { questions } = Faq::default();
        let mut asked = Vec::new();
        for (question, wordings) in questions.iter().enumerate() {
            for wording in wordings {
                let read = model.read(&[wording], &lane).unwrap().remove(0);
                let reading = Reading::of(&read.pieces, &read.states);
                let vector = Vector::of(&read.vector).unwrap();
                asked.push((question, *wording, vector, reading));
            }
        }
        let nothing_seen = Observations::default();
        let (mut pairs, mut found) = (0, 0);
        for (of, wording, vector, reading) in &asked {
            for (of_kept, kept, kept_vector, kept_reading) in &asked {
                if wording == kept {
                    continue;
                }
                let candidate = Candidate {
                    similarity: f64::from(vector.similarity(kept_vector).unwrap()),
                    text: kept,
                    reading: kept_reading.as_ref(),
                    observations: &nothing_seen,
                };
                let asked = choice::Asked {
                    text: wording,
                    reading: reading.as_ref(),
                };
                let given = choice::choose(&rule.choice, asked, &[candidate], 0.5).choice
                    == Choice::Give(0);
                assert!(
                    !given || of == of_kept,
                    "`{wording}` would get the answer to `{kept}`"
                );
                pairs += u32::from(of == of_kept);
                found += u32::from(given);
            }
        }
        assert!(
            found * 5 > pairs * 2,
            "{found} of {pairs} pairs of wordings find each other"
        );
    }
}
