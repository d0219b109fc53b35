//! The texts of a streamed answer: held back and said later, nothing of them is lost or added.
#![no_main]

use std::collections::HashMap;

use dialect::texts::{EventTexts, Part, Place};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: &[u8]| {
    let (mut straight, mut late) = (HashMap::new(), HashMap::new());
    let mut held: HashMap<Place, String> = HashMap::new();
    let Ok(edited) = run(events, &mut |place, part| match part {
        Part::More(text) => {
            said(&mut straight, place, text);
            // One character is kept back, as a detector would.
            let mut now = held.remove(place).unwrap_or_default();
            now.push_str(text);
            if let Some(last) = now.pop() {
                held.insert(place.clone(), last.to_string());
            }
            said(&mut late, place, &now);
            now
        }
        Part::End => {
            let rest = held.remove(place).unwrap_or_default();
            said(&mut late, place, &rest);
            rest
        }
    }) else {
        return;
    };
    assert_eq!(straight, late, "what was held back was not asked for");
    run(&edited, &mut |_, part| match part {
        Part::More(text) => text.to_owned(),
        Part::End => String::new(),
    })
    .expect("what is sent can be read");
});

fn said(texts: &mut HashMap<Place, String>, place: &Place, text: &str) {
    texts.entry(place.clone()).or_default().push_str(text);
}

fn run(
    events: &[u8],
    edit: &mut dyn FnMut(&Place, Part<'_>) -> String,
) -> Result<Vec<u8>, dialect::texts::Unreadable> {
    let mut texts = EventTexts::default();
    let mut out = texts.edit(events, edit)?;
    out.extend(texts.finish(edit));
    Ok(out)
}
