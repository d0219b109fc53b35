//! The reference page: the schema, in words.

use std::fmt::Write as _;

use serde_json::Value;

/// Markdown, one section for each map that an operator can write.
pub fn reference() -> String {
    let schema = crate::schema();
    let mut page = Page {
        text: String::new(),
        sections: Vec::new(),
    };
    page.text.push_str("# Configuration reference\n\n");
    page.text.push_str(
        "Generated from the configuration's schema (`tollgate schema`); edit the doc comments in `crates/config/src/file`.\n",
    );
    page.section("The file", "", &schema);
    let mut written = 0;
    while let Some((name, path)) = page.sections.get(written).cloned() {
        page.section(
            &format!("`{path}`"),
            &format!("{path}."),
            &schema["$defs"][&name],
        );
        written += 1;
    }
    page.text
}

struct Page {
    text: String,
    /// Definitions in the order in which fields refer to them, each with the first such field.
    sections: Vec<(String, String)>,
}

impl Page {
    fn section(&mut self, title: &str, path: &str, section: &Value) {
        // Written to a `String`, which cannot fail.
        let _ = write!(
            self.text,
            "\n## {title}\n\n{}\n\n| Field | Value | Default | |\n|---|---|---|---|\n",
            described(section)
        );
        let is_required = |name: &str| {
            section["required"]
                .as_array()
                .is_some_and(|names| names.iter().any(|n| n == name))
        };
        let mut fields: Vec<(&String, &Value)> = section["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .collect();
        fields.sort_by_key(|(name, _)| !is_required(name));
        for (name, field) in &fields {
            let default = match &field["default"] {
                Value::Null if is_required(name) => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let value = self.value(field, &format!("{path}{name}"));
            let meaning = described(field).replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(self.text, "| `{name}` | {value} | {default} | {meaning} |");
        }
        for (name, field) in fields {
            self.words(name, field);
        }
    }

    /// The words of a field that takes one of a few, each with its meaning.
    fn words(&mut self, name: &str, field: &Value) {
        let words = field["oneOf"]
            .as_array()
            .or_else(|| field["items"]["oneOf"].as_array());
        let Some(words) = words else { return };
        let meanings: Vec<(&str, &str)> = words
            .iter()
            .filter_map(|word| Some((word["const"].as_str()?, word["description"].as_str()?)))
            .collect();
        if meanings.is_empty() {
            return;
        }
        let _ = write!(self.text, "\n`{name}` is one of:\n\n");
        for (word, meaning) in meanings {
            let _ = writeln!(self.text, "- `{word}`: {meaning}");
        }
    }

    fn value(&mut self, field: &Value, path: &str) -> String {
        if let Some(name) = field["$ref"]
            .as_str()
            .and_then(|path| path.rsplit('/').next())
        {
            // Described once, where it comes first.
            let known = self
                .sections
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, path)| path.clone());
            let path = known.unwrap_or_else(|| {
                self.sections.push((name.to_owned(), path.to_owned()));
                path.to_owned()
            });
            return format!("map: see [`{path}`](#{})", anchor(&path));
        }
        if let Some(choices) = field["oneOf"].as_array() {
            let mut shown = Vec::with_capacity(choices.len());
            for choice in choices {
                shown.push(match &choice["const"] {
                    Value::String(word) => format!("`{word}`"),
                    _ => self.value(choice, path),
                });
            }
            return shown.join(", ");
        }
        if field["type"] == "array" {
            let item = match field["items"]["$ref"].as_str() {
                Some(_) => self.value(&field["items"], &format!("{path}[]")),
                None => self.value(&field["items"], path),
            };
            return format!("list of {}", item.replacen("map:", "maps:", 1));
        }
        if field["type"] == "object" {
            return "map of names".to_owned();
        }
        scalar(field)
    }
}

fn scalar(field: &Value) -> String {
    let kind = match &field["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
        other => other.as_str().unwrap_or("string"),
    };
    let pattern = field["pattern"].as_str().unwrap_or_default();
    match kind {
        "integer" => match (&field["minimum"], &field["maximum"]) {
            (Value::Number(least), Value::Number(most)) => format!("{least} to {most}"),
            _ => "whole number".to_owned(),
        },
        "number" if field.get("title").is_some() => {
            field["title"].as_str().unwrap_or_default().to_owned()
        }
        "number" if field.get("exclusiveMinimum").is_some() => "above 0, up to 1".to_owned(),
        "number" => format!("{} to {}", field["minimum"], field["maximum"]),
        "boolean" => "`true`, `false`".to_owned(),
        _ if pattern.contains("ms|s|m|h|d") => {
            "duration up to 90 days: `30s`, `1h`, `7d`".to_owned()
        }
        _ if pattern.contains("ms|s|m|h") => "duration: `250ms`, `30s`, `2m`, `1h`".to_owned(),
        _ if pattern.contains("KiB") => "size: `512B`, `64KiB`, `8MiB`".to_owned(),
        _ if pattern.contains("https?") => "URL".to_owned(),
        _ if field["writeOnly"] == true => "secret".to_owned(),
        _ => match field["examples"].as_array() {
            Some(examples) => {
                let examples: Vec<String> = examples
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|example| format!("`{example}`"))
                    .collect();
                format!("text: {}", examples.join(", "))
            }
            None => "text".to_owned(),
        },
    }
}

fn described(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// As renderers make it of a heading.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect::<String>()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_reference_page_lists_the_kinds_of_personal_data() {
        for kind in content::Kind::ALL {
            let kind = format!("`{}`", kind.as_str());
            assert!(super::reference().contains(&kind), "{kind}");
        }
    }

    /// `TOLLGATE_WRITE_DOCS=1 cargo test -p config` writes the page.
    #[test]
    fn the_reference_page_says_what_the_schema_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
            std::fs::write(&path, super::reference()).expect("the page can be written");
        }
        let page = std::fs::read_to_string(&path).expect("the page is there");
        assert!(
            page == super::reference(),
            "docs/configuration.md is out of date: run `TOLLGATE_WRITE_DOCS=1 cargo test -p config`"
        );
    }
}
