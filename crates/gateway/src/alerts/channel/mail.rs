//! E-mail, through the operator's own SMTP server.

use std::time::{Duration, SystemTime};

use config::snapshot::{MailTls, Smtp};
use domain::Wall;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Undelivered, with_sources};
use crate::alerts::message::Message;

/// Connecting, and each answer of the server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// All of it.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn send(smtp: &Smtp, message: &Message, now: Wall) -> Result<(), Undelivered> {
    let server = format!("smtp server {}:{}", smtp.host, smtp.port);
    let about = |error: &dyn std::error::Error| format!("{server}: {}", with_sources(error));
    let mail = mail(smtp, message, now).map_err(|fault| Undelivered {
        fault,
        is_refusal: true,
        retry_after: None,
    })?;
    let transport = transport(smtp).map_err(|error| Undelivered::new(about(&error)))?;
    match tokio::time::timeout(WHOLE_TIMEOUT, transport.send(mail)).await {
        Ok(Ok(_accepted)) => Ok(()),
        // A server that says 5xx of a mail would say it again; of a login, it may be put right.
        Ok(Err(error)) => Err(Undelivered {
            is_refusal: matches!(error.status(), Some(code) if matches!(u16::from(code), 550..=554)),
            fault: about(&error),
            retry_after: None,
        }),
        Err(_elapsed) => Err(Undelivered::new(format!(
            "{server}: not done within {} s",
            WHOLE_TIMEOUT.as_secs()
        ))),
    }
}

fn transport(
    smtp: &Smtp,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    let parameters = || TlsParameters::new_rustls(smtp.host.clone());
    let tls = match smtp.tls {
        MailTls::Starttls => Tls::Required(parameters()?),
        MailTls::Implicit => Tls::Wrapper(parameters()?),
        MailTls::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some((username, password)) = &smtp.login {
        let credentials = Credentials::new(username.clone(), password.reveal().to_owned());
        builder = builder.credentials(credentials);
    }
    Ok(builder.build())
}

/// The same alert is the same mail at every try, by its `Message-ID`.
fn mail(smtp: &Smtp, message: &Message, now: Wall) -> Result<lettre::Message, String> {
    let mailbox = |address: &str| -> Result<Mailbox, String> {
        let parsed: Address = address
            .parse()
            .map_err(|error| format!("`{address}` cannot be written to: {error}"))?;
        Ok(Mailbox::new(None, parsed))
    };
    let from = mailbox(&smtp.from)?;
    let id = format!("<{}@{}>", message.id, from.email.domain());
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0.unsigned_abs());
    let mut builder = lettre::Message::builder()
        .from(from)
        .subject(format!("[{}] {}", message.severity.as_str(), message.title))
        .date(date)
        .message_id(Some(id));
    for address in &smtp.to {
        builder = builder.to(mailbox(address)?);
    }
    let mut mail = builder
        .singlepart(SinglePart::plain(text(message)))
        .map_err(|error| format!("the mail cannot be written: {error}"))?;
    // Nobody's holiday notice should answer it.
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    mail.headers_mut()
        .insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    Ok(mail)
}

fn text(message: &Message) -> String {
    let mut text = format!("{}\n\n", message.text);
    let width = message
        .facts
        .iter()
        .map(|fact| fact.name.chars().count())
        .max();
    for fact in &message.facts {
        let room = width.unwrap_or(0) - fact.name.chars().count();
        text.push_str(&format!(
            "{}:{} {}\n",
            fact.name,
            " ".repeat(room),
            fact.value
        ));
    }
    text.push_str(&format!(
        "\nTollgate, {} ({}), {}\n",
        message.rule, message.id, message.raised_at
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::sample;

    fn smtp() -> Smtp {
        Smtp {
            host: "localhost".to_owned(),
            port: 25,
            tls: MailTls::None,
            login: None,
            from: "tollgate@example.com".to_owned(),
            to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
        }
    }

    #[test]
    fn the_mail_is_the_same_at_every_try() {
        let mut message = sample();
        message.title = "Budget für \r\nBcc: evil@example.com".to_owned();
        let written = mail(&smtp(), &message, Wall::from_secs(1_795_388_700)).unwrap();
        let written = String::from_utf8(written.formatted()).unwrap();
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("Message-ID: <alert_0123@example.com>"),
            "{head}"
        );
        assert!(
            head.contains("Date: Sun, 22 Nov 2026 23:05:00 +0000"),
            "{head}"
        );
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(head.contains("To: a@example.com, b@example.com"), "{head}");
        assert!(
            !head.lines().any(|line| line.starts_with("Bcc")),
            "a title adds no header: {head}"
        );
    }
}
