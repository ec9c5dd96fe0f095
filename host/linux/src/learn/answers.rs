//! How a service can be asked whether it still works.
//!
//! A process can be there, hold its port and be stuck, and systemd sees nothing of
//! that. So a service that listens gets a question that Prunella asks at an
//! interval. Only a question that it answers *now* is proposed: one that never is
//! answered would have a healthy service restarted.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use prunella_core::{
    capability::UnitStatus,
    service::{HttpQuestion, ProbeKind},
};

use super::{
    Finding, Learned,
    known::{Known, is_there},
};
use crate::probes;

/// Each question is given so much time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where web servers and applications commonly say whether they are well, the most
/// telling first.
const HEALTH: [&str; 6] = [
    "/health",
    "/healthz",
    "/ready",
    "/-/healthy",
    "/status",
    "/",
];

/// Ports of protocols in which a connection without a greeting is logged as an
/// error, or counted against us: not tried out. FTP, SSH, Telnet, mail, LDAP, print
/// and file servers, databases, brokers.
const LEFT_ALONE: [u16; 29] = [
    21, 22, 23, 25, 110, 139, 143, 389, 445, 465, 515, 587, 636, 873, 993, 995, 1433, 1521, 2049,
    3260, 3306, 5222, 5269, 5432, 5671, 5672, 6379, 11211, 27017,
];

/// What asks the service itself.
trait Ask {
    /// Whether somebody answers the probe.
    fn answers(&self, probe: &ProbeKind) -> bool;
    /// The status with which a URL is answered; `None` when nobody speaks HTTP there.
    fn http_status(&self, url: &str) -> Option<u16>;
}

/// A TCP port that a service listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) number: u16,
    /// Where it can be reached from this host, as `host:port`; the best first.
    pub(super) places: Vec<String>,
}

/// Finds a question that it answers.
pub(super) fn ask(
    deadline: Instant,
    known: Option<Known>,
    listening: &[Listening],
    learned: &mut Learned,
) {
    if learned.status.is_oneshot() {
        // It ends by itself, and is late at most.
        return;
    }
    if let Some(why) = why_not_asked(&learned.status) {
        learned.not_asked = Some(format!("{why}, so {NOT_NOTICED}"));
        return;
    }
    if !learned.status.is_up() {
        return;
    }
    learned.probe = find(known, listening, Path::new("/"), &Questions { deadline });
    if learned.probe.is_some() {
        return;
    }
    learned.not_asked = Some(if learned.ports.is_empty() {
        format!(
            "it holds no port that could be asked, so {NOT_NOTICED}, for a Unix socket with \
             `unix = \"PATH\"`"
        )
    } else {
        format!("no question is known that it answers, so {NOT_NOTICED}")
    });
}

/// What follows where a service is asked nothing, and what its operator can do.
const NOT_NOTICED: &str = "it is not noticed when it hangs: declare a [[probe]] with an `interval`";

/// Why a service is asked nothing, whatever it may answer.
fn why_not_asked(status: &UnitStatus) -> Option<String> {
    // Being asked would start, or keep up, what a socket starts when it is needed.
    let socket = status
        .triggered_by
        .iter()
        .find(|unit| unit.kind() == "socket");
    if let Some(socket) = socket {
        return Some(format!(
            "{socket} starts it when it is needed, and a question would do that, too"
        ));
    }
    status
        .private_network
        .then(|| "its network is its own, where nothing can be asked from here".to_owned())
}

/// Asks the service itself.
struct Questions {
    deadline: Instant,
}

impl Questions {
    fn until(&self) -> Instant {
        self.deadline.min(Instant::now() + PATIENCE)
    }
}

impl Ask for Questions {
    fn answers(&self, probe: &ProbeKind) -> bool {
        probes::answers(probe, self.until())
    }

    fn http_status(&self, url: &str) -> Option<u16> {
        probes::http_status(url, self.until())
    }
}

/// The question for a service that runs, and why it is the right one. Sockets are
/// looked for below `root`.
fn find(
    known: Option<Known>,
    listening: &[Listening],
    root: &Path,
    ask: &dyn Ask,
) -> Option<Finding<ProbeKind>> {
    if let Some(database) = known.and_then(Known::database) {
        let places = listening
            .iter()
            .flat_map(|port| port.places.iter().cloned());
        let sockets = database
            .sockets
            .iter()
            .filter(|path| is_there(root, path))
            .map(|path| (*path).to_owned());
        return places
            .chain(sockets)
            .map(database.probe)
            .find(|probe| ask.answers(probe))
            .map(|probe| Finding::new(probe, "it answers this greeting now"));
    }
    let mut open = listening
        .iter()
        .filter(|port| !LEFT_ALONE.contains(&port.number))
        .filter_map(|port| {
            let answers = |place: &&String| ask.answers(&ProbeKind::Tcp((*place).clone()));
            port.places.iter().find(answers)
        })
        .peekable();
    let first = (*open.peek()?).clone();
    if !known.is_some_and(Known::speaks_no_http)
        && let Some(found) = web(open, ask)
    {
        return Some(found);
    }
    Some(Finding::new(
        ProbeKind::Tcp(first),
        "it takes connections there now, and no URL of it is known to answer. This notices a \
         closed port, and rarely a process that hangs: a URL would be better",
    ))
}

/// The first URL with an answer of 2xx; or else the first page, where that is
/// answered in another way than by an error of the server's.
fn web<'a>(places: impl Iterator<Item = &'a String>, ask: &dyn Ask) -> Option<Finding<ProbeKind>> {
    let mut second = None;
    for place in places {
        for scheme in ["http", "https"] {
            let mut spoken = false;
            for path in HEALTH {
                let url = format!("{scheme}://{place}{path}");
                // Who does not speak HTTP, or hangs, will not with the next path.
                let Some(status) = ask.http_status(&url) else {
                    break;
                };
                spoken = true;
                if (200..=299).contains(&status) {
                    let why = format!("{path} answers {status} now");
                    return Some(Finding::new(http(url, Vec::new()), why));
                }
                // A plain request to a port of TLS's is answered with 400.
                if path == "/" && (300..=499).contains(&status) && status != 400 {
                    second.get_or_insert((url, status));
                }
            }
            if spoken && second.is_some() {
                break;
            }
        }
    }
    let (url, status) = second?;
    let why =
        format!("no health page was found, and / answers {status}: what counts is that it answers");
    let accepted = match status {
        // A redirection is an answer by itself.
        300..=399 => Vec::new(),
        // A page may be there one day.
        _ => vec![200, 301, 302, status],
    };
    Some(Finding::new(http(url, accepted), why))
}

fn http(url: String, status: Vec<u16>) -> ProbeKind {
    ProbeKind::Http(HttpQuestion {
        url,
        status,
        ..HttpQuestion::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rstest::rstest;

    use super::*;

    /// A service that answers like this.
    #[derive(Default)]
    struct Service {
        open: BTreeSet<String>,
        greeted: Option<ProbeKind>,
        urls: BTreeMap<String, u16>,
    }

    impl Ask for Service {
        fn answers(&self, probe: &ProbeKind) -> bool {
            match probe {
                ProbeKind::Tcp(place) => self.open.contains(place),
                other => self.greeted.as_ref() == Some(other),
            }
        }

        fn http_status(&self, url: &str) -> Option<u16> {
            self.urls.get(url).copied().or_else(|| {
                // Whoever speaks HTTP at all says 404 of what it does not know.
                let (scheme, rest) = url.split_once("://")?;
                let place = rest.split('/').next()?;
                self.urls
                    .keys()
                    .any(|known| known.starts_with(&format!("{scheme}://{place}/")))
                    .then_some(404)
            })
        }
    }

    fn listening(numbers: &[u16]) -> Vec<Listening> {
        numbers
            .iter()
            .map(|number| Listening {
                number: *number,
                places: vec![format!("127.0.0.1:{number}")],
            })
            .collect()
    }

    fn found(known: Option<Known>, numbers: &[u16], urls: &[(&str, u16)]) -> Option<ProbeKind> {
        let service = Service {
            open: numbers.iter().map(|n| format!("127.0.0.1:{n}")).collect(),
            urls: urls.iter().map(|(u, s)| ((*u).to_owned(), *s)).collect(),
            ..Service::default()
        };
        find(known, &listening(numbers), Path::new("/nowhere"), &service).map(|found| found.what)
    }

    fn http(url: &str, status: &[u16]) -> Option<ProbeKind> {
        Some(super::http(url.to_owned(), status.to_vec()))
    }

    #[rstest]
    #[case::health(
        &[("http://127.0.0.1:8080/health", 200), ("http://127.0.0.1:8080/", 200)],
        http("http://127.0.0.1:8080/health", &[])
    )]
    #[case::healthz(
        &[("http://127.0.0.1:8080/healthz", 204)],
        http("http://127.0.0.1:8080/healthz", &[])
    )]
    #[case::not_well_there(
        &[("http://127.0.0.1:8080/health", 503), ("http://127.0.0.1:8080/", 200)],
        http("http://127.0.0.1:8080/", &[])
    )]
    #[case::redirects(
        &[("http://127.0.0.1:8080/", 302)],
        http("http://127.0.0.1:8080/", &[])
    )]
    #[case::wants_a_login(
        &[("http://127.0.0.1:8080/", 401)],
        http("http://127.0.0.1:8080/", &[200, 301, 302, 401])
    )]
    #[case::broken(
        &[("http://127.0.0.1:8080/", 500)],
        Some(ProbeKind::Tcp("127.0.0.1:8080".to_owned()))
    )]
    #[case::tls(
        &[("http://127.0.0.1:8080/", 400), ("https://127.0.0.1:8080/", 200)],
        http("https://127.0.0.1:8080/", &[])
    )]
    #[case::something_else(&[], Some(ProbeKind::Tcp("127.0.0.1:8080".to_owned())))]
    fn a_server_is_asked_for_what_it_answers(
        #[case] urls: &[(&str, u16)],
        #[case] probe: Option<ProbeKind>,
    ) {
        assert_eq!(found(None, &[8080], urls), probe);
    }

    #[test]
    fn the_port_with_an_answer_is_taken() {
        let urls = [
            ("http://127.0.0.1:80/", 301),
            ("https://127.0.0.1:443/", 200),
        ];
        assert_eq!(
            found(Some(Known::Nginx), &[80, 443], &urls),
            http("https://127.0.0.1:443/", &[])
        );
    }

    #[test]
    fn mail_servers_and_the_like_are_not_disturbed() {
        assert_eq!(found(None, &[25, 143], &[]), None);
    }

    #[test]
    fn a_database_is_greeted_where_it_answers_and_nowhere_else() {
        let mut service = Service {
            greeted: Some(ProbeKind::Redis("127.0.0.1:6380".to_owned())),
            ..Service::default()
        };
        let ports = listening(&[6379, 6380]);
        let found = |service: &Service| {
            find(Some(Known::Redis), &ports, Path::new("/nowhere"), service).map(|found| found.what)
        };
        assert_eq!(found(&service), service.greeted);
        // One that speaks only TLS would never answer.
        service.greeted = None;
        assert_eq!(found(&service), None);
    }
}
