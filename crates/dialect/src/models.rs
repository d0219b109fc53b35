//! The models list as SDKs read it.

use bytes::Bytes;
use domain::ModelName;

/// `{"object":"list","data":[{"id","object":"model","created","owned_by"}]}`.
pub fn list(models: &[&ModelName]) -> Bytes {
    let _ = models;
    todo!()
}

pub fn one(model: &ModelName) -> Bytes {
    let _ = model;
    todo!()
}
