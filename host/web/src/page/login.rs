//! The page before the others.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{Frame, render_as};
use crate::App;

#[derive(Template)]
#[template(path = "login.html")]
struct Page {
    frame: Frame,
    /// The token of a link, which the button sends.
    token: Option<String>,
    /// Why the last one did not do.
    why_not: Option<&'static str>,
    secure: bool,
}

/// A button, where there is a link's token; else how to get a link.
pub fn page(app: &App, token: Option<&str>, why_not: Option<&'static str>) -> Response {
    let status = match why_not {
        Some(_) => StatusCode::UNAUTHORIZED,
        None => StatusCode::OK,
    };
    let page = Page {
        frame: Frame::of_nobody("Log in"),
        token: token.filter(|token| !token.is_empty()).map(str::to_owned),
        why_not,
        secure: app.secure,
    };
    render_as(status, &page)
}
