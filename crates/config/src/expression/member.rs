//! The fixed names that every call has.

use std::borrow::Cow;

use super::CallContext;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    SubscriptionId,
    SubscriptionName,
    SubscriptionOwner,
    ProductId,
    ProductName,
    ApplicationName,
    CallerKeyId,
    CallerIssuer,
    CallerSubject,
    CallerUser,
    ModelName,
    RequestIp,
}

impl Member {
    pub const ALL: [Self; 12] = [
        Self::SubscriptionId,
        Self::SubscriptionName,
        Self::SubscriptionOwner,
        Self::ProductId,
        Self::ProductName,
        Self::ApplicationName,
        Self::CallerKeyId,
        Self::CallerIssuer,
        Self::CallerSubject,
        Self::CallerUser,
        Self::ModelName,
        Self::RequestIp,
    ];

    /// `subscription.id`
    pub const fn written(self) -> &'static str {
        match self {
            Self::SubscriptionId => "subscription.id",
            Self::SubscriptionName => "subscription.name",
            Self::SubscriptionOwner => "subscription.owner",
            Self::ProductId => "product.id",
            Self::ProductName => "product.name",
            Self::ApplicationName => "application.name",
            Self::CallerKeyId => "caller.key_id",
            Self::CallerIssuer => "caller.issuer",
            Self::CallerSubject => "caller.subject",
            Self::CallerUser => "caller.user",
            Self::ModelName => "model.name",
            Self::RequestIp => "request.ip",
        }
    }

    pub fn root_and_name(self) -> (&'static str, &'static str) {
        self.written()
            .split_once('.')
            .unwrap_or((self.written(), ""))
    }

    pub fn find(root: &str, name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|member| member.root_and_name() == (root, name))
    }

    pub fn of<'a>(self, call: &CallContext<'a>) -> Option<Cow<'a, str>> {
        let text = match self {
            Self::SubscriptionId => call
                .subscription
                .map(|subscription| subscription.id.as_str()),
            Self::SubscriptionName => call.subscription.map(|subscription| &*subscription.name),
            Self::SubscriptionOwner => call
                .subscription
                .and_then(|subscription| subscription.owner.as_deref()),
            Self::ProductId => call.product.map(|product| product.id.as_str()),
            Self::ProductName => call.product.map(|product| &*product.name),
            Self::ApplicationName => Some(call.application.map_or("", |name| name.as_str())),
            Self::CallerKeyId => call.key_id,
            Self::CallerIssuer => call.issuer,
            Self::CallerSubject => call.subject,
            Self::CallerUser => call.user,
            Self::ModelName => call.model.map(|model| model.as_str()),
            Self::RequestIp => return call.ip.map(|ip| Cow::Owned(ip.to_string())),
        };
        text.map(Cow::Borrowed)
    }

    /// Found by mapping the caller, so unknown while that mapping runs.
    pub fn is_of_tenant(self) -> bool {
        match self {
            Self::SubscriptionId
            | Self::SubscriptionName
            | Self::SubscriptionOwner
            | Self::ProductId
            | Self::ProductName
            | Self::ApplicationName
            | Self::CallerKeyId
            | Self::CallerUser
            | Self::ModelName => true,
            Self::CallerIssuer | Self::CallerSubject | Self::RequestIp => false,
        }
    }
}
