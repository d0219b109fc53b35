//! What a value is called, where its name does not stand in the same text.

use super::context::{Context, REACH_BYTES};
use super::text::humps;

/// What would stand before the value if its name did; `None` if the name says nothing of what is called so.
/// The value of a secret ends where `quote` does.
pub(super) fn of(name: &str, quote: char) -> Option<String> {
    // Words farther away say nothing of it.
    let near = name.len().saturating_sub(REACH_BYTES - ": \"".len());
    let name = &name[name.ceil_char_boundary(near)..];
    let speaks = words(name.as_bytes()).any(Context::knows);
    speaks.then(|| format!("{name}: {quote}"))
}

/// Of a name in any case: `dateOfBirth`, `DATE_OF_BIRTH`, `date-of-birth`.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_joint = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte < 0x80;
    name.split(is_joint)
        .flat_map(|word| std::iter::once(word).chain(humps(word).map(|(_, hump)| hump)))
}
