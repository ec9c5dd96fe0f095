//! Lines that a service logs because Prunella asked it.
//!
//! A web server writes down each request, and a database each greeting that led to
//! no login. Asked every few seconds, such lines would push out of sight what a
//! service said before it failed.

use prunella_core::service::{DeclaredProbe, ProbeKind};

use super::http::{USER_AGENT, path_of};

/// Tells lines that declared probes cause from all others.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnLines {
    /// What is asked for by HTTP, `/` left out: others ask for that as well.
    paths: Vec<String>,
    http: bool,
    databases: bool,
}

impl OwnLines {
    pub(crate) fn of<'a>(probes: impl Iterator<Item = &'a DeclaredProbe>) -> Self {
        let mut own = Self::default();
        for probe in probes {
            match &probe.kind {
                ProbeKind::Http { url, .. } => {
                    own.http = true;
                    own.paths.extend(path_of(url).filter(|path| path != "/"));
                }
                ProbeKind::Postgres(_) | ProbeKind::Mysql(_) => own.databases = true,
                ProbeKind::Tcp(_)
                | ProbeKind::Unix(_)
                | ProbeKind::Redis(_)
                | ProbeKind::Sqlite { .. } => {}
            }
        }
        own
    }

    /// Whether a question of ours caused the line.
    pub(crate) fn caused(&self, line: &str) -> bool {
        (self.http && self.is_request(line)) || (self.databases && is_greeting(line))
    }

    /// An access log names who asks, in the usual formats; where it does not, a
    /// health page that this host asks for tells enough.
    fn is_request(&self, line: &str) -> bool {
        let Some((before, asked_for)) = line.split_once("GET ") else {
            return false;
        };
        let ours = [
            format!("\"{USER_AGENT}\""),
            format!("ua={USER_AGENT}"),
            format!("user_agent={USER_AGENT}"),
        ];
        if ours.iter().any(|agent| line.contains(agent.as_str())) {
            return true;
        }
        let from_here = ["127.0.0.1", "::1", "localhost"]
            .iter()
            .any(|address| before.contains(address));
        from_here
            && self.paths.iter().any(|path| {
                asked_for
                    .strip_prefix(path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '"']))
            })
    }
}

/// What a database says of a greeting that named our account, or none.
fn is_greeting(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "user \"prunella\"",
        "role \"prunella\"",
        "prunella@postgres",
    ]
    .iter()
    .any(|ours| line.contains(ours))
        || (line.contains("aborted connection") && line.contains("unauthenticated"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    fn probe(kind: ProbeKind) -> DeclaredProbe {
        DeclaredProbe {
            kind,
            timeout: Duration::from_secs(5),
            unit: None,
            interval: None,
            failure_threshold: 3,
        }
    }

    #[rstest]
    #[case::combined(
        r#"127.0.0.1 - - [29/Nov/2026:12:00:00 +0000] "GET /health HTTP/1.1" 200 2 "-" "prunella""#,
        true
    )]
    #[case::uvicorn(r#"INFO:     127.0.0.1:51234 - "GET /health HTTP/1.1" 200 OK"#, true)]
    #[case::python(
        r#"127.0.0.1 - - [29/Nov/2026 12:00:00] "GET /health HTTP/1.1" 200 -"#,
        true
    )]
    #[case::postgres(r#"FATAL:  role "prunella" does not exist"#, true)]
    #[case::from_elsewhere(r#"10.1.2.3 - - "GET /health HTTP/1.1" 200 -"#, false)]
    #[case::another_page(r#"127.0.0.1 - - "GET /healthy-food HTTP/1.1" 500 -"#, false)]
    #[case::an_error("error: the license file /etc/shop/license is expired", false)]
    #[case::another_role(r#"FATAL:  role "shop" does not exist"#, false)]
    #[case::names_it("prunella: the herb is sold out", false)]
    fn lines(#[case] line: &str, #[case] ours: bool) {
        let probes = [
            probe(ProbeKind::Http {
                url: "http://127.0.0.1:8080/health".to_owned(),
                status: Vec::new(),
            }),
            probe(ProbeKind::Postgres("127.0.0.1:5432".to_owned())),
        ];
        assert_eq!(OwnLines::of(probes.iter()).caused(line), ours);
        assert!(!OwnLines::default().caused(line), "nobody asks it");
    }
}
