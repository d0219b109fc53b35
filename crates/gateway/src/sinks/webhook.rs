//! Batches by HTTP: a JSON array, signed as Standard Webhooks are.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use config::snapshot::{Envelope, Secret, WebhookSink};
use domain::Wall;
use http::{HeaderName, HeaderValue};

use super::batch::{Batch, Failure};
use super::event::Event;
use super::post::{Outgoing, Post};

pub struct Webhook {
    definition: WebhookSink,
    envelope: Envelope,
    post: Post,
}

impl Webhook {
    pub fn new(definition: WebhookSink, envelope: Envelope) -> Self {
        Self {
            definition,
            envelope,
            post: Post::default(),
        }
    }

    pub async fn deliver(&mut self, batch: &mut Batch, now: Wall) -> Result<(), Failure> {
        while !batch.is_taken() {
            let piece = batch.piece();
            let body = array(piece.iter().map(|index| &batch.events[*index]));
            let id = batch_id(piece.iter().map(|index| &batch.events[*index]));
            let WebhookSink {
                url,
                origin,
                headers,
                secret,
                gzip,
                timeout,
            } = &self.definition;
            let signed = secret.as_ref().map(|secret| sign(secret, &id, now, &body));
            let outgoing = Outgoing {
                url: url.reveal(),
                headers,
                more: signed.unwrap_or_default(),
                content_type: match self.envelope {
                    Envelope::None => "application/json",
                    Envelope::CloudEvents => "application/cloudevents-batch+json",
                },
                body,
                gzip: *gzip,
                timeout: *timeout,
            };
            match self.post.send(outgoing).await {
                Ok(_) => batch.take(&piece),
                Err(failure) => {
                    let text = format!("{origin}: {}", failure.text);
                    return refuse(batch, Failure { text, ..failure });
                }
            }
        }
        Ok(())
    }
}

/// One event alone that is not liked is refused; of several, it is yet to be found.
pub fn refuse(batch: &mut Batch, failure: Failure) -> Result<(), Failure> {
    let piece = batch.piece();
    let [index] = *piece else {
        return Err(failure);
    };
    if !failure.is_about_content {
        return Err(failure);
    }
    batch.refuse(index, failure.text);
    Ok(())
}

fn array<'e>(events: impl Iterator<Item = &'e Event>) -> Bytes {
    let mut array = vec![b'['];
    for event in events {
        if array.len() > 1 {
            array.push(b',');
        }
        array.extend_from_slice(&event.json);
    }
    array.push(b']');
    array.into()
}

/// The same events, the same id, so that a receiver that has seen the batch can tell.
fn batch_id<'e>(events: impl Iterator<Item = &'e Event>) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for event in events {
        hash.update(&event.id.0.to_be_bytes());
    }
    let hash = hash.finish();
    let short = hash.as_ref().iter().take(16);
    let hex: String = short.map(|byte| format!("{byte:02x}")).collect();
    format!("batch_{hex}")
}

/// The three headers of Standard Webhooks. Signed is the JSON, not its compressed form.
fn sign(secret: &Secret, id: &str, now: Wall, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let secret = secret.reveal();
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).unwrap_or_default(),
        None => secret.as_bytes().to_vec(),
    };
    let timestamp = now.0.div_euclid(1000).to_string();
    let mut signed = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        signed.update(part);
    }
    let signature = format!("v1,{}", STANDARD.encode(signed.sign()));
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signature),
    ]
    .into_iter()
    .filter_map(|(name, value)| {
        let value = HeaderValue::try_from(value).ok()?;
        Some((HeaderName::from_static(name), value))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let now = Wall(1_614_265_330_000);
        let headers = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", now, body);
        let signature = headers.iter().find(|(name, _)| name == "webhook-signature");
        assert_eq!(
            signature.map(|(_, value)| value.to_str().unwrap()),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }
}
