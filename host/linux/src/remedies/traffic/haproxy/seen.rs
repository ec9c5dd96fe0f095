//! How a server stands, by two answers of HAProxy's: `show servers state` has what an
//! administrator said of it, `show stat` what comes of that, and how the others are.

use prunella_core::{
    remedy::{HaproxyServer, ServerState},
    text::one_line,
};

use crate::remedies::traffic::runtime::{self, RuntimeError};

/// Of `srv_admin_state`: an administrator put it into maintenance.
const FORCED_MAINT: u32 = 0x01;
/// Of `srv_admin_state`: an administrator drained it.
const FORCED_DRAIN: u32 = 0x08;

/// What HAProxy tells of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// What an administrator said.
    pub(super) state: ServerState,
    /// HAProxy's word for what comes of it, such as `UP` or `DOWN`.
    pub(super) status: String,
    /// Whether it gets new requests.
    pub(super) is_in: bool,
    /// Those it has.
    pub(super) sessions: u64,
    /// How many others of its backend get requests, and would go on to if it were taken out.
    pub(super) others: usize,
}

/// Whether HAProxy knows the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    Seen(Seen),
    /// It does not; what it said.
    Unknown(String),
}

/// Looks at a server.
pub(super) fn look(server: &HaproxyServer) -> Result<Look, RuntimeError> {
    let backend = &server.backend;
    let states = runtime::ask(&server.socket, &format!("show servers state {backend}"))?;
    // Its servers alone, of all processes.
    let statistics = runtime::ask(&server.socket, &format!("show stat {backend} 4 -1"))?;
    Ok(match seen(server, &states, &statistics) {
        Some(seen) => Look::Seen(seen),
        None => Look::Unknown(said(&states, &statistics)),
    })
}

/// What of the answers is no table.
fn said(states: &str, statistics: &str) -> String {
    let lines = states.lines().chain(statistics.lines());
    let is_sentence = |line: &&str| line.ends_with('.');
    match lines.map(str::trim).find(is_sentence) {
        Some(sentence) => one_line(sentence, 200),
        None => "nothing of it".to_owned(),
    }
}

fn seen(server: &HaproxyServer, states: &str, statistics: &str) -> Option<Seen> {
    let state = state(server, states)?;
    let rows = rows(statistics)?;
    let own = rows.iter().find(|row| row.name == server.server)?;
    let tracks = [server.server.clone(), server.to_string()];
    let others = rows.iter().filter(|row| {
        row.name != server.server
            && row.is_in()
            && !row
                .tracks
                .is_some_and(|of| tracks.iter().any(|own| own == of))
    });
    Some(Seen {
        state,
        status: one_line(own.status, 40),
        is_in: own.is_in(),
        sessions: own.sessions,
        others: others.count(),
    })
}

/// What an administrator said, by the columns that a line names.
fn state(server: &HaproxyServer, states: &str) -> Option<ServerState> {
    let mut lines = states.lines();
    let head = lines.find_map(|line| line.strip_prefix("# "))?;
    let column = |name: &str| head.split(' ').position(|column| column == name);
    let (name, admin) = (column("srv_name")?, column("srv_admin_state")?);
    let cells = lines
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|cells| cells.get(name) == Some(&server.server.as_str()))?;
    let bits: u32 = cells.get(admin)?.parse().ok()?;
    Some(if bits & FORCED_MAINT != 0 {
        ServerState::Maint
    } else if bits & FORCED_DRAIN != 0 {
        ServerState::Drain
    } else {
        ServerState::Ready
    })
}

/// A server's line of the statistics.
struct Row<'a> {
    name: &'a str,
    status: &'a str,
    weight: u64,
    sessions: u64,
    /// The server whose checks it goes by.
    tracks: Option<&'a str>,
}

impl Row<'_> {
    /// `UP 1/3` is one whose checks have begun to fail.
    fn is_in(&self) -> bool {
        (self.status == "no check" || self.status.split(' ').next() == Some("UP"))
            && self.weight > 0
    }
}

/// The lines of the statistics, by the columns that the first one names. None of those that
/// are read can have a comma in it: numbers, HAProxy's own words, and names.
fn rows(statistics: &str) -> Option<Vec<Row<'_>>> {
    let mut lines = statistics.lines();
    let head = lines.find_map(|line| line.strip_prefix("# "))?;
    let column = |name: &str| head.split(',').position(|column| column == name);
    let (name, status, weight, sessions) = (
        column("svname")?,
        column("status")?,
        column("weight")?,
        column("scur")?,
    );
    let tracks = column("tracked");
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells.get(at)?.parse().ok();
        Some(Row {
            name: cells.get(name)?,
            status: cells.get(status)?,
            weight: number(weight)?,
            sessions: number(sessions)?,
            tracks: tracks
                .and_then(|at| cells.get(at).copied())
                .filter(|tracked| !tracked.is_empty()),
        })
    });
    Some(rows.collect())
}

impl Seen {
    /// Whether HAProxy looks whether it answers.
    pub(super) fn is_checked(&self) -> bool {
        self.status != "no check"
    }

    /// Whether HAProxy has noticed that it does not answer.
    pub(super) fn is_down(&self) -> bool {
        self.status.split(' ').next() == Some("DOWN")
    }

    /// Why there is nothing to do to have it as wanted; none when there is.
    pub(super) fn nothing_to_do(&self, name: &str, to: ServerState) -> Option<String> {
        let status = &self.status;
        if to == ServerState::Ready {
            return (self.state == ServerState::Ready).then(|| match self.is_in {
                true => format!("`{name}` is in rotation already"),
                false => format!("nobody took `{name}` out of rotation: it is {status}"),
            });
        }
        // By whomever: it is left so.
        if self.state != ServerState::Ready {
            return Some(format!("`{name}` is {} already", self.state.sentence()));
        }
        if !self.is_in {
            let shown = if status.starts_with("UP") {
                "of no weight"
            } else {
                status.as_str()
            };
            return Some(format!(
                "HAProxy sends `{name}` no requests already: it is {shown}"
            ));
        }
        (self.others == 0)
            .then(|| format!("`{name}` is the last server of its backend that gets requests"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const STATES: &str = "1\n\
        # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n\
        3 app 1 one 127.0.0.1 2 0 1\n\
        3 app 2 two 127.0.0.1 2 8 1\n\
        3 app 3 three 127.0.0.1 0 5 1\n\
        3 app 4 four 127.0.0.1 2 16 1\n\n";

    fn statistics(one: &str, rest: &str) -> String {
        format!("# pxname,svname,scur,status,weight,tracked,\napp,one,{one},,\n{rest}\n")
    }

    fn server(name: &str) -> HaproxyServer {
        HaproxyServer {
            socket: "/run/haproxy/admin.sock".into(),
            backend: "app".to_owned(),
            server: name.to_owned(),
        }
    }

    #[rstest]
    #[case::ready("one", ServerState::Ready)]
    #[case::drained("two", ServerState::Drain)]
    #[case::disabled_by_the_configuration("three", ServerState::Maint)]
    #[case::drained_with_what_it_tracks("four", ServerState::Ready)]
    fn what_an_administrator_said(#[case] name: &str, #[case] expected: ServerState) {
        assert_eq!(state(&server(name), STATES), Some(expected));
    }

    /// `two` is another server, in one way or another.
    #[rstest]
    #[case::up("0,UP,1", "app,two,3,UP,1,,", None)]
    #[case::not_checked("7,no check,1", "app,two,3,no check,1,,", None)]
    #[case::about_to_go_down("0,UP 1/3,1", "app,two,3,UP 2/3,1,,", None)]
    #[case::down("0,DOWN,1", "app,two,3,UP,1,,", Some("it is DOWN"))]
    #[case::coming_up("0,DOWN 1/2,1", "app,two,3,UP,1,,", Some("it is DOWN 1/2"))]
    #[case::without_weight("0,UP,0", "app,two,3,UP,1,,", Some("it is of no weight"))]
    #[case::alone("0,UP,1", "", Some("`web` is the last server"))]
    #[case::others_down("0,UP,1", "app,two,0,DOWN,1,,", Some("`web` is the last server"))]
    #[case::others_without_weight("0,UP,1", "app,two,0,UP,0,,", Some("`web` is the last server"))]
    #[case::others_go_with_it(
        "0,UP,1",
        "app,two,0,UP,1,app/one,",
        Some("`web` is the last server")
    )]
    fn who_may_be_drained(#[case] one: &str, #[case] two: &str, #[case] because: Option<&str>) {
        let statistics = statistics(one, two);
        let seen = seen(&server("one"), STATES, &statistics).unwrap();
        for to in [ServerState::Drain, ServerState::Maint] {
            let told = seen.nothing_to_do("web", to);
            match because {
                None => assert_eq!(told, None),
                Some(because) => assert!(told.clone().unwrap().contains(because), "{told:?}"),
            }
        }
    }

    #[test]
    fn who_is_out_is_left_so() {
        let statistics = statistics("0,UP,1", "app,two,0,DRAIN,1,,\napp,three,0,MAINT,1,,");
        for (name, because) in [
            ("two", "`web` is drained already"),
            ("three", "`web` is in maintenance already"),
        ] {
            let seen = seen(&server(name), STATES, &statistics).unwrap();
            let told = seen.nothing_to_do("web", ServerState::Drain);
            assert_eq!(told.as_deref(), Some(because));
            assert_eq!(seen.nothing_to_do("web", ServerState::Ready), None);
        }
        let seen = seen(&server("one"), STATES, &statistics).unwrap();
        let told = seen.nothing_to_do("web", ServerState::Ready);
        assert_eq!(told.as_deref(), Some("`web` is in rotation already"));
    }

    #[rstest]
    #[case::no_backend("Can't find backend.\n\n", "No such proxy.\n\n", "Can't find backend.")]
    #[case::no_right("Permission denied.\n", "", "Permission denied.")]
    #[case::something_else("\u{1b}[2J", "x", "nothing of it")]
    fn what_is_no_table(#[case] states: &str, #[case] statistics: &str, #[case] expected: &str) {
        assert_eq!(seen(&server("one"), states, statistics), None);
        assert_eq!(said(states, statistics), expected);
    }
}
