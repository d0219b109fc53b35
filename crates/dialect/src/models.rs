//! The models list as SDKs read it.

use bytes::Bytes;
use domain::ModelName;
use serde::Serialize;

/// `{"object":"list","data":[{"id","object":"model","created","owned_by"}]}`.
pub fn list(models: &[&ModelName]) -> Bytes {
    let data = models.iter().map(|model| Model::named(model)).collect();
    json(&List {
        object: "list",
        data,
    })
}

pub fn one(model: &ModelName) -> Bytes {
    json(&Model::named(model))
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    /// SDKs require it; when a model was made is not known here.
    created: u64,
    owned_by: &'static str,
}

impl<'a> Model<'a> {
    fn named(name: &'a ModelName) -> Self {
        Self {
            id: name.as_str(),
            object: "model",
            created: 0,
            owned_by: "tollgate",
        }
    }
}

fn json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("strings and integers always serialise"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_members_that_sdks_require() {
        let (chat, embed) = (ModelName::from("gpt-4o"), ModelName::from("text \"small\""));
        assert_eq!(
            list(&[&chat, &embed]),
            concat!(
                r#"{"object":"list","data":[{"id":"gpt-4o","object":"model","created":0,"owned_by":"tollgate"},"#,
                r#"{"id":"text \"small\"","object":"model","created":0,"owned_by":"tollgate"}]}"#
            )
        );
        assert_eq!(list(&[]), r#"{"object":"list","data":[]}"#);
        assert_eq!(
            one(&chat),
            r#"{"id":"gpt-4o","object":"model","created":0,"owned_by":"tollgate"}"#
        );
    }
}
