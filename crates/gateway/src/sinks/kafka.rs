//! Batches to Kafka and to Event Hubs: the producer is the `kafka` crate's, the credentials ours.

use std::sync::Arc;

use config::snapshot::{ClientTls, Envelope, KafkaCompression, KafkaLogin, KafkaSasl, KafkaSink};
use kafka::{Compression, Login, Message, Options, Producer, Refused, Sasl, ScramHash, Token};
use rustls::ClientConfig;

use super::batch::{Batch, Failure, Refusal};
use crate::clock::Clock;
use crate::credentials::{Authorisation, Credential, Credentials};
use crate::fetch::Trust;
use crate::tls::{self, ClientTlsError};

pub struct Kafka {
    definition: KafkaSink,
    headers: &'static [(&'static str, &'static str)],
    producer: Option<Producer>,
    login: Way,
    clock: Clock,
}

/// How to log in.
enum Way {
    Nobody,
    /// As it is sent.
    Fixed(Sasl),
    /// With a token, which is fetched and kept fresh as those for backends are.
    Token(Credential),
}

impl Kafka {
    pub fn new(definition: &KafkaSink, envelope: Envelope, credentials: &Credentials) -> Self {
        let fixed = |login: &KafkaLogin| Login {
            username: login.username.clone(),
            password: login.password.reveal().to_owned(),
        };
        let login = match &definition.sasl {
            None => Way::Nobody,
            Some(KafkaSasl::Plain(login)) => Way::Fixed(Sasl::Plain(fixed(login))),
            Some(KafkaSasl::ScramSha256(login)) => {
                Way::Fixed(Sasl::Scram(ScramHash::Sha256, fixed(login)))
            }
            Some(KafkaSasl::ScramSha512(login)) => {
                Way::Fixed(Sasl::Scram(ScramHash::Sha512, fixed(login)))
            }
            Some(KafkaSasl::Oauth(source)) => Way::Token(credentials.of_source(source)),
        };
        let headers: &[_] = match envelope {
            Envelope::None => &[("content-type", "application/json")],
            Envelope::CloudEvents => &[("content-type", "application/cloudevents+json")],
        };
        Self {
            definition: definition.clone(),
            headers,
            producer: None,
            login,
            clock: credentials.clock.clone(),
        }
    }

    pub async fn deliver(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let authorisation = match &self.login {
            Way::Token(credential) => Some(credential.authorise(&self.clock).await),
            Way::Nobody | Way::Fixed(_) => None,
        };
        let sasl = match (&self.login, &authorisation) {
            (Way::Fixed(sasl), _) => Some(sasl.clone()),
            (Way::Token(_), Some(Ok(Authorisation::Token(token)))) => {
                let bearer = token.header().to_str().unwrap_or_default();
                let token = bearer.trim_start_matches("Bearer ").to_owned();
                Some(Sasl::OauthBearer(Token(token)))
            }
            (Way::Token(_), _) => {
                let text = "there is no token for the login: the log says why".to_owned();
                return Err(Failure::because(text));
            }
            (Way::Nobody, _) => None,
        };
        let messages: Vec<Message> = batch
            .events
            .iter()
            .map(|event| Message {
                key: event.key.clone(),
                value: event.json.clone(),
                timestamp_ms: event.at.0,
                headers: self.headers,
            })
            .collect();
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(producer(&self.definition)?),
        };
        let mut refused = Vec::new();
        let sent = producer
            .send(&messages, &mut batch.taken, &mut refused, sasl.as_ref())
            .await;
        let refusal = |Refused { index, reason }| Refusal { index, reason };
        batch.refusals.extend(refused.into_iter().map(refusal));
        sent.map_err(|error| {
            if let (true, Way::Token(credential), Some(Ok(used))) =
                (error.is_login(), &self.login, &authorisation)
            {
                credential.turned_down(used, &self.clock);
            }
            Failure::new(&error)
        })
    }
}

fn producer(definition: &KafkaSink) -> Result<Producer, Failure> {
    let tls = definition.tls.as_ref().map(client_config).transpose();
    let tls = tls.map_err(|error| Failure::new(&error))?.map(Arc::new);
    let options = Options {
        client_id: definition.client_id.clone(),
        tls,
        timeout: definition.timeout,
    };
    let compression = match definition.compression {
        KafkaCompression::None => Compression::None,
        KafkaCompression::Gzip => Compression::Gzip,
        KafkaCompression::Zstd => Compression::Zstd,
    };
    let (brokers, topic) = (definition.brokers.clone(), definition.topic.clone());
    Ok(Producer::new(options, brokers, topic, compression))
}

pub fn client_config(written: &ClientTls) -> Result<ClientConfig, ClientTlsError> {
    tls::client_config(written, Trust::Machine)
}
