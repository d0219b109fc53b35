//! Several files as one: lists are concatenated, maps merged, and a value that two files set is a problem.

use std::rc::Rc;

use super::{Content, Entry, Node};
use crate::problem::Problems;

pub(crate) fn merge(first: Rc<Node>, second: Rc<Node>, problems: &mut Problems) -> Rc<Node> {
    merge_at("", first, second, problems)
}

/// No deeper than the trees themselves, whose depth `parse` bounds.
fn merge_at(field: &str, first: Rc<Node>, second: Rc<Node>, problems: &mut Problems) -> Rc<Node> {
    let place = first.place;
    match (&first.content, &second.content) {
        (_, Content::Null) => first,
        (Content::Null, _) => second,
        (Content::List(one), Content::List(other)) => {
            let items = one.iter().chain(other).cloned().collect();
            Rc::new(Node {
                place,
                content: Content::List(items),
            })
        }
        (Content::Map(one), Content::Map(other)) => {
            let mut entries = one.clone();
            for Entry { name, place, value } in other {
                let Some(existing) = entries.iter_mut().find(|entry| entry.name == *name) else {
                    entries.push(Entry {
                        name: name.clone(),
                        place: *place,
                        value: value.clone(),
                    });
                    continue;
                };
                let below = if field.is_empty() {
                    name.clone()
                } else {
                    format!("{field}.{name}")
                };
                existing.value = merge_at(&below, existing.value.clone(), value.clone(), problems);
            }
            Rc::new(Node {
                place,
                content: Content::Map(entries),
            })
        }
        _ => {
            let problem = format!("set here and in {}", problems.at(first.place));
            problems.error(second.place, field, problem, "keep one of them");
            first
        }
    }
}
