//! The four kinds of sinks behind one face.

use config::snapshot::{Sink, SinkKind, Telemetry};
use domain::Wall;

use super::batch::{Batch, Failure};
use super::file::RotatedFile;
use super::kafka::Kafka;
use super::otlp::OtlpLogs;
use super::webhook::Webhook;
use crate::credentials::Credentials;

pub enum Destination {
    Kafka(Box<Kafka>),
    File(RotatedFile),
    Otlp(Box<OtlpLogs>),
    Webhook(Box<Webhook>),
}

impl Destination {
    /// Connects to nothing yet.
    pub fn new(sink: &Sink, telemetry: &Telemetry, credentials: &Credentials) -> Self {
        match &sink.kind {
            SinkKind::Kafka(kafka) => {
                Self::Kafka(Box::new(Kafka::new(kafka, sink.envelope, credentials)))
            }
            SinkKind::File(file) => Self::File(RotatedFile::new(file.clone())),
            SinkKind::Otlp(otlp) => {
                Self::Otlp(Box::new(OtlpLogs::new(otlp.clone(), telemetry.clone())))
            }
            SinkKind::Webhook(webhook) => {
                Self::Webhook(Box::new(Webhook::new(webhook.clone(), sink.envelope)))
            }
        }
    }

    /// Sends what is not taken yet, and marks what was. After a failure, the rest may be tried again.
    pub async fn deliver(&mut self, batch: &mut Batch, now: Wall) -> Result<(), Failure> {
        match self {
            Self::Kafka(kafka) => kafka.deliver(batch).await,
            Self::File(file) => file.deliver(batch, now).await,
            Self::Otlp(otlp) => otlp.deliver(batch, now).await,
            Self::Webhook(webhook) => webhook.deliver(batch, now).await,
        }
    }

    /// While there is nothing to send.
    pub async fn rest(&mut self, now: Wall) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.rotate_if_due(now).await,
            Self::Kafka(_) | Self::Otlp(_) | Self::Webhook(_) => Ok(()),
        }
    }
}
