//! Fields that take one of a few words.

/// Declares the words of a closed set, what each means, and which value it stands for.
macro_rules! words {
    ($type:ty, $what:literal: $( $(#[doc = $doc:literal])* $word:literal => $value:expr, )*) => {
        impl $crate::read::Field for $type {
            fn read(node: &$crate::tree::Node, reader: &mut $crate::read::Reader<'_>) -> Option<Self> {
                let words = [$($word),*];
                let fix = format!("write one of: {}", words.join(", "));
                let (_, filled) = reader.scalar(node, $what, &fix)?;
                match &*filled.text {
                    $( $word => Some($value), )*
                    _ => {
                        let problem = format!(concat!("{} is no ", $what, " that is available"), $crate::read::quoted(&filled));
                        reader.error(node.place, problem, fix);
                        None
                    }
                }
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut words: Vec<serde_json::Value> = Vec::new();
                $( words.push(serde_json::json!({ "const": $word, "description": concat!($($doc),*).trim() })); )*
                schemars::json_schema!({ "oneOf": words })
            }
        }
    };
}
pub(crate) use words;
