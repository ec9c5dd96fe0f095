//! One POST, and what its answer means.
//!
//! | answer | what becomes of the message |
//! |---|---|
//! | 2xx | delivered |
//! | 401, 407 | tried again: somebody can repair a password |
//! | 408, 425, 429, 5xx | tried again, not before `Retry-After` |
//! | 301, 308 | refused: the URL is wrong for good |
//! | any other redirect | tried again: it is nobody's answer |
//! | any other | refused |
//! | none, or not one of HTTP | tried again |
//!
//! No redirect is followed: it would carry the message, and the secret with it,
//! to somebody whom the operator did not name.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use prunella_core::{
    secret::Secret,
    text::{REDACTED, one_line},
};
use prunella_net::{names::Resolver, tls};
use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use url::Url;

use super::{CONNECT_TIMEOUT, Try, again, refused, run};
use crate::Delivery;

/// So much of an answer is read, to say why the far side refused.
const ANSWER_MAX: usize = 4 * 1024;
/// And so long is waited for it, once it is known that it did.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// So much of it is shown.
const SHOWN_MAX: usize = 300;
/// Nobody may silence us for longer.
const NOT_BEFORE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A part of a URL this long may be a key.
const KEY_LIKE: usize = 8;

/// How to get there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport<'a> {
    /// The proxy; none when absent, whatever the environment says.
    pub(crate) proxy: Option<&'a str>,
    /// The authorities whose certificates are accepted; the system's when absent.
    pub(crate) ca_file: Option<&'a Path>,
}

/// What to send.
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) body: Vec<u8>,
    media_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    authorization: Option<String>,
    secrets: Vec<Secret>,
    secret_url: bool,
}

impl Request {
    pub(crate) fn new(url: Url, body: Vec<u8>) -> Self {
        Self {
            url,
            body,
            media_type: "application/json",
            headers: Vec::new(),
            authorization: None,
            secrets: Vec::new(),
            secret_url: false,
        }
    }

    /// Of another type than JSON.
    pub(crate) fn of_type(mut self, media_type: &'static str) -> Self {
        self.media_type = media_type;
        self
    }

    /// Its URL must not show either.
    pub(crate) fn hiding_url(mut self) -> Self {
        self.secret_url = true;
        self
    }

    /// A secret that must not show in what is said about this request.
    pub(crate) fn hiding(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    pub(crate) fn bearer(self, token: Secret) -> Self {
        let header = format!("Bearer {}", token.reveal());
        self.hiding(token).authorized(header)
    }

    pub(crate) fn authorized(mut self, header: String) -> Self {
        if let Some((_, credentials)) = header.split_once(' ') {
            self.secrets.push(Secret::new(credentials));
        }
        self.authorization = Some(header);
        self
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or("the server")
    }

    /// `text` of the far side or of a library, on one line, without anything
    /// secret of this request.
    fn shown(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for secret in self.hidden() {
            hidden = hidden.replace(&secret, REDACTED);
        }
        one_line(&hidden.replace(['\r', '\n'], " "), SHOWN_MAX)
    }

    /// What must not show, the longer before its parts.
    fn hidden(&self) -> Vec<String> {
        let mut hidden: Vec<String> = Vec::new();
        for secret in &self.secrets {
            hidden.push(secret.reveal().to_owned());
            hidden.extend(secret.reveal().lines().map(str::to_owned));
        }
        if self.secret_url {
            let (path, query) = (self.url.path(), self.url.query().unwrap_or_default());
            hidden.extend([self.url.as_str(), path, query].map(str::to_owned));
            let values = self.url.query_pairs().map(|(_, value)| value.into_owned());
            let parts = path.split('/').map(str::to_owned);
            hidden.extend(parts.chain(values).filter(|part| part.len() >= KEY_LIKE));
        }
        hidden.retain(|secret| secret.len() > 1);
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        hidden
    }
}

/// Sends `request`, for at most `time`.
pub(crate) fn post(transport: Transport<'_>, request: &Request, time: Duration) -> Delivery {
    run(time, attempt(transport, request), || {
        format!("{} did not answer within {time:.0?}", request.host())
    })
}

async fn attempt(transport: Transport<'_>, request: &Request) -> Try {
    let client = client(transport, &request.url)?;
    let headers = headers(request)?;
    let response = client
        .post(request.url.clone())
        .headers(headers)
        .body(request.body.clone())
        .send()
        .await
        .map_err(|error| again(sentence(request, error)))?;
    judge(request, response).await
}

fn client(transport: Transport<'_>, url: &Url) -> Result<Client, Delivery> {
    let proxy = transport.proxy;
    let encrypted = url.scheme() == "https" || proxy.is_some_and(|url| url.starts_with("https:"));
    let tls = if encrypted {
        tls::config(transport.ca_file)
    } else {
        tls::trusting_nobody()
    };
    let tls = tls.map_err(|error| again(error.to_string()))?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Resolver))
        .redirect(Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("prunella/", env!("CARGO_PKG_VERSION")))
        // The environment has no say in who reads this.
        .no_proxy();
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::all(proxy)
            .map_err(|error| again(format!("the proxy cannot be used: {}", causes(&error))))?;
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|error| again(format!("cannot set up HTTP: {}", causes(&error))))
}

fn headers(request: &Request) -> Result<HeaderMap, Delivery> {
    let value = |name: &str, value: &str| {
        HeaderValue::from_str(value).map_err(|_| {
            again(format!(
                "what belongs into the header `{name}` has characters that no header can have"
            ))
        })
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.media_type));
    for (name, text) in &request.headers {
        headers.insert(*name, value(name, text)?);
    }
    if let Some(authorization) = &request.authorization {
        let mut value = value("authorization", authorization)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// What went wrong before there was an answer.
fn sentence(request: &Request, error: reqwest::Error) -> String {
    let host = request.host();
    let error = error.without_url();
    let cause = request.shown(&causes(&error));
    if error.is_timeout() {
        format!("{host} could not be reached in time")
    } else if error.is_connect() {
        format!("cannot connect to {host}: {cause}")
    } else {
        format!("no answer from {host}: {cause}")
    }
}

/// The causes of an error; the errors of HTTP libraries say little themselves.
fn causes(error: &dyn std::error::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    if causes.is_empty() {
        causes.push(error.to_string());
    }
    causes.join(": ")
}

async fn judge(request: &Request, response: Response) -> Try {
    let status = response.status();
    let host = request.host();
    if status.is_success() {
        return Ok(format!("{host} answered {}", words(status)));
    }
    let not_before = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value, Timestamp::now()));
    let said = answer(request, response).await;
    let reason = if status.is_redirection() {
        // Where to may be a secret too, and nobody goes there.
        format!(
            "{host} answered {}: it sends us elsewhere, and no redirect is followed; the URL of this channel may be wrong",
            words(status)
        )
    } else {
        format!("{host} answered {}{said}", words(status))
    };
    Err(match status.as_u16() {
        301 | 308 => refused(reason),
        300..=399 | 401 | 407 | 408 | 425 | 429 | 500..=599 => {
            Delivery::TryAgain { reason, not_before }
        }
        _ => refused(reason),
    })
}

/// `429 Too Many Requests`
fn words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// The beginning of what the far side says, after `: `; nothing when it says
/// nothing.
async fn answer(request: &Request, mut response: Response) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    let read = async {
        while bytes.len() < ANSWER_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            let room = ANSWER_MAX - bytes.len();
            bytes.extend(chunk.iter().take(room));
        }
    };
    // What came until then will do.
    let _ = tokio::time::timeout(ANSWER_TIME, read).await;
    let said = String::from_utf8_lossy(&bytes);
    let said = request.shown(said.trim());
    if said.is_empty() {
        said
    } else {
        format!(": {said}")
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if let Ok(seconds) = value.parse::<u64>() {
        Duration::from_secs(seconds)
    } else if let Ok(seconds) = value.parse::<f64>() {
        // Not of the standard, but seen.
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(value)
            .ok()?;
        at.duration_since(now).try_into().unwrap_or_default()
    };
    Some(wait.min(NOT_BEFORE_MAX))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("120", Some(120))]
    #[case(" 0 ", Some(0))]
    #[case("1.5", Some(1))]
    #[case("Sun, 06 Nov 1994 08:49:37 GMT", Some(37))]
    #[case("Sun, 06 Nov 1994 08:48:00 GMT", Some(0))]
    #[case("99999999999", Some(86_400))]
    #[case("-5", None)]
    #[case("NaN", None)]
    #[case("soon", None)]
    #[case("", None)]
    fn when_to_come_again(#[case] value: &str, #[case] seconds: Option<u64>) {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        assert_eq!(retry_after(value, now).map(|wait| wait.as_secs()), seconds);
    }

    #[test]
    fn a_url_that_may_be_known_is_not_hidden() {
        let url = Url::parse("http://127.0.0.1:9093/alertmanager/api/v2/alerts").unwrap();
        let said = "no such path: /alertmanager/api/v2/alerts";
        assert_eq!(Request::new(url, Vec::new()).shown(said), said);
    }

    #[test]
    fn nothing_secret_is_repeated() {
        let url = Url::parse(
            "https://hooks.example.org/services/T0/B012345678/hunter2hunter2?sig=s3cr3t-s1g",
        )
        .unwrap();
        let request = Request::new(url, Vec::new())
            .hiding_url()
            .bearer(Secret::new("tk_0123456789"))
            .hiding(Secret::new("one-line\nanother-line"));
        for text in [
            "https://hooks.example.org/services/T0/B012345678/hunter2hunter2?sig=s3cr3t-s1g",
            "no route for /services/T0/B012345678/hunter2hunter2",
            "unknown hook hunter2hunter2",
            "bad signature s3cr3t-s1g",
            "invalid token tk_0123456789",
            "Authorization: Bearer tk_0123456789",
            "key another-line",
        ] {
            let shown = request.shown(text);
            for secret in ["hunter2", "s3cr3t", "tk_0", "another-line"] {
                assert!(!shown.contains(secret), "{shown}");
            }
            assert!(shown.contains(REDACTED), "{shown}");
        }
        assert_eq!(
            request.shown("invalid_blocks\r\n\x1b[31m"),
            "invalid_blocks  \\u{1b}[31m"
        );
    }
}
