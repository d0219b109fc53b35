//! Durations as people write them: `"250ms"`, `"1.5s"`, `"2m"`, or a number of milliseconds.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Longer ones are refused, so that sums of a few never overflow.
const SECONDS_MAX: f64 = 366.0 * 24.0 * 3600.0;

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Milliseconds(f64),
    Text(String),
}

pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}ms", duration.as_secs_f64() * 1000.0))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    read(&Written::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn read(written: &Written) -> Result<Duration, String> {
    let seconds = match written {
        Written::Milliseconds(milliseconds) => milliseconds / 1000.0,
        Written::Text(text) => {
            let unit_at = text
                .find(|c: char| c.is_ascii_alphabetic())
                .unwrap_or(text.len());
            let (number, unit) = text.split_at(unit_at);
            let number: f64 = number
                .trim()
                .parse()
                .map_err(|_| format!("`{text}` is not a duration such as 250ms"))?;
            match unit {
                "ms" => number / 1000.0,
                "s" => number,
                "m" => number * 60.0,
                "h" => number * 3600.0,
                _ => return Err(format!("`{text}` needs a unit: ms, s, m or h")),
            }
        }
    };
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err("a duration is between nothing and a year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The same for a duration that may be absent.
pub mod optional {
    use super::{Duration, Written, read};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<Written>::deserialize(deserializer)?
            .map(|written| read(&written))
            .transpose()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_units_and_bare_numbers_are_milliseconds() {
        let text = |text: &str| read(&Written::Text(text.to_owned()));
        assert_eq!(text("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(text("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(text("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(
            read(&Written::Milliseconds(20.0)),
            Ok(Duration::from_millis(20))
        );
        assert!(
            text("5").is_err()
                && text("-1s").is_err()
                && text("x").is_err()
                && text("1e400s").is_err()
        );
    }
}
