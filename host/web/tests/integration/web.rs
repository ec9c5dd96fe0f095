//! A web process before a test's daemon, asked without a socket.

use std::{path::Path, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header::COOKIE},
};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use prunella_web::{App, Peer, daemon::Daemon, routes::routes};

use crate::daemon::SESSION;

pub(crate) struct Web(Router);

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Web {
    pub(crate) fn new(socket: &Path, secure: bool) -> Self {
        let app = App {
            daemon: Arc::new(Daemon::new(socket.to_owned())),
            secure,
        };
        Self(routes(app).layer(Extension(Peer(Some([192, 0, 2, 7].into())))))
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let service = TowerToHyperService::new(self.0.clone());
        let (head, body) = service.call(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A page, as whoever is logged in sees it.
    pub(crate) async fn page(&self, address: &str) -> Answer {
        let request = Request::get(address).header(COOKIE, format!("prunella={SESSION}"));
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// A form, sent by whoever is logged in, from a page of this site or another.
    pub(crate) async fn form(&self, address: &str, site: &str, fields: &str) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri(address)
            .header(COOKIE, format!("prunella={SESSION}"))
            .header("sec-fetch-site", site)
            .header("content-type", "application/x-www-form-urlencoded");
        self.ask(request.body(Body::from(fields.to_owned())).unwrap())
            .await
    }
}
