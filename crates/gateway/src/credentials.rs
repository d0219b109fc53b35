//! What proves the gateway to its backends: headers ready to be sent, and tokens kept fresh.
//!
//! Backends whose token sources are equal share one [`Identity`], and so one token. Which backend a
//! call goes to, and what becomes of it without a credential, is the router's to say.

mod identity;
mod life;
mod reply;
mod request;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use config::snapshot::{Backend, BackendAuth, KeyHeader, Service, TokenSource};
use dialect::Dialect;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::clock::{Chance, Clock};
use crate::fetch::Fetch;
pub use identity::{Identity, Token};

/// One backend's. Cheap to clone: what is sent was put together when the configuration was loaded,
/// or when the token came.
#[derive(Clone, Debug)]
pub enum Credential {
    None,
    Fixed(HeaderName, HeaderValue),
    Token(Followed),
    /// A secret that no header can carry, which the configuration does not let through.
    Unsendable,
}

/// An identity and the task that keeps its token fresh, which ends with the last clone of this.
#[derive(Clone)]
pub struct Followed {
    pub identity: Arc<Identity>,
    _task: Arc<DropGuard>,
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Followed({})", self.identity.name())
    }
}

/// What one attempt is authorised with.
#[derive(Clone, Debug)]
pub enum Authorisation {
    None,
    Fixed(HeaderName, HeaderValue),
    Token(Arc<Token>),
}

/// There is no credential to send, and none to be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing;

impl Credential {
    /// At once, but for a token that has yet to come.
    pub async fn authorise(&self, clock: &Clock) -> Result<Authorisation, Missing> {
        match self {
            Self::None => Ok(Authorisation::None),
            Self::Fixed(name, value) => Ok(Authorisation::Fixed(name.clone(), value.clone())),
            Self::Token(followed) => {
                let token = followed.identity.token(clock).await?;
                Ok(Authorisation::Token(token))
            }
            Self::Unsendable => Err(Missing),
        }
    }

    /// The backend answered 401: a token is fetched anew, in case the issuer withdrew this one.
    pub fn turned_down(&self, authorisation: &Authorisation, clock: &Clock) {
        if let (Self::Token(followed), Authorisation::Token(token)) = (self, authorisation) {
            followed.identity.turned_down(token, clock.now().mono);
        }
    }

    fn fixed(name: HeaderName, text: &str) -> Self {
        let Ok(mut value) = HeaderValue::try_from(text) else {
            return Self::Unsendable;
        };
        value.set_sensitive(true);
        Self::Fixed(name, value)
    }
}

impl Authorisation {
    /// Adds the gateway's credential; it is added here and nowhere else.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        match self {
            Self::None => {}
            Self::Fixed(name, value) => {
                headers.insert(name.clone(), value.clone());
            }
            Self::Token(token) => {
                headers.insert(AUTHORIZATION, token.header().clone());
            }
        }
    }
}

/// Makes backends' credentials. The tasks that it starts end with `stop`, or with their identity.
#[derive(Clone)]
pub struct Credentials {
    pub fetch: Fetch,
    pub clock: Clock,
    pub chance: Arc<Chance>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

/// Identities that are followed, by what they are.
pub type Identities = HashMap<Arc<TokenSource>, Followed>;

impl Credentials {
    /// That of one backend. An identity that is among `known` keeps its token; a new one is added.
    pub fn of(&self, backend: &Backend, known: &mut Identities) -> Credential {
        match (&backend.auth, backend.dialect) {
            (BackendAuth::None, _) => Credential::None,
            (BackendAuth::ApiKey(key), Dialect::AzureOpenAi) => {
                Credential::fixed(HeaderName::from_static("api-key"), key.reveal())
            }
            (BackendAuth::ApiKey(token), Dialect::OpenAi) | (BackendAuth::Bearer(token), _) => {
                Credential::fixed(AUTHORIZATION, &format!("Bearer {}", token.reveal()))
            }
            (BackendAuth::Token(source), _) => self.of_known(source, known),
        }
    }

    /// That of a service which judges content.
    pub fn of_service(&self, service: &Service, known: &mut Identities) -> Credential {
        match (&service.auth, service.key_header) {
            (BackendAuth::None, _) => Credential::None,
            (BackendAuth::ApiKey(key), KeyHeader::OcpApimSubscription) => Credential::fixed(
                HeaderName::from_static("ocp-apim-subscription-key"),
                key.reveal(),
            ),
            (BackendAuth::ApiKey(token), KeyHeader::Bearer) | (BackendAuth::Bearer(token), _) => {
                Credential::fixed(AUTHORIZATION, &format!("Bearer {}", token.reveal()))
            }
            (BackendAuth::Token(source), _) => self.of_known(source, known),
        }
    }

    fn of_known(&self, source: &Arc<TokenSource>, known: &mut Identities) -> Credential {
        let followed = known
            .entry(source.clone())
            .or_insert_with(|| self.follow(source));
        Credential::Token(followed.clone())
    }

    /// For what is no backend: its token is its own.
    pub fn of_source(&self, source: &Arc<TokenSource>) -> Credential {
        Credential::Token(self.follow(source))
    }

    fn follow(&self, source: &Arc<TokenSource>) -> Followed {
        let identity = Arc::new(Identity::new(source.clone()));
        let stop = self.stop.child_token();
        let task = Arc::new(stop.clone().drop_guard());
        let (credentials, followed) = (self.clone(), identity.clone());
        self.tasks.spawn(async move {
            stop.run_until_cancelled(followed.follow(&credentials))
                .await
        });
        Followed {
            identity,
            _task: task,
        }
    }
}
