//! The pages, and what they share.
//!
//! A page asks the daemon as whoever looks at it, puts what it was told into a struct of
//! plain text, and a template shows that. No template sees an answer of the daemon's that is
//! not in such a struct, and none can show a text unescaped ([`crate::text`]).

pub mod act;
pub mod alerts;
pub mod approvals;
pub mod audit;
pub mod incident;
pub mod incidents;
pub mod login;
pub mod overview;
pub mod service;
pub mod strategies;
pub mod trouble;

use std::time::SystemTime;

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use hyper::{
    Method,
    header::{CONTENT_TYPE, HOST, ORIGIN},
};
use prunella_api::CurrentSession;
use prunella_core::{Timestamp, UnitName, access::Role};
use serde::de::DeserializeOwned;

use crate::{
    App, Peer,
    daemon::{Caller, Fault},
    session, show,
};

/// A day.
pub(crate) const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// The time now.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Whoever looks at a page, logged in.
pub struct Visitor {
    pub app: App,
    pub caller: Caller,
    /// What their forms carry, so that nobody else's do.
    pub csrf: String,
    pub name: String,
    /// Whether they may order anything.
    pub may_act: bool,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let nobody = Peer(None);
        let peer = parts.extensions.get::<Peer>().unwrap_or(&nobody);
        let caller = session::caller(&parts.headers, peer, app.secure);
        if parts.method != Method::GET && is_cross_site(&parts.headers) {
            return Err(trouble::forged());
        }
        if caller.session.is_none() {
            return Err(Redirect::to("/login").into_response());
        }
        let session: CurrentSession = app
            .daemon
            .get(&caller, "/sessions/current")
            .await
            .map_err(|fault| trouble::page(&fault))?;
        Ok(Self {
            app: app.clone(),
            caller,
            may_act: session.role == Role::Operator,
            csrf: session.csrf_token,
            name: session.name,
        })
    }
}

impl Visitor {
    /// What is at an address below `/api/v1`, or the page that says why not.
    pub async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, Response> {
        self.ask(address)
            .await
            .map_err(|fault| trouble::page(&fault))
    }

    /// What is at an address below `/api/v1`.
    pub async fn ask<T: DeserializeOwned>(&self, address: &str) -> Result<T, Fault> {
        self.app.daemon.get(&self.caller, address).await
    }

    /// What surrounds a page of this title, in this part of the whole.
    pub fn frame(&self, title: impl Into<String>, part: &'static str) -> Frame {
        Frame {
            title: title.into(),
            part,
            about: String::new(),
            visitor: Some(Person {
                name: self.name.clone(),
                csrf: self.csrf.clone(),
                may_act: self.may_act,
            }),
            as_of: show::When::new(now(), now()),
        }
    }
}

/// What surrounds a page.
#[derive(Debug, Clone)]
pub struct Frame {
    pub title: String,
    /// Which entry of the menu it is under.
    pub part: &'static str,
    /// The unit or incident whose events concern the page; all do, when empty.
    pub about: String,
    pub visitor: Option<Person>,
    pub as_of: show::When,
}

/// Who is logged in.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub csrf: String,
    pub may_act: bool,
}

impl Frame {
    /// Of a page that nobody needs to be logged in for.
    pub fn of_nobody(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            part: "",
            about: String::new(),
            visitor: None,
            as_of: show::When::new(now(), now()),
        }
    }

    /// With the unit or incident that it is about.
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Self {
        self.about = what.into();
        self
    }

    /// The token of its forms, where it can have any.
    pub fn csrf(&self) -> &str {
        self.visitor.as_ref().map_or("", |person| &person.csrf)
    }

    /// Whether forms that order anything are shown.
    pub fn may_act(&self) -> bool {
        self.visitor.as_ref().is_some_and(|person| person.may_act)
    }
}

/// A page, made of its template.
pub fn render(template: &impl Template) -> Response {
    render_as(StatusCode::OK, template)
}

/// A page with another status.
pub fn render_as(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => {
            let mut response = (status, page).into_response();
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, html);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The page could not be made.",
            )
                .into_response()
        }
    }
}

/// Whether a form was sent by another site's page. Browsers say so by either header; the
/// token in the form holds in any case.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    match (text(ORIGIN.as_str()), text(HOST.as_str())) {
        (Some(origin), Some(host)) => origin.split_once("://").map(|(_, rest)| rest) != Some(host),
        _ => false,
    }
}

/// A unit's name in two parts, so that the first can be read at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub name: String,
    pub stem: String,
    pub suffix: String,
    pub href: String,
}

impl Unit {
    /// The unit and its page.
    pub fn new(unit: &UnitName) -> Self {
        Self {
            name: unit.to_string(),
            stem: unit.stem().to_owned(),
            suffix: format!(".{}", unit.kind()),
            href: format!("/services/{}", crate::daemon::part(unit.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_form_of_ours(&[("sec-fetch-site", "same-origin")], false)]
    #[case::by_hand(&[("sec-fetch-site", "none")], false)]
    #[case::of_another_site(&[("sec-fetch-site", "cross-site")], true)]
    #[case::of_another_port(&[("sec-fetch-site", "same-site")], true)]
    #[case::an_old_browser(&[("origin", "http://evil.example"), ("host", "127.0.0.1:9780")], true)]
    #[case::an_old_browser_of_ours(&[("origin", "http://h:1"), ("host", "h:1")], false)]
    #[case::no_browser(&[], false)]
    fn forms_of_others_are_known(#[case] headers: &[(&'static str, &str)], #[case] expected: bool) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(is_cross_site(&headers), expected);
    }

    #[test]
    fn a_unit_is_in_two_parts() {
        let unit = Unit::new(&UnitName::new("a@b.service").unwrap());
        assert_eq!(
            (unit.stem.as_str(), unit.suffix.as_str()),
            ("a@b", ".service")
        );
        assert_eq!(unit.href, "/services/a%40b.service");
    }
}
