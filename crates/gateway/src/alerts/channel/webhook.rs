//! Webhooks: the message as JSON, signed as Standard Webhooks has it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use config::snapshot::SigningKey;
use domain::Wall;
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use crate::alerts::message::Message;

pub(super) fn request(
    message: &Message,
    key: Option<&SigningKey>,
    now: Wall,
) -> (HeaderMap, String) {
    let body = json!({
        "type": message.kind,
        "timestamp": message.raised_at,
        "data": message,
    })
    .to_string();
    let timestamp = (now.0 / 1000).to_string();
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| {
        // Letters, digits and marks of Base64 fit a header.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    add("webhook-id", &message.id);
    add("webhook-timestamp", &timestamp);
    if let Some(key) = key {
        add(
            "webhook-signature",
            &signature(&key.0, &message.id, &timestamp, &body),
        );
    }
    (headers, body)
}

/// `v1,` and the Base64 of HMAC-SHA256 over `id.timestamp.body`. The time is of this try, so that a
/// receiver can turn old copies away.
pub fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::sample;

    /// The example of the Standard Webhooks specification's libraries.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let key = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_webhook_without_a_secret_is_not_signed() {
        let now = Wall::from_secs(1_795_388_700);
        let (headers, body) = request(&sample(), None, now);
        assert_eq!(headers["webhook-timestamp"], "1795388700");
        assert_eq!(headers["webhook-id"], "alert_0123");
        assert!(!headers.contains_key("webhook-signature"));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["type"], "budget.threshold");
        assert_eq!(body["data"]["details"]["spent"], "402.13");
    }
}
