//! What a request proved, and the subscription and application that follow from it. Pure.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use config::snapshot::{KeyGrant, Require, Subscription};
use config::{CallContext, Expression, Snapshot};
use domain::ApplicationName;
use http::HeaderMap;
use subtle::ConstantTimeEq;

use super::application;
use super::credential::Secret;
use super::refusal::AuthError;
use super::verified::VerifiedToken;

/// The key and the token that were found good, beside what expressions may read of the request.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub grant: Option<&'a KeyGrant>,
    pub token: Option<&'a VerifiedToken>,
    pub headers: &'a HeaderMap,
    pub ip: Option<IpAddr>,
}

pub(super) fn find_grant<'s>(
    snapshot: &'s Snapshot,
    key: &Secret<'_>,
) -> Result<&'s KeyGrant, AuthError> {
    let (hash, grant) = snapshot
        .keys
        .get_key_value(&key.digest)
        .ok_or(AuthError::UnknownKey)?;
    // The map's own comparison stops early. Nobody can steer a digest byte by byte, but nobody
    // should have to argue about it either.
    if bool::from(hash.0.ct_eq(&key.digest.0)) {
        Ok(grant)
    } else {
        Err(AuthError::UnknownKey)
    }
}

impl<'a> Proof<'a> {
    /// Key and token must agree where both are there.
    pub fn subscription(&self, snapshot: &'a Snapshot) -> Result<&'a Arc<Subscription>, AuthError> {
        let of_key = self.grant.map(|grant| &grant.subscription);
        let of_token = match self.token {
            Some(token) => {
                let id = self.mapped(token, &token.issuer.subscription, "subscription", None)?;
                Some(
                    snapshot
                        .subscriptions
                        .get(id.as_ref())
                        .ok_or(AuthError::NoSubscription)?,
                )
            }
            None => None,
        };
        match (of_key, of_token) {
            (Some(of_key), Some(of_token)) if of_key.id != of_token.id => {
                Err(AuthError::SubscriptionsDiffer)
            }
            (Some(subscription), _) | (None, Some(subscription)) => Ok(subscription),
            (None, None) => Err(AuthError::NoCredential),
        }
    }

    /// Whether this is all that the subscription's product requires.
    pub fn satisfies(&self, subscription: &Subscription) -> Result<(), AuthError> {
        let (needs_key, needs_token) = match subscription.product.require {
            Require::SubscriptionKey => (true, false),
            Require::Jwt => (false, true),
            Require::Both => (true, true),
            Require::Either => (false, false),
        };
        if needs_key && self.grant.is_none() {
            return Err(AuthError::KeyRequired);
        }
        if needs_token && self.token.is_none() {
            return Err(AuthError::TokenRequired);
        }
        Ok(())
    }

    /// From the key, else from the token, else from the header that the product allows.
    pub fn application(
        &self,
        subscription: &Subscription,
    ) -> Result<Option<ApplicationName>, AuthError> {
        if let Some(application) = self.grant.and_then(|grant| grant.application.clone()) {
            return Ok(Some(application));
        }
        if let Some(token) = self.token
            && let Some(expression) = &token.issuer.application
        {
            let name = self.mapped(token, expression, "application", Some(subscription))?;
            if let Some(application) = application::application(&name) {
                return Ok(Some(application));
            }
        }
        let header = subscription.product.application_header.as_ref();
        Ok(header.and_then(|header| application::from_header(self.headers, header)))
    }

    /// From the token alone; nothing if nothing is left of the text.
    pub fn user(&self, subscription: &Subscription) -> Result<Option<Arc<str>>, AuthError> {
        let Some(token) = self.token else {
            return Ok(None);
        };
        let Some(expression) = &token.issuer.user else {
            return Ok(None);
        };
        let text = self.mapped(token, expression, "user", Some(subscription))?;
        let user = application::bounded(&text);
        Ok((!user.is_empty()).then(|| user.into()))
    }

    /// What an expression of the token's issuer makes of it.
    fn mapped<'s>(
        &'s self,
        token: &'s VerifiedToken,
        expression: &'s Expression,
        field: &str,
        subscription: Option<&'s Subscription>,
    ) -> Result<Cow<'s, str>, AuthError> {
        let call = CallContext {
            subscription,
            product: subscription.map(|subscription| subscription.product.as_ref()),
            application: None,
            key_id: self.grant.map(|grant| grant.key_id.as_ref()),
            issuer: Some(&token.issuer.name),
            subject: token.subject.as_deref(),
            user: None,
            claims: Some(&token.claims),
            model: None,
            headers: self.headers,
            ip: self.ip,
        };
        expression.text(&call).map_err(|fault| AuthError::Policy {
            rule: format!("identity.jwt.{}.{field}", token.issuer.name),
            fault,
        })
    }
}
