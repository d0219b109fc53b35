//! The JSON schema of a configuration, for editors.

use schemars::generate::SchemaSettings;

use crate::file::File;

/// Draft 2020-12, from the same declarations that read a file.
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "Tollgate configuration".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Every map of the schema, definitions included.
    fn sections(schema: &Value) -> Vec<&Value> {
        let definitions = schema["$defs"].as_object().expect("definitions").values();
        std::iter::once(schema)
            .chain(definitions)
            .filter(|section| section["type"] == "object")
            .collect()
    }

    #[test]
    fn unknown_fields_are_errors_and_every_field_is_described() {
        let schema = super::schema();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert!(sections(&schema).len() > 15);
        for section in sections(&schema) {
            assert_eq!(section["additionalProperties"], false, "{section}");
            for (name, field) in section["properties"].as_object().expect("properties") {
                assert!(
                    field["description"]
                        .as_str()
                        .is_some_and(|text| text.ends_with('.')),
                    "{name}: {field}"
                );
            }
        }
    }

    #[test]
    fn required_fields_are_those_without_a_default() {
        let schema = super::schema();
        assert_eq!(schema["required"], serde_json::json!([]));
        assert_eq!(
            schema["$defs"]["Backend"]["required"],
            serde_json::json!(["id", "dialect", "url"])
        );
        assert_eq!(
            schema["$defs"]["Subscription"]["required"],
            serde_json::json!(["id", "product"])
        );
        assert_eq!(
            schema["$defs"]["Quota"]["required"],
            serde_json::json!(["name", "tokens", "period"])
        );
        assert_eq!(
            schema["$defs"]["Member"]["properties"]["weight"]["default"],
            1
        );
        assert_eq!(
            schema["$defs"]["Timeout"]["properties"]["idle"]["default"],
            "60s"
        );
        assert_eq!(
            schema["$defs"]["RequiredClaim"]["properties"]["match"]["default"],
            "all"
        );
    }

    #[test]
    fn limits_stand_at_every_scope() {
        let schema = super::schema();
        let definitions = &schema["$defs"];
        for section in [
            &schema,
            &definitions["Product"],
            &definitions["Subscription"],
            &definitions["Application"],
        ] {
            for list in [
                "token_limits",
                "quotas",
                "request_limits",
                "concurrency_limits",
            ] {
                assert_eq!(section["properties"][list]["type"], "array", "{list}");
            }
        }
    }

    /// Whether `value` is as `schema` says; of its keywords, those that tell kinds and fields.
    fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
        if let Some(name) = schema["$ref"].as_str() {
            return root
                .pointer(name.trim_start_matches('#'))
                .is_some_and(|schema| fits(value, schema, root));
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            return choices
                .iter()
                .filter(|choice| fits(value, choice, root))
                .count()
                == 1;
        }
        if let Some(word) = schema.get("const") {
            return value == word;
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let is_of_kind = |kind: &Value| match kind.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => false,
        };
        let fields_fit = || {
            value
                .as_object()
                .into_iter()
                .flatten()
                .all(|(name, value)| match schema["properties"].get(name) {
                    Some(field) => fits(value, field, root),
                    None => {
                        schema["additionalProperties"].is_object()
                            && fits(value, &schema["additionalProperties"], root)
                    }
                })
        };
        let has_required = || {
            schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .all(|name| value.get(name.as_str().unwrap_or_default()).is_some())
        };
        let items_fit = || {
            value
                .as_array()
                .into_iter()
                .flatten()
                .all(|item| fits(item, &schema["items"], root))
        };
        kinds.iter().any(is_of_kind) && fields_fit() && has_required() && items_fit()
    }

    #[test]
    fn the_examples_are_as_the_schema_says() {
        let schema = super::schema();
        for text in [
            include_str!("../../../examples/tollgate.yaml"),
            include_str!("../../../examples/self-hosted.yaml"),
        ] {
            let mut example: Value = serde_saphyr::from_str(text).expect("YAML");
            assert!(fits(&example, &schema, &schema));
            example["pools"] =
                serde_json::json!([{ "id": "p", "members": [{ "backend": "b", "wieght": 1 }] }]);
            assert!(
                !fits(&example, &schema, &schema),
                "an unknown field deep inside is noticed"
            );
        }
    }
}
