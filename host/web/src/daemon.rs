//! Asking the daemon, over its web socket.
//!
//! One connection for each request, as the daemon wants it. Every answer is bounded in size
//! and time; what cannot be had is a [`Fault`].

use std::{io, path::PathBuf, time::Duration};

use axum::body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prunella_api::{CSRF_HEADER, PEER_HEADER, SESSION_HEADER};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

/// For a question to be answered. A service's detail asks its probes.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// For an order: an undo waits for what it undoes.
pub const ORDER_LIMIT: Duration = Duration::from_secs(150);

/// The longest answer that a page is made of, in bytes.
const ANSWER_BYTES: usize = 32 << 20;

/// What stays as it is in one part of an address.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where the daemon listens for the web process.
#[derive(Debug, Clone)]
pub struct Daemon {
    socket: PathBuf,
}

/// Who asks: a browser's session, and the address that it comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    pub session: Option<HeaderValue>,
    /// Absent behind a Unix socket.
    pub peer: Option<HeaderValue>,
}

/// Why there is no answer to make a page of.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody answers on the socket, or not in time.
    #[error("{0}")]
    Away(String),
    /// The daemon says no, and why.
    #[error("{}", .0.detail)]
    Refused(Refused),
    /// What came is no answer.
    #[error("the daemon's answer is not understood: {0}")]
    NotUnderstood(String),
}

/// A problem as RFC 9457 has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Refused {
    pub status: u16,
    pub title: String,
    pub detail: String,
    /// What to do about it.
    #[serde(default)]
    pub help: Option<String>,
}

impl Fault {
    /// Whether whoever asks has to log in first.
    pub fn wants_login(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.status == StatusCode::UNAUTHORIZED.as_u16())
    }

    /// Whether what was asked for is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.status == StatusCode::NOT_FOUND.as_u16())
    }
}

/// A name as one part of an address.
pub fn part(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, PART)
}

impl Daemon {
    /// The daemon behind this socket.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Sends a request and waits for the head of the answer. The body is the caller's to
    /// bound.
    pub async fn send(
        &self,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Fault> {
        let asked = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(away)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(broken)?;
            // Ends with the connection; what goes wrong there the answer tells too.
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(broken)
        };
        timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(Fault::Away(late(limit))))
    }

    /// What is at an address below `/api/v1`.
    pub async fn get<T: DeserializeOwned>(
        &self,
        caller: &Caller,
        address: &str,
    ) -> Result<T, Fault> {
        let request = build(Method::GET, address, caller, None, Body::empty())?;
        self.whole(request, ANSWER_LIMIT).await
    }

    /// Orders something, with the token that came with the form.
    pub async fn order<T: DeserializeOwned>(
        &self,
        caller: &Caller,
        csrf: &str,
        method: Method,
        address: &str,
        body: &impl Serialize,
    ) -> Result<T, Fault> {
        let request = build(method, address, caller, Some(csrf), json(body)?)?;
        self.whole(request, ORDER_LIMIT).await
    }

    /// Orders something whose answer comes bit by bit.
    pub async fn order_stream(
        &self,
        caller: &Caller,
        csrf: &str,
        address: &str,
        body: &impl Serialize,
    ) -> Result<Incoming, Fault> {
        let request = build(Method::POST, address, caller, Some(csrf), json(body)?)?;
        let response = self.send(request, ORDER_LIMIT).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        Err(refused(response).await)
    }

    async fn whole<T: DeserializeOwned>(
        &self,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<T, Fault> {
        let asked = async {
            let response = self.send(request, limit).await?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            let body = collect(response.into_body()).await?;
            // An order may be answered without a word.
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            serde_json::from_slice(body).map_err(|error| Fault::NotUnderstood(error.to_string()))
        };
        timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(Fault::Away(late(limit))))
    }
}

async fn refused(response: Response<Incoming>) -> Fault {
    let status = response.status();
    match collect(response.into_body()).await {
        Ok(body) => match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => Fault::Refused(refused),
            Err(_) => Fault::NotUnderstood(format!("it answers with the status {status}")),
        },
        Err(fault) => fault,
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Fault> {
    match Limited::new(body, ANSWER_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::NotUnderstood(format!(
            "it is longer than {ANSWER_BYTES} bytes"
        ))),
        Err(_) => Err(Fault::Away(
            "the daemon ended in the middle of an answer".into(),
        )),
    }
}

fn build(
    method: Method,
    address: &str,
    caller: &Caller,
    csrf: Option<&str>,
    body: Body,
) -> Result<Request<Body>, Fault> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{address}"))
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json");
    if let Some(session) = &caller.session {
        request = request.header(SESSION_HEADER, session);
    }
    if let Some(peer) = &caller.peer {
        request = request.header(PEER_HEADER, peer);
    }
    if let Some(csrf) = csrf {
        request = request.header(CSRF_HEADER, csrf);
    }
    request
        .body(body)
        .map_err(|error| Fault::NotUnderstood(error.to_string()))
}

fn json(body: &impl Serialize) -> Result<Body, Fault> {
    serde_json::to_vec(body)
        .map(|body| Body::new(Full::from(body)))
        .map_err(|error| Fault::NotUnderstood(error.to_string()))
}

fn late(limit: Duration) -> String {
    format!("the daemon did not answer within {} s", limit.as_secs())
}

fn away(error: io::Error) -> Fault {
    Fault::Away(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "the daemon does not run, or has no web socket".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "the daemon's web socket is closed to the web process: run `sudo prunella web enable`"
                .to_owned()
        }
        _ => format!("the daemon cannot be reached: {error}"),
    })
}

fn broken(error: hyper::Error) -> Fault {
    if error.is_parse() {
        Fault::NotUnderstood(error.to_string())
    } else {
        Fault::Away("the daemon closed the connection without an answer".into())
    }
}
