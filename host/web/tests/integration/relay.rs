//! `/api/v1` from outside.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use crate::{
    daemon::{SESSION, TestDaemon},
    web::Web,
};

#[tokio::test]
async fn a_key_goes_on_and_nothing_that_is_not_the_callers_to_say() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let request = Request::get("/api/v1/incidents?limit=3")
        .header("x-api-key", "k")
        .header("x-prunella-session", "forged")
        .header("x-prunella-peer", "10.0.0.1")
        .header("x-forwarded-for", "10.0.0.1")
        .header("cookie", format!("prunella={SESSION}"))
        .header("idempotency-key", "i");
    let answer = web.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let seen = &daemon.seen()[0];
    assert_eq!(seen.address, "/api/v1/incidents?limit=3");
    assert_eq!(seen.headers["x-api-key"], "k");
    assert_eq!(seen.headers["idempotency-key"], "i");
    assert_eq!(seen.headers["x-prunella-peer"], "192.0.2.7");
    // A key is the whole of it: the cookie that a browser adds is left out.
    for name in ["x-prunella-session", "cookie", "x-forwarded-for"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_browsers_session_goes_on_with_streams() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let answer = web.page("/api/v1/events").await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.body, ": here\n\n");
    assert_eq!(daemon.seen()[0].headers["x-prunella-session"], SESSION);
}

#[tokio::test]
async fn a_refusal_comes_back_as_it_is() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let request = Request::get("/api/v1/status").body(Body::empty()).unwrap();
    let answer = web.ask(request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("urn:prunella:problem:unauthorized"));
}

#[tokio::test]
async fn what_is_too_long_is_not_passed_on() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let request = Request::post("/api/v1/pauses")
        .header("content-length", (64 << 10) + 1)
        .body(Body::from(vec![b' '; (64 << 10) + 1]));
    let answer = web.ask(request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.body.contains("urn:prunella:problem:too-large"));
    assert!(daemon.seen().is_empty());
}

#[tokio::test]
async fn a_daemon_that_is_away_is_a_problem() {
    let web = Web::new("/nowhere/web.sock".as_ref(), false);
    let answer = web.page("/api/v1/status").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("retry-after"), "5");
}
