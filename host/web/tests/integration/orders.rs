//! What people order from pages: what reaches the daemon, and what does not.

use axum::http::StatusCode;
use serde_json::json;

use crate::{daemon::TestDaemon, web::Web};

#[tokio::test]
async fn healing_shows_its_plan_first() {
    let daemon = TestDaemon::start("plan");
    let web = Web::new(&daemon.socket, false);
    let plan = web
        .form("/services/web.service/heal", "same-origin", "csrf=t0k3n")
        .await;
    assert_eq!(plan.status, StatusCode::OK);
    assert!(plan.body.contains("Heal web.service now?"));
    let orders = daemon.orders();
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].body["dry_run"], json!(true));

    let done = web
        .form(
            "/services/web.service/heal",
            "same-origin",
            "csrf=t0k3n&confirm=yes",
        )
        .await;
    assert_eq!(
        done.header("location"),
        format!("/incidents/{}", crate::samples::INCIDENT)
    );
    assert_eq!(daemon.orders()[1].body["dry_run"], json!(false));
}

#[tokio::test]
async fn undoing_shows_its_plan_first() {
    let daemon = TestDaemon::start("back");
    let web = Web::new(&daemon.socket, false);
    let plan = web
        .form("/incidents/x/undo", "same-origin", "csrf=t0k3n")
        .await;
    assert!(
        plan.body.contains("Undo what was done for web.service?"),
        "{}",
        plan.body
    );
    assert_eq!(daemon.orders()[0].body["dry_run"], json!(true));
    let done = web
        .form("/incidents/x/undo", "same-origin", "csrf=t0k3n&confirm=yes")
        .await;
    assert_eq!(done.header("location"), "/incidents/x");
    assert_eq!(daemon.orders()[1].body["dry_run"], json!(false));
}

#[tokio::test]
async fn an_approval_is_decided_as_it_was_said() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let fields = "csrf=t0k3n&decision=approve&reason=go";
    let done = web.form("/approvals/a%2Fb", "same-origin", fields).await;
    assert_eq!(done.header("location"), "/needs-you");
    web.form("/approvals/c", "same-origin", "csrf=t0k3n&decision=deny")
        .await;
    let maybe = web
        .form("/approvals/c", "same-origin", "csrf=t0k3n&decision=maybe")
        .await;
    assert_eq!(maybe.status, StatusCode::BAD_REQUEST);
    let orders = daemon.orders();
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[0].address, "/api/v1/approvals/a%2Fb/decision");
    assert_eq!(
        orders[0].body,
        json!({ "approve": true, "by": "", "reason": "go" })
    );
    assert_eq!(orders[1].body["approve"], json!(false));
}

#[tokio::test]
async fn a_service_is_paused_and_resumed() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    let fields = "csrf=t0k3n&unit=web.service&for=60&reason=upgrade";
    let paused = web.form("/pauses", "same-origin", fields).await;
    assert_eq!(paused.header("location"), "/services/web.service");
    web.form("/resume", "same-origin", "csrf=t0k3n&unit=web.service")
        .await;
    web.form("/resume", "same-origin", "csrf=t0k3n&unit=").await;
    let bad = web
        .form(
            "/pauses",
            "same-origin",
            "csrf=t0k3n&unit=web.service&for=soon",
        )
        .await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let orders = daemon.orders();
    assert_eq!(orders.len(), 3);
    assert_eq!(orders[0].body["reason"], "upgrade");
    assert!(orders[0].body["until"].as_u64().unwrap() > crate::samples::now().as_millis());
    assert_eq!(
        (orders[1].method.as_str(), orders[1].address.as_str()),
        ("DELETE", "/api/v1/pauses/web.service")
    );
    assert_eq!(orders[2].address, "/api/v1/pauses");
}

/// Every form, and what it would send.
const FORMS: [(&str, &str); 6] = [
    ("/services/web.service/heal", "confirm=yes"),
    ("/incidents/x/undo", "confirm=yes"),
    ("/approvals/c", "decision=approve"),
    ("/pauses", "unit=web.service&for=60&reason=x"),
    ("/resume", "unit=web.service"),
    ("/alerts/c/retry", ""),
];

#[tokio::test]
async fn forms_of_another_site_order_nothing() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    for (address, fields) in FORMS {
        let fields = format!("csrf=t0k3n&{fields}");
        let answer = web.form(address, "cross-site", &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address}");
    }
    assert_eq!(daemon.seen().len(), 0);
}

#[tokio::test]
async fn forms_without_their_token_order_nothing() {
    let daemon = TestDaemon::start("x");
    let web = Web::new(&daemon.socket, false);
    for (address, fields) in FORMS {
        let without = web.form(address, "same-origin", fields).await;
        assert!(
            without.status.is_client_error(),
            "{address}: {}",
            without.status
        );
        // The daemon is who judges it.
        let wrong = web
            .form(address, "same-origin", &format!("csrf=wrong&{fields}"))
            .await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{address}");
    }
    let orders = daemon.orders();
    assert_eq!(orders.len(), FORMS.len());
    assert!(
        orders
            .iter()
            .all(|it| it.headers["x-csrf-token"] == "wrong")
    );
}
