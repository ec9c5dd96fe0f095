//! HTTP/1.1: one GET, of whose answer the status is read, and as much else as is expected.
//!
//! A redirection is an answer and is not followed.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use prunella_core::{glob, service::HttpQuestion, text};

use super::{
    Heard, Seen,
    body::{self, Body, Framing},
    certificate,
    error::ProbeError,
    tls::Accepts,
    wire::Talk,
};

/// Headers longer than this are no answer.
const LONGEST: usize = 64 * 1024;
/// Interim answers (1xx) before the real one.
const INTERIM: usize = 8;

/// Characters of what came instead of what was expected.
const QUOTED: usize = 80;
/// Of how many bytes they are taken: as many as a secret and its name may need.
const QUOTED_OF: usize = 1024;

/// The program's name in requests: servers write it into their logs.
pub(super) const USER_AGENT: &str = "prunella";

/// The path that a URL asks for, and the address where, if it names one; `None` when it
/// is no URL.
pub(super) fn asked_for(url: &str) -> Option<(String, Option<IpAddr>)> {
    let url = Url::parse(url).ok()?;
    let address = url.place.parse::<SocketAddr>().ok();
    Some((url.path, address.map(|address| address.ip())))
}

/// Asks, and judges: by default a status of 200 to 399 is an answer.
pub(super) async fn ask(question: &HttpQuestion, until: Instant) -> Result<Seen, ProbeError> {
    let url = Url::parse(&question.url)?;
    let server_name = question.server_name.as_deref();
    let (head, mut talk) = url.get("*/*", server_name, until).await?;
    let (healthy, detail) = judge(question, head, &mut talk).await?;
    Ok(Seen {
        healthy,
        detail,
        certificate: certificate::shown(&talk, &url.place, server_name),
    })
}

/// Asks, and returns the status.
pub(super) async fn status(url: &str, until: Instant) -> Result<u16, ProbeError> {
    let (head, _) = Url::parse(url)?.get("*/*", None, until).await?;
    Ok(head.status)
}

/// A request, and all that goes along.
#[derive(Debug)]
pub(crate) struct HttpRequest<'a> {
    pub(crate) url: &'a str,
    pub(crate) method: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: Option<&'a str>,
    /// Whether the other side has to have a valid certificate.
    pub(crate) judges_certificate: bool,
}

/// Makes a request: the status of the answer, and its reason.
pub(super) async fn request(
    asked: &HttpRequest<'_>,
    until: Instant,
) -> Result<(u16, String), ProbeError> {
    let url = Url::parse(asked.url)?;
    let accepts = if asked.judges_certificate {
        Accepts::Valid
    } else {
        Accepts::Any
    };
    let mut talk = url.connect(None, accepts, until).await?;
    let mut text = url.head(asked.method, None);
    for (name, value) in asked.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if asked.body.is_some() || asked.method != "GET" {
        let length = asked.body.map_or(0, str::len);
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(asked.body.unwrap_or_default());
    talk.say(text.as_bytes()).await?;
    let head = Head::hear(&mut talk).await?;
    Ok((head.status, head.reason))
}

/// What a URL has to say.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) status: u16,
    /// In lower case; empty where the answer does not say.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// GETs all of a document of at most `limit` bytes.
pub(super) async fn document(
    url: &str,
    accept: &str,
    limit: usize,
    until: Instant,
) -> Result<Document, ProbeError> {
    let (head, mut talk) = Url::parse(url)?.get(accept, None, until).await?;
    let framing = head.framing();
    let status = head.status;
    let content_type = head.value("content-type").unwrap_or_default();
    let mut body = Body::new(framing, limit);
    let mut came = head.rest;
    let mut chunk = vec![0_u8; 16 * 1024];
    loop {
        body.push(&came)?;
        if body.is_too_long() {
            return Err(ProbeError::TooLong(limit));
        }
        if body.is_whole() {
            break;
        }
        match talk.hear(&mut chunk).await {
            Ok(0) | Err(ProbeError::Closed) if framing == Framing::UntilClosed => break,
            Ok(0) => return Err(ProbeError::Closed),
            Ok(count) => came = chunk.get(..count).unwrap_or_default().to_vec(),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(Document {
        status,
        content_type,
        body: body.text().to_vec(),
    })
}

async fn judge(question: &HttpQuestion, head: Head, talk: &mut Talk) -> Heard {
    let said = format!("it answered {} {}", head.status, head.reason);
    let said = said.trim_end();
    if question.status.is_empty() {
        if !(200..=399).contains(&head.status) {
            return Ok((false, format!("{said}, not 200 to 399")));
        }
    } else if !question.status.contains(&head.status) {
        let wanted: Vec<String> = question.status.iter().map(u16::to_string).collect();
        return Ok((false, format!("{said}, not {}", wanted.join(" or "))));
    }
    if question.headers.is_empty() && question.body.is_none() {
        return Ok((true, said.to_owned()));
    }
    let Some(headers) = &head.headers else {
        return Ok((false, format!("{said}, with too many headers to look at")));
    };
    if let Some(wrong) = question
        .headers
        .iter()
        .find_map(|(name, wanted)| wrong_header(headers, name, wanted))
    {
        return Ok((false, format!("{said}, and {wrong}")));
    }
    if let Some(wanted) = &question.body
        && let Some(wrong) = wrong_body(head, wanted, talk).await?
    {
        return Ok((false, format!("{said}, and {wrong}")));
    }
    Ok((true, format!("{said}, as expected")))
}

/// What is wrong with a header, if anything is.
fn wrong_header(headers: &[Header], name: &str, wanted: &str) -> Option<String> {
    let mut found = headers
        .iter()
        .filter(|header| header.name == name)
        .peekable();
    let first = found.peek().map(|header| header.value.clone());
    if found.any(|header| glob::matches(wanted, String::from_utf8_lossy(&header.value).trim())) {
        return None;
    }
    let wanted = quoted(wanted.as_bytes());
    Some(match first {
        Some(value) => format!("its header `{name}` is {}, not {wanted}", quoted(&value)),
        None => format!("it has no header `{name}`, which should be {wanted}"),
    })
}

/// What is wrong with the body, if anything is.
async fn wrong_body(
    head: Head,
    wanted: &str,
    talk: &mut Talk,
) -> Result<Option<String>, ProbeError> {
    let mut body = Body::new(head.framing(), body::LIMIT);
    let mut looked_at = 0_usize;
    let mut came = head.rest;
    let mut chunk = vec![0_u8; 4096];
    loop {
        body.push(&came)?;
        // What was looked at before may end with the beginning of it.
        let from = looked_at.saturating_sub(wanted.len());
        let new = body.text().get(from..).unwrap_or_default();
        if wanted.is_empty()
            || new
                .windows(wanted.len())
                .any(|part| part == wanted.as_bytes())
        {
            return Ok(None);
        }
        looked_at = body.text().len();
        if body.is_whole() || body.is_too_long() {
            break;
        }
        match talk.hear(&mut chunk).await {
            // One that hangs up without a goodbye, as over TLS, has said all it will, too.
            Ok(0) | Err(ProbeError::Closed) => break,
            Ok(count) => came = chunk.get(..count).unwrap_or_default().to_vec(),
            Err(trouble) => return Err(trouble),
        }
    }
    let wanted = quoted(wanted.as_bytes());
    Ok(Some(if body.text().is_empty() {
        format!("its body is empty, without {wanted}")
    } else if body.is_too_long() {
        let limit = body::LIMIT / 1024;
        format!(
            "the first {limit} KiB of its body do not contain {wanted}: it begins with {}",
            quoted(body.text())
        )
    } else {
        format!(
            "its body does not contain {wanted}: it begins with {}",
            quoted(body.text())
        )
    }))
}

/// The beginning of somebody else's text, fit to show.
fn quoted(bytes: &[u8]) -> String {
    let bytes = bytes.get(..QUOTED_OF).unwrap_or(bytes);
    let text = text::redact(&String::from_utf8_lossy(bytes));
    format!("\"{}\"", text::one_line(text.trim(), QUOTED))
}

/// A header of an answer.
#[derive(Debug)]
struct Header {
    /// In lower case.
    name: String,
    value: Vec<u8>,
}

/// What an answer begins with.
#[derive(Debug)]
struct Head {
    status: u16,
    reason: String,
    /// Absent, when there are too many.
    headers: Option<Vec<Header>>,
    /// What came of the body along with it.
    rest: Vec<u8>,
}

/// What an answer has come to.
enum Read {
    Final(Head),
    /// Another is to follow; it had so many bytes.
    Interim(usize),
    /// More is to come.
    Part,
}

impl Head {
    /// The head of the final answer.
    async fn hear(talk: &mut Talk) -> Result<Self, ProbeError> {
        let mut heard = Vec::new();
        let mut chunk = vec![0_u8; 4096];
        let mut interim = 0;
        loop {
            match Self::read(&heard)? {
                Read::Final(head) => return Ok(head),
                Read::Interim(length) => {
                    interim += 1;
                    if interim > INTERIM {
                        return Err(ProbeError::OtherProtocol("HTTP"));
                    }
                    heard.drain(..length);
                    continue;
                }
                Read::Part if heard.len() > LONGEST => {
                    return Err(ProbeError::OtherProtocol("HTTP"));
                }
                Read::Part => {}
            }
            match talk.hear(&mut chunk).await? {
                0 if heard.is_empty() => return Err(ProbeError::Closed),
                0 => return Err(ProbeError::OtherProtocol("HTTP")),
                count => heard.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
        }
    }

    /// The value of a header, in lower case.
    fn value(&self, name: &str) -> Option<String> {
        let header = self.headers.iter().flatten().find(|one| one.name == name)?;
        Some(
            String::from_utf8_lossy(&header.value)
                .trim()
                .to_ascii_lowercase(),
        )
    }

    /// Reads what was heard so far.
    fn read(heard: &[u8]) -> Result<Read, ProbeError> {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(heard);
        let status = response.code;
        let reason = response.reason.unwrap_or_default().to_owned();
        match parsed {
            Ok(httparse::Status::Complete(length)) => {
                let status = status.unwrap_or_default();
                if (100..200).contains(&status) && status != 101 {
                    return Ok(Read::Interim(length));
                }
                let headers = response.headers.iter().map(|header| Header {
                    name: header.name.to_ascii_lowercase(),
                    value: header.value.to_vec(),
                });
                Ok(Read::Final(Self {
                    status,
                    reason,
                    headers: Some(headers.collect()),
                    rest: heard.get(length..).unwrap_or_default().to_vec(),
                }))
            }
            Ok(httparse::Status::Partial) => Ok(Read::Part),
            // So many headers are odd, but the status was understood.
            Err(httparse::Error::TooManyHeaders) => match status {
                Some(status) => Ok(Read::Final(Self {
                    status,
                    reason,
                    headers: None,
                    rest: Vec::new(),
                })),
                None => Err(ProbeError::OtherProtocol("HTTP")),
            },
            Err(_) => Err(ProbeError::OtherProtocol("HTTP")),
        }
    }

    /// How the end of its body is known.
    fn framing(&self) -> Framing {
        if matches!(self.status, 101 | 204 | 304) {
            return Framing::Length(0);
        }
        let coding = self.value("transfer-encoding");
        if coding.is_some_and(|coding| coding.ends_with("chunked")) {
            return Framing::Chunks;
        }
        self.value("content-length")
            .and_then(|length| length.parse().ok())
            .map_or(Framing::UntilClosed, Framing::Length)
    }
}

/// The parts of `http://host[:port][/path]`, or of the same with `https`.
#[derive(Debug, PartialEq, Eq)]
struct Url {
    tls: bool,
    /// `host:port` to connect to.
    place: String,
    /// For the Host header: as written.
    host: String,
    /// Path and query.
    path: String,
}

impl Url {
    /// GETs it, by another name where one is given: the head of the answer, and the
    /// conversation that its body comes from. `accept` are the formats that are understood.
    async fn get(
        &self,
        accept: &str,
        server_name: Option<&str>,
        until: Instant,
    ) -> Result<(Head, Talk), ProbeError> {
        let mut talk = self.connect(server_name, Accepts::Any, until).await?;
        let head = self.head("GET", server_name);
        talk.say(format!("{head}Accept: {accept}\r\n\r\n").as_bytes())
            .await?;
        Ok((Head::hear(&mut talk).await?, talk))
    }

    async fn connect(
        &self,
        server_name: Option<&str>,
        accepts: Accepts,
        until: Instant,
    ) -> Result<Talk, ProbeError> {
        if self.tls {
            Talk::tls_with(&self.place, server_name, accepts, until).await
        } else {
            Talk::tcp(&self.place, until).await
        }
    }

    /// What every request begins with.
    fn head(&self, method: &str, server_name: Option<&str>) -> String {
        let host = server_name.unwrap_or(&self.host);
        format!(
            "{method} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n",
            self.path
        )
    }

    fn parse(url: &str) -> Result<Self, ProbeError> {
        let wrong = |why: &str| {
            ProbeError::BadAddress(format!("`{url}` {why}: write `http://host:port/path`"))
        };
        let (rest, tls) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(wrong("is not an http or https URL")),
        };
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("holds characters that must be percent-encoded"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        if host.is_empty() || host.contains('@') {
            return Err(wrong("names no host, or a user"));
        }
        let has_port = match host.rfind(']') {
            Some(bracket) => host.get(bracket + 1..).is_some_and(|port| !port.is_empty()),
            None => host.contains(':'),
        };
        let place = if has_port {
            host.to_owned()
        } else {
            format!("{host}:{}", if tls { 443 } else { 80 })
        };
        // A fragment stays with the one who asks.
        let path = path.split('#').next().unwrap_or_default();
        let path = match path {
            "" => "/".to_owned(),
            path if path.starts_with('?') => format!("/{path}"),
            path => path.to_owned(),
        };
        Ok(Self {
            tls,
            place,
            host: host.to_owned(),
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole(
        "http://a.example:8080/x?y=1#z",
        "a.example:8080",
        "a.example:8080",
        "/x?y=1"
    )]
    #[case::bare("http://a.example", "a.example:80", "a.example", "/")]
    #[case::query("http://a.example?x", "a.example:80", "a.example", "/?x")]
    #[case::six("http://[::1]/", "[::1]:80", "[::1]", "/")]
    #[case::six_and_port("http://[::1]:81/", "[::1]:81", "[::1]:81", "/")]
    #[case::tls("https://a.example/x", "a.example:443", "a.example", "/x")]
    #[case::tls_and_port("https://[::1]:8443", "[::1]:8443", "[::1]:8443", "/")]
    fn urls(#[case] url: &str, #[case] place: &str, #[case] host: &str, #[case] path: &str) {
        let parsed = Url::parse(url).unwrap();
        assert_eq!(parsed.tls, url.starts_with("https:"));
        assert_eq!(
            (
                parsed.place.as_str(),
                parsed.host.as_str(),
                parsed.path.as_str()
            ),
            (place, host, path)
        );
    }

    #[rstest]
    #[case::other("ftp://a.example/")]
    #[case::no_host("http:///x")]
    #[case::user("http://me:secret@a.example/")]
    #[case::injected("http://a.example/ HTTP/1.1\r\nX: y")]
    fn no_urls(#[case] url: &str) {
        assert!(matches!(Url::parse(url), Err(ProbeError::BadAddress(_))));
    }
}
