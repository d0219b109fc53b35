//! "Did you mean …?" for a name that does not exist.

/// The likely one of `known`, then all of them.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Known: {list}"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("use one of: {list}"),
    }
}

/// The closest name that a slip of the keyboard could have meant.
pub(crate) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const CHARACTERS_MAX: usize = 64; // Longer names are no slips, and the distance costs their product.
    if name.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let slips_max = (name.chars().count() / 3).clamp(1, 3);
    known
        .filter(|known| known.chars().count() <= CHARACTERS_MAX)
        .map(|known| (distance(name, known), known))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// Levenshtein's, letters' case aside.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let known = ["tokens_per_minute", "name", "weight", "url"];
        assert_eq!(
            nearest("token_per_minute", known.into_iter()),
            Some("tokens_per_minute")
        );
        assert_eq!(nearest("wieght", known.into_iter()), Some("weight"));
        assert_eq!(nearest("URL", known.into_iter()), Some("url"));
    }

    #[test]
    fn another_word_is_not_a_slip() {
        assert_eq!(nearest("guards", ["models", "require"].into_iter()), None);
    }
}
