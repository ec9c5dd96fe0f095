//! What is shown where a page cannot be.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Frame, render_as};
use crate::daemon::Fault;

/// Seconds until a browser asks again by itself for a page whose daemon was away.
const AGAIN: &str = "5";

#[derive(Template)]
#[template(path = "trouble.html")]
struct Page {
    frame: Frame,
    heading: String,
    text: String,
    help: Option<String>,
    /// Whether it comes back by itself.
    away: bool,
}

/// Why there is no page.
pub fn page(fault: &Fault) -> Response {
    if fault.wants_login() {
        return Redirect::to("/login").into_response();
    }
    match fault {
        Fault::Away(why) => away(why),
        Fault::Refused(refused) => {
            let status =
                StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            show(
                status,
                refused.title.clone(),
                prunella_core::text::capital(&refused.detail),
                refused.help.clone(),
            )
        }
        Fault::NotUnderstood(_) => show(
            StatusCode::BAD_GATEWAY,
            "The daemon was not understood".to_owned(),
            fault.to_string(),
            Some("the daemon and prunella-web may be of different versions".to_owned()),
        ),
    }
}

fn away(why: &str) -> Response {
    let page = Page {
        frame: Frame::of_nobody("Prunella is away"),
        heading: "Prunella is away".to_owned(),
        text: prunella_core::text::capital(why),
        help: Some(
            "`systemctl status prunella.service` on the host says more. Failures are looked \
             after by its hooks meanwhile."
                .to_owned(),
        ),
        away: true,
    };
    let mut response = render_as(StatusCode::SERVICE_UNAVAILABLE, &page);
    // Comes back without script, too.
    let again = HeaderValue::from_static(AGAIN);
    response.headers_mut().insert("refresh", again.clone());
    response.headers_mut().insert("retry-after", again);
    response
}

/// A form that another site sent.
pub fn forged() -> Response {
    show(
        StatusCode::FORBIDDEN,
        "Not from here".to_owned(),
        "This was sent by a page of another site, so nothing was done.".to_owned(),
        None,
    )
}

/// An address that is none.
pub fn missing() -> Response {
    show(
        StatusCode::NOT_FOUND,
        "There is no such page".to_owned(),
        "The address leads nowhere.".to_owned(),
        None,
    )
}

/// What was sent makes no sense.
pub fn bad(what: &str) -> Response {
    show(
        StatusCode::BAD_REQUEST,
        "Not understood".to_owned(),
        what.to_owned(),
        None,
    )
}

fn show(status: StatusCode, heading: String, text: String, help: Option<String>) -> Response {
    let page = Page {
        frame: Frame::of_nobody(heading.clone()),
        heading,
        text,
        help,
        away: false,
    };
    render_as(status, &page)
}
