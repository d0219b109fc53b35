//! A mail server on 127.0.0.1 that keeps what it gets, as RFC 5321 has it: STARTTLS, a login, one mail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub const USER: &str = "tollgate";
pub const PASSWORD: &str = "mail-secret-0d8e";

/// What one client said and sent.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub is_encrypted: bool,
    pub has_logged_in: bool,
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

pub struct MailServer {
    pub address: SocketAddr,
    /// Whom clients have to trust, as PEM.
    pub certificate: String,
    mails: Arc<Mutex<Vec<Mail>>>,
    _tasks: JoinSet<()>,
}

impl MailServer {
    pub async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mails: Arc<Mutex<Vec<Mail>>> = Arc::default();
        let kept = mails.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), kept.clone());
                clients.spawn(async move {
                    let _left_or_done = serve(stream, acceptor, &kept).await;
                });
            }
        });
        Self {
            address,
            certificate: made.cert.pem(),
            mails,
            _tasks: tasks,
        }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

/// What to do after a conversation.
enum Next {
    Encrypt,
    End,
}

async fn serve(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    kept: &Mutex<Vec<Mail>>,
) -> std::io::Result<()> {
    stream.write_all(b"220 localhost ESMTP\r\n").await?;
    let mut mail = Mail::default();
    if let Next::End = converse(&mut stream, &mut mail, kept).await? {
        return Ok(());
    }
    let mut stream = acceptor.accept(stream).await?;
    mail.is_encrypted = true;
    converse(&mut stream, &mut mail, kept).await?;
    Ok(())
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mail: &mut Mail,
    kept: &Mutex<Vec<Mail>>,
) -> std::io::Result<Next> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(Next::End);
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" if mail.is_encrypted => "250-localhost\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "EHLO" => "250-localhost\r\n250 STARTTLS",
            "STARTTLS" => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(Next::Encrypt);
            }
            "AUTH" => {
                let login = format!("\0{USER}\0{PASSWORD}");
                mail.has_logged_in = line == format!("AUTH PLAIN {}", BASE64.encode(login));
                if mail.has_logged_in {
                    "235 welcome"
                } else {
                    "535 5.7.8 wrong user or password"
                }
            }
            "MAIL" => {
                mail.from = line.to_owned();
                "250 ok"
            }
            "RCPT" => {
                mail.to.push(line.to_owned());
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 send it\r\n").await?;
                mail.data = data(&mut stream).await?;
                kept.lock().unwrap().push(mail.clone());
                "250 kept"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(Next::End);
            }
            _ => "502 not here",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
