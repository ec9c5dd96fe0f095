//! What of a request a handler takes, and how it answers.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderValue, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::LengthLimitError;
use prunella_core::text::one_line;
use serde::{Serialize, de::DeserializeOwned};

use super::{Limits, Shared, panicked, version};
use crate::{Refusal, RefusalKind};

/// A body of JSON, within the bounds; an empty one is an object without fields.
pub(super) struct Input<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Refusal> {
        let body = body_of(request.into_body(), shared.limits).await?;
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|error| not_understood(&error))
    }
}

/// The whole body, within the bounds.
pub(crate) async fn body_of(body: Body, limits: Limits) -> Result<Bytes, Refusal> {
    let body = axum::body::to_bytes(body, limits.bytes);
    match tokio::time::timeout(limits.request, body).await {
        Err(_) => Err(Refusal::new(
            RefusalKind::TooSlow,
            "the request did not arrive in time",
        )),
        Ok(Err(error)) if is_too_long(&error) => Err(Refusal::new(
            RefusalKind::TooLarge,
            format!("the request is longer than {} bytes", limits.bytes),
        )),
        Ok(Err(error)) => Err(not_understood(&error)),
        Ok(Ok(body)) => Ok(body),
    }
}

pub(super) fn not_understood(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(
        RefusalKind::BadRequest,
        format!(
            "the request is not understood: {}",
            one_line(&error.to_string(), 300)
        ),
    )
    .help(version())
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<LengthLimitError>())
}

/// What stands behind the `?`.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
            .map(Self)
            .map_err(|error| not_understood(&error))
    }
}

/// The name, or names, within the address.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(name) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| not_understood(&error.body_text()))?;
        Ok(Self(name))
    }
}

pub(super) type Reply<T> = Result<Json<T>, Refusal>;

/// An answer, as JSON.
pub(crate) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                ([(CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => panicked(&error).into_response(),
        }
    }
}
