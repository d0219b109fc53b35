//! `identity`: trusted token issuers.

use super::backend::WebUrl;
use crate::read::{Cel, Declared, IssuerName, List, Placed, Text, section, words};
use crate::snapshot::{Algorithm, Match};

section! {
    /// Who may prove a caller besides subscription keys.
    pub struct Identity {
        /// Trusted issuers of JWTs.
        pub jwt: List<Issuer> = "[]",
    }
}

section! {
    /// One trusted issuer of JWTs.
    pub struct Issuer {
        /// Names it in records and problems.
        pub name: Declared<IssuerName>,
        /// Its OpenID discovery document, which names its keys.
        pub openid_config: WebUrl,
        /// What `iss` must be. Without it, what the discovery document says.
        pub issuer: Option<Text>,
        /// `aud` must hold one of these.
        pub audiences: Placed<List<Text>>,
        /// Claims that a token must have.
        pub required_claims: List<RequiredClaim> = "[]",
        /// CEL over `claims`, `caller.issuer`, `caller.subject` and `request`: the id of the
        /// subscription that the token belongs to.
        pub subscription: Cel,
        /// CEL over the same: the name of the application. Without it, the product's header may name it.
        pub application: Option<Cel>,
        /// CEL over the same: the person or service behind the call, for budgets and reports; cut to
        /// 128 bytes. In Entra `claims.oid` stays the same for good.
        pub user: Option<Cel>,
        /// Signatures that are accepted. Without it, every one of these: there is no `none` and no HMAC.
        pub algorithms: List<Algorithm> = "[]",
    }
}

section! {
    /// A claim that a token must have.
    pub struct RequiredClaim {
        /// The claim: `roles`.
        pub name: Text,
        /// Whether the claim must hold every value or one of them.
        pub r#match: Match = "all",
        /// Compared with whole values, never with parts of a joined list.
        pub values: Placed<List<Text>>,
    }
}

words! { Match, "kind of match":
    /// The claim holds every one of the values.
    "all" => Match::All,
    /// The claim holds at least one of the values.
    "any" => Match::Any,
}

words! { Algorithm, "signature algorithm":
    /// RSA PKCS#1 v1.5, SHA-256.
    "RS256" => Algorithm::Rs256,
    /// RSA PKCS#1 v1.5, SHA-384.
    "RS384" => Algorithm::Rs384,
    /// RSA PKCS#1 v1.5, SHA-512.
    "RS512" => Algorithm::Rs512,
    /// RSA PSS, SHA-256.
    "PS256" => Algorithm::Ps256,
    /// RSA PSS, SHA-384.
    "PS384" => Algorithm::Ps384,
    /// RSA PSS, SHA-512.
    "PS512" => Algorithm::Ps512,
    /// ECDSA P-256.
    "ES256" => Algorithm::Es256,
    /// ECDSA P-384.
    "ES384" => Algorithm::Es384,
    /// Ed25519.
    "EdDSA" => Algorithm::EdDsa,
}
