//! HTTP/1.1: one GET, of whose answer only the status is read.
//!
//! A redirection is an answer and is not followed.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use super::{Heard, error::ProbeError, wire::Talk};

/// Headers longer than this are no answer.
const LONGEST: usize = 64 * 1024;
/// Interim answers (1xx) before the real one.
const INTERIM: usize = 8;

/// The program's name in requests: servers write it into their logs.
pub(super) const USER_AGENT: &str = "prunella";

/// The path that a URL asks for, and the address where, if it names one; `None` when it
/// is no URL.
pub(super) fn asked_for(url: &str) -> Option<(String, Option<IpAddr>)> {
    let url = Url::parse(url).ok()?;
    let address = url.place.parse::<SocketAddr>().ok();
    Some((url.path, address.map(|address| address.ip())))
}

/// Asks, and returns status and reason.
pub(super) fn get(url: &str, until: Instant) -> Result<(u16, String), ProbeError> {
    let url = Url::parse(url)?;
    let mut talk = if url.tls {
        Talk::tls(&url.place, until)?
    } else {
        Talk::tcp(&url.place, until)?
    };
    talk.say(
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            url.path, url.host
        )
        .as_bytes(),
    )?;
    status(&mut talk)
}

/// Asks, and judges the status: by default 200 to 399 is an answer.
pub(super) fn ask(url: &str, expected: &[u16], until: Instant) -> Heard {
    let (status, reason) = get(url, until)?;
    let answering = if expected.is_empty() {
        (200..=399).contains(&status)
    } else {
        expected.contains(&status)
    };
    let said = format!("it answered {status} {reason}");
    let said = said.trim_end();
    Ok((
        answering,
        if answering {
            said.to_owned()
        } else if expected.is_empty() {
            format!("{said}, not 200 to 399")
        } else {
            let wanted: Vec<String> = expected.iter().map(u16::to_string).collect();
            format!("{said}, not {}", wanted.join(" or "))
        },
    ))
}

/// The final answer's status and reason.
fn status(talk: &mut Talk) -> Result<(u16, String), ProbeError> {
    let mut heard = Vec::new();
    let mut chunk = vec![0_u8; 4096];
    let mut interim = 0;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&heard) {
            Ok(httparse::Status::Complete(length)) => {
                let code = response.code.unwrap_or_default();
                let reason = response.reason.unwrap_or_default().to_owned();
                if !(100..200).contains(&code) || code == 101 {
                    return Ok((code, reason));
                }
                interim += 1;
                if interim > INTERIM {
                    return Err(ProbeError::OtherProtocol("HTTP"));
                }
                heard.drain(..length);
                continue;
            }
            Ok(httparse::Status::Partial) => {
                // The status line is enough when the headers go on for ever.
                if heard.len() > LONGEST {
                    return Err(ProbeError::OtherProtocol("HTTP"));
                }
            }
            // So many headers are odd, but the status was understood.
            Err(httparse::Error::TooManyHeaders) => {
                return match response.code {
                    Some(code) => Ok((code, response.reason.unwrap_or_default().to_owned())),
                    None => Err(ProbeError::OtherProtocol("HTTP")),
                };
            }
            Err(_) => return Err(ProbeError::OtherProtocol("HTTP")),
        }
        match talk.hear(&mut chunk)? {
            0 if heard.is_empty() => return Err(ProbeError::Closed),
            0 => return Err(ProbeError::OtherProtocol("HTTP")),
            count => heard.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
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
