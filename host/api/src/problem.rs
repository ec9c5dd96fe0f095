//! Errors as RFC 9457 has them: `application/problem+json`.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{ApiError, Refusal, RefusalKind};

/// What says that a body is a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What a problem's `type` begins with; the kind follows.
const TYPE: &str = "urn:prunella:problem:";

/// A problem, on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    title: Cow<'a, str>,
    status: u16,
    detail: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl RefusalKind {
    const ALL: [Self; 11] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::TooSlow,
        Self::Unauthorized,
        Self::NotAllowed,
        Self::NotFound,
        Self::Conflict,
        Self::BadConfig,
        Self::TooMany,
        Self::Busy,
        Self::Failed,
    ];

    /// Its stable word, its title, and its status in HTTP.
    fn described(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad-request", "Bad request", StatusCode::BAD_REQUEST),
            Self::TooLarge => (
                "too-large",
                "Request too large",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::TooSlow => (
                "too-slow",
                "Request took too long",
                StatusCode::REQUEST_TIMEOUT,
            ),
            Self::Unauthorized => ("unauthorized", "Not known", StatusCode::UNAUTHORIZED),
            Self::NotAllowed => ("not-allowed", "Not allowed", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::Conflict => ("conflict", "In the way", StatusCode::CONFLICT),
            Self::TooMany => (
                "too-many",
                "Too many requests",
                StatusCode::TOO_MANY_REQUESTS,
            ),
            Self::BadConfig => (
                "bad-config",
                "Configuration has mistakes",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::Busy => ("busy", "Busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Failed => ("failed", "Failed", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (word, title, status) = self.kind.described();
        let problem = Problem {
            kind: format!("{TYPE}{word}").into(),
            title: title.into(),
            status: status.as_u16(),
            detail: self.message.into(),
            help: self.help.map(Cow::from),
            retry_after_s: self.retry_after_s,
        };
        // Strings and a number: this cannot fail.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, Body::from(body)).into_response();
        let problem = HeaderValue::from_static(MEDIA_TYPE);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, problem);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.into_refusal().into_response()
    }
}

/// Reads a problem that came with a status that is no success.
pub(crate) fn read(body: &[u8]) -> Result<Refusal, serde_json::Error> {
    let problem: Problem<'_> = serde_json::from_slice(body)?;
    let kind = RefusalKind::ALL
        .into_iter()
        .find(|kind| problem.kind.strip_prefix(TYPE) == Some(kind.described().0))
        .unwrap_or(RefusalKind::Failed);
    Ok(Refusal {
        kind,
        message: problem.detail.into_owned(),
        help: problem.help.map(Cow::into_owned),
        retry_after_s: problem.retry_after_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_kind_comes_through() {
        for kind in RefusalKind::ALL {
            let refusal = Refusal::new(kind, "no \"such\" unit").help("look");
            let response = refusal.clone().into_response();
            assert!(response.status().is_client_error() || response.status().is_server_error());
            let body = axum::body::to_bytes(response.into_body(), 1024)
                .await
                .unwrap();
            assert_eq!(read(&body).unwrap(), refusal);
        }
    }

    #[tokio::test]
    async fn the_form_is_the_standards() {
        let response = Refusal::new(RefusalKind::NotFound, "there is no incident `x`")
            .help("list them with `prunella incidents`")
            .into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        let body = axum::body::to_bytes(response.into_body(), 1024)
            .await
            .unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"type":"urn:prunella:problem:not-found","title":"Not found","status":404,"detail":"there is no incident `x`","help":"list them with `prunella incidents`"}"#
        );
    }
}
