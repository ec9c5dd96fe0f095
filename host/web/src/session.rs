//! Logging in and out, and the cookie of a session.
//!
//! The cookie holds the daemon's session and nothing else. Script cannot read it, no other
//! site can have it sent, and under TLS it never goes over anything else (`__Host-` has the
//! browser see to that). The token against forged requests is in the pages, never in a cookie.

use axum::{
    Extension, Form,
    extract::{Query, State},
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use hyper::{
    Method,
    header::{COOKIE, HeaderValue, SET_COOKIE},
};
use prunella_api::{LoginCall, NewSession};
use serde::Deserialize;
use serde_json::json;

use crate::{
    App, Peer,
    daemon::{Caller, Fault},
    page::{self, login},
};

/// The cookie's name, over TLS and without.
const NAMES: (&str, &str) = ("__Host-prunella", "prunella");

/// The longest value that can be a session.
const LONGEST: usize = 200;

fn name(secure: bool) -> &'static str {
    if secure { NAMES.0 } else { NAMES.1 }
}

/// The session within the cookies of a request.
pub fn cookie(headers: &HeaderMap, secure: bool) -> Option<HeaderValue> {
    let ours = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .find_map(|one| {
            let (key, value) = one.trim().split_once('=')?;
            (key == name(secure)).then_some(value)
        })?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte);
    if ours.is_empty() || ours.len() > LONGEST || !ours.bytes().all(plain) {
        return None;
    }
    HeaderValue::from_str(ours).ok()
}

/// Who asks.
pub fn caller(headers: &HeaderMap, peer: &Peer, secure: bool) -> Caller {
    Caller {
        session: cookie(headers, secure),
        peer: peer.header(),
    }
}

/// The token of a link.
#[derive(Debug, Deserialize)]
pub struct Link {
    #[serde(default)]
    token: Option<String>,
}

/// `GET /login`: a button, so that whatever looks at a link in advance does not use it up.
pub async fn show(State(app): State<App>, Query(link): Query<Link>) -> Response {
    login::page(&app, link.token.as_deref(), None)
}

/// `POST /login`: a session for the token of a link.
pub async fn log_in(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(link): Form<Link>,
) -> Response {
    if page::is_cross_site(&headers) {
        return page::trouble::forged();
    }
    let token = link.token.unwrap_or_default();
    let nobody = Caller {
        session: None,
        peer: peer.header(),
    };
    let asked: Result<NewSession, Fault> = app
        .daemon
        .order(&nobody, "", Method::POST, "/sessions", &LoginCall { token })
        .await;
    let new = match asked {
        Ok(new) => new,
        Err(fault) if fault.wants_login() => {
            return login::page(
                &app,
                None,
                Some("This link was used already, or it is too old."),
            );
        }
        Err(fault) => return page::trouble::page(&fault),
    };
    let age = new.expires_at.since(page::now());
    with_cookie(&app, &new.session, age.as_secs())
}

/// `POST /logout`: ends the session.
pub async fn log_out(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(form): Form<page::act::Token>,
) -> Response {
    if page::is_cross_site(&headers) {
        return page::trouble::forged();
    }
    let caller = caller(&headers, &peer, app.secure);
    let ended: Result<Option<()>, Fault> = app
        .daemon
        .order(
            &caller,
            &form.csrf,
            Method::DELETE,
            "/sessions/current",
            &json!({}),
        )
        .await;
    match ended {
        // One that has ended already is as good.
        Err(fault) if !fault.wants_login() => page::trouble::page(&fault),
        _ => with_cookie(&app, "", 0),
    }
}

/// On to the overview, with the session, or without one.
fn with_cookie(app: &App, session: &str, age: u64) -> Response {
    let secure = if app.secure { "; Secure" } else { "" };
    let cookie = format!(
        "{}={session}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}",
        name(app.secure)
    );
    let to = if age == 0 { "/login" } else { "/" };
    let mut response = Redirect::to(to).into_response();
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => {
            response.headers_mut().insert(SET_COOKIE, cookie);
            response
        }
        Err(error) => page::trouble::page(&Fault::NotUnderstood(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::alone("prunella=abc", false, Some("abc"))]
    #[case::among_others("a=b; prunella=abc; c=d", false, Some("abc"))]
    #[case::of_tls("__Host-prunella=abc", true, Some("abc"))]
    #[case::one_that_tls_does_not_guard("prunella=abc", true, None)]
    #[case::somebody_elses("xprunella=abc", false, None)]
    #[case::none("prunella=", false, None)]
    #[case::what_no_daemon_gave("prunella=a\"b", false, None)]
    fn a_session_is_found(
        #[case] cookies: &str,
        #[case] secure: bool,
        #[case] found: Option<&str>,
    ) {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookies).unwrap());
        let session = cookie(&headers, secure);
        assert_eq!(session.as_ref().and_then(|it| it.to_str().ok()), found);
    }

    #[test]
    fn a_session_without_end_is_none() {
        let mut headers = HeaderMap::new();
        let long = format!("prunella={}", "a".repeat(LONGEST + 1));
        headers.insert(COOKIE, HeaderValue::from_str(&long).unwrap());
        assert_eq!(cookie(&headers, false), None);
    }
}
