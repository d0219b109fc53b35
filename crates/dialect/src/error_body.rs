//! Our refusals in the caller's dialect, so that SDKs raise the right class.

use bytes::Bytes;

use crate::Dialect;

/// One error as every dialect can say it. `tollgate` is the "why": absent for errors without a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    pub message: &'a str,
    /// OpenAI's `type`: `invalid_request_error`, `authentication_error`, `permission_error`, …
    pub kind: &'a str,
    pub code: &'a str,
    pub param: Option<&'a str>,
    pub request_id: &'a str,
    pub why: Option<Why<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why<'a> {
    pub rule: &'a str,
    pub scope: &'a str,
    pub limit: Option<u64>,
    pub used: Option<u64>,
    pub reserved: Option<u64>,
    /// RFC 3339.
    pub resets_at: Option<&'a str>,
}

/// `{"error":{"message","type","code","param","tollgate":{…,"request_id"}}}`.
pub fn error_body(dialect: Dialect, error: &ErrorBody<'_>) -> Bytes {
    let _ = (dialect, error);
    todo!()
}

/// The same as the last event of an SSE stream that failed after its first byte.
pub fn error_event(dialect: Dialect, error: &ErrorBody<'_>) -> Bytes {
    let _ = (dialect, error);
    todo!()
}
