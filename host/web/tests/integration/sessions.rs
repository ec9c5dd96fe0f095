//! Logging in by a link, and out; and the page of a daemon that is away.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use crate::{
    daemon::{SESSION, TestDaemon},
    web::Web,
};

#[tokio::test]
async fn a_link_logs_in_only_by_its_button() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let shown = web.page("/login?token=link").await;
    assert!(shown.body.contains("value=\"link\""), "{}", shown.body);
    assert!(daemon.seen().is_empty());

    let into = web.form("/login", "same-origin", "token=link").await;
    assert_eq!(
        (into.status, into.header("location")),
        (StatusCode::SEE_OTHER, "/")
    );
    let cookie = into.header("set-cookie");
    assert!(
        cookie.starts_with(&format!("prunella={SESSION}; Path=/; Max-Age=")),
        "{cookie}"
    );
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
    let seen = daemon.seen();
    assert_eq!(seen[0].headers["x-prunella-peer"], "192.0.2.7");

    let again = web.form("/login", "same-origin", "token=used").await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.body.contains("used already"));
    assert_eq!(again.header("set-cookie"), "");
}

#[tokio::test]
async fn under_tls_a_cookie_goes_nowhere_else() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, true);
    let into = web.form("/login", "same-origin", "token=link").await;
    let cookie = into.header("set-cookie");
    assert!(cookie.starts_with("__Host-prunella="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    assert!(
        into.header("strict-transport-security")
            .starts_with("max-age=")
    );
    // One that was not set over TLS is none.
    let page = web.page("/").await;
    assert_eq!(page.header("location"), "/login");
}

#[tokio::test]
async fn without_a_session_there_is_the_login_page_and_nothing_else() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    for address in [
        "/",
        "/incidents/x",
        "/services/web.service",
        "/needs-you",
        "/alerts",
    ] {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let answer = web.ask(request).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/login")
        );
    }
    // A session that the daemon does not know, as after its end.
    let request = Request::get("/")
        .header("cookie", "prunella=old")
        .body(Body::empty());
    let answer = web.ask(request.unwrap()).await;
    assert_eq!(answer.header("location"), "/login");
    assert!(
        daemon
            .seen()
            .iter()
            .all(|it| it.address.ends_with("/sessions/current"))
    );
}

#[tokio::test]
async fn whoever_logs_out_is_out() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let out = web.form("/logout", "same-origin", "csrf=t0k3n").await;
    assert_eq!(out.header("location"), "/login");
    assert!(
        out.header("set-cookie")
            .starts_with("prunella=; Path=/; Max-Age=0")
    );
    let orders = daemon.orders();
    assert_eq!(orders[0].method, "DELETE");
    assert_eq!(orders[0].address, "/api/v1/sessions/current");
}

#[tokio::test]
async fn a_daemon_that_is_away_is_said_calmly() {
    let web = Web::new("/nowhere/web.sock".as_ref(), false);
    let page = web.page("/").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.header("refresh"), "5");
    assert!(page.body.contains("Prunella is away"));
    // What needs no daemon is there.
    assert_eq!(web.page("/assets/style.css").await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_forbids_what_no_page_needs() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    for address in [
        "/",
        "/login",
        "/nowhere",
        "/assets/live.js",
        "/api/v1/status",
        "/health",
    ] {
        let answer = web.page(address).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'"),
            "{address}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{address}"
        );
    }
    let tag = web
        .page("/assets/style.css")
        .await
        .header("etag")
        .to_owned();
    let request = Request::get("/assets/style.css").header("if-none-match", tag);
    let known = web.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (known.status, known.body.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
}
