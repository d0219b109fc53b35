//! The texts of a document: an edit of them leaves JSON what was JSON, and all of them are seen.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    assert_eq!(dialect::texts::edit(document, |_| None), None);
    let is_json = serde_json::from_slice::<serde_json::Value>(document).is_ok();
    let Some(edited) = dialect::texts::edit(document, |_| Some("\"\\\n".to_owned())) else {
        return;
    };
    if is_json {
        serde_json::from_slice::<serde_json::Value>(&edited).expect("still JSON");
        dialect::texts::each(&edited, |text| assert_eq!(text, "\"\\\n"));
    }
});
