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
}
