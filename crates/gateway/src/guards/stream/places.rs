//! The texts of one stream, each with what edits it.

use dialect::texts::{ArgumentTexts, Part, Place};

/// One `E` for each text that is being written. Bounded by the places of `dialect::texts::EventTexts`.
#[derive(Debug)]
pub struct Places<E> {
    open: Vec<Open<E>>,
}

#[derive(Debug)]
struct Open<E> {
    place: Place,
    /// Of a tool call's arguments: which string of them is being written.
    arguments: Option<ArgumentTexts>,
    /// Absent until the text begins.
    editor: Option<E>,
}

impl<E> Default for Places<E> {
    fn default() -> Self {
        Self { open: Vec::new() }
    }
}

impl<E> Places<E> {
    /// What takes the part's place. `edit` takes the editor when its text ends.
    pub fn say(
        &mut self,
        place: &Place,
        part: Part<'_>,
        edit: &mut dyn FnMut(&mut Option<E>, Part<'_>) -> String,
    ) -> String {
        let at = self.open.iter().position(|open| open.place == *place);
        let at = at.unwrap_or_else(|| {
            self.open.push(Open {
                place: place.clone(),
                arguments: place.is_json().then(ArgumentTexts::of_answer),
                editor: None,
            });
            self.open.len() - 1
        });
        let Open {
            arguments, editor, ..
        } = &mut self.open[at];
        let Some(arguments) = arguments else {
            let said = edit(editor, part);
            if part == Part::End {
                self.open.swap_remove(at);
            }
            return said;
        };
        let mut said = String::new();
        let mut edit = |part: Part<'_>| edit(editor, part);
        match part {
            Part::Called(_) => {}
            Part::More(text) => arguments.push(text, &mut edit, &mut said),
            Part::End => {
                arguments.finish(&mut edit, &mut said);
                self.open.swap_remove(at);
            }
        }
        said
    }
}
