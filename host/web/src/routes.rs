//! Which address is answered by what, and the headers that every answer has.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};

use crate::{App, page, relay, session};

/// What a page may load and do: its own style and script, and nothing of anybody else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// What every answer says.
const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// The longest body of a form in bytes.
const FORM_BYTES: usize = 64 << 10;

/// What the pages load, by name.
const ASSETS: [(&str, &str, &str); 3] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../assets/style.css"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/live.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    ),
];

/// Everything that is answered.
pub fn routes(app: App) -> Router {
    let secure = app.secure;
    let mut router = Router::new()
        .route("/", get(page::overview::page))
        .route("/services/{unit}", get(page::service::page))
        .route("/services/{unit}/heal", post(page::act::heal))
        .route("/incidents", get(page::incidents::page))
        .route("/incidents/{id}", get(page::incident::page))
        .route("/incidents/{id}/undo", post(page::act::undo))
        .route("/needs-you", get(page::approvals::page))
        .route("/approvals/{id}", post(page::act::decide))
        .route("/pauses", post(page::act::pause))
        .route("/resume", post(page::act::resume))
        .route("/strategies", get(page::strategies::page))
        .route("/audit", get(page::audit::page))
        .route("/alerts", get(page::alerts::page))
        .route("/alerts/{id}/retry", post(page::act::retry))
        .route("/login", get(session::show).post(session::log_in))
        .route("/logout", post(session::log_out))
        .layer(axum::extract::DefaultBodyLimit::max(FORM_BYTES))
        // The daemon's own, with the key or the session of whoever asks.
        .route("/health", get(relay::relay))
        .route("/metrics", get(relay::relay))
        .route("/api/v1/{*rest}", any(relay::relay))
        .fallback(|| async { page::trouble::missing() });
    for (name, kind, content) in ASSETS {
        let answer = move |headers: HeaderMap| async move { asset(kind, content, &headers) };
        router = router.route(&format!("/assets/{name}"), get(answer));
    }
    router
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            guarded(secure, request, next)
        }))
        .with_state(app)
}

/// Adds the headers that every answer has.
async fn guarded(secure: bool, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert("strict-transport-security", year);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// A file that is in the binary. It is asked for again each time, and sent once.
fn asset(kind: &'static str, content: &'static str, headers: &HeaderMap) -> Response {
    let tag = format!(
        "\"{}\"",
        env!("CARGO_PKG_VERSION").to_owned() + &fingerprint(content)
    );
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => content.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Tells one content from another: no secret, and nobody's to forge.
fn fingerprint(content: &str) -> String {
    let hash = content
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pages_load_is_small_and_of_nobody_else() {
        let bytes: usize = ASSETS.iter().map(|(_, _, content)| content.len()).sum();
        assert!(bytes < 120 << 10, "{bytes}");
        for (name, _, content) in ASSETS {
            let content = content.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !content.contains("http://") && !content.contains("https://"),
                "{name}"
            );
        }
    }
}
