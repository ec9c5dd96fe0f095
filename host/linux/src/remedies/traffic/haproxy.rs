//! A server of a backend of HAProxy, by its runtime socket.
//!
//! Never the last one that gets requests: a backend with nobody behind it is an outage. HAProxy
//! has no "unless it is the last", so it is looked at before, and again right after.

mod seen;

use std::{
    thread,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure,
    capability::Answer,
    remedy::{
        Amount, AmountOf, ChangedTraffic, HaproxyServer, InstanceServer, Plan, Receipt,
        ServerState, TrafficChange, Undo,
    },
    text::one_line,
};
use serde::{Deserialize, Serialize};

use self::seen::{Look, Seen, look};
use super::{Request as TrafficRequest, did, runtime, would};
use crate::{
    remedies::helper::{Helper, Outcome, Request as HelperRequest},
    transient::{Capability, ProtectSystem, Sandbox},
};

/// A few questions.
const LIMIT: Duration = Duration::from_secs(20);
/// How often sessions are counted while they are waited for.
const COUNT_EVERY: Duration = Duration::from_millis(250);
/// For how long HAProxy's checks are waited for after an instance was stopped.
const NOTICED: Duration = Duration::from_secs(10);

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(in super::super) enum Request {
    Plan {
        name: String,
        server: HaproxyServer,
        to: ServerState,
        /// Whether sessions that are open are waited for.
        waits: bool,
    },
    Apply {
        name: String,
        server: HaproxyServer,
        from: ServerState,
        to: ServerState,
        #[serde(rename = "wait_milliseconds", with = "prunella_core::span::in_millis")]
        wait: Duration,
    },
    Undo {
        server: HaproxyServer,
        from: ServerState,
        to: ServerState,
    },
    /// Whether an instance may be started that is this server.
    MayStart(HaproxyServer),
    /// Whether it may be stopped.
    MayStop(HaproxyServer),
    Empty(InstanceServer),
    PutBackDown(HaproxyServer),
}

pub(in super::super) struct HaproxyHere<'a> {
    helper: &'a Helper,
}

impl<'a> HaproxyHere<'a> {
    pub(in super::super) fn new(helper: &'a Helper) -> Self {
        Self { helper }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        name: &str,
        server: &HaproxyServer,
        to: ServerState,
        waits: bool,
    ) -> Answer<Plan> {
        let request = Request::Plan {
            name: name.to_owned(),
            server: server.clone(),
            to,
            waits,
        };
        self.run(deadline, &format!("plan of traffic `{name}`"), request)?
            .planned()
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        server: &HaproxyServer,
        (from, to): (ServerState, ServerState),
        wait: Duration,
    ) -> Answer<Receipt> {
        let request = Request::Apply {
            name: name.to_owned(),
            server: server.clone(),
            from,
            to,
            wait,
        };
        self.run(deadline, &format!("change of traffic `{name}`"), request)?
            .applied()
    }

    pub(in super::super) fn undo(
        &self,
        deadline: Instant,
        server: &HaproxyServer,
        (from, to): (ServerState, ServerState),
    ) -> Answer<String> {
        let request = Request::Undo {
            server: server.clone(),
            from,
            to,
        };
        self.run(
            deadline,
            &format!("undoing of the change of {server}"),
            request,
        )?
        .taken_back()
    }

    /// Whether an instance may be started that is this server: HAProxy would send it requests,
    /// and notice when it is stopped again.
    pub(in super::super) fn may_start(
        &self,
        deadline: Instant,
        server: &HaproxyServer,
    ) -> Answer<Plan> {
        let request = Request::MayStart(server.clone());
        self.run(deadline, &format!("look at {server}"), request)?
            .planned()
    }

    /// Whether an instance may be stopped that is this server. It can be undone where the server
    /// has to be drained first.
    pub(in super::super) fn may_stop(
        &self,
        deadline: Instant,
        server: &HaproxyServer,
    ) -> Answer<Plan> {
        let request = Request::MayStop(server.clone());
        self.run(deadline, &format!("look at {server}"), request)?
            .planned()
    }

    /// Drains the server of an instance that is to be stopped. Changed nothing where it is out
    /// of rotation already.
    pub(in super::super) fn empty(
        &self,
        deadline: Instant,
        server: &InstanceServer,
    ) -> Answer<Receipt> {
        let what = format!("drain of {}", server.server);
        self.run(deadline, &what, Request::Empty(server.clone()))?
            .applied()
    }

    /// Has a drained server as it was, once HAProxy has noticed that nobody is behind it: it
    /// gets no requests before its instance runs again.
    pub(in super::super) fn put_back_down(
        &self,
        deadline: Instant,
        server: &HaproxyServer,
    ) -> Answer<String> {
        let what = format!("end of the drain of {server}");
        self.run(deadline, &what, Request::PutBackDown(server.clone()))?
            .taken_back()
    }

    fn run(&self, deadline: Instant, what: &str, request: Request) -> Answer<Outcome> {
        let limit = match &request {
            Request::Apply { wait, .. } | Request::Empty(InstanceServer { wait, .. }) => {
                LIMIT + *wait
            }
            Request::PutBackDown(_) => LIMIT + NOTICED,
            _ => LIMIT,
        };
        let request = HelperRequest::Traffic(TrafficRequest::Haproxy(request));
        self.helper.run(deadline, what, &request, sandbox(), limit)
    }
}

/// It writes nothing, and reaches nobody but who listens on a path. The socket may be that of
/// HAProxy's own user.
fn sandbox() -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::Strict,
        protect_home: true,
        private_tmp: false,
        private_network: true,
        writable: Vec::new(),
        capabilities: vec![Capability::DacOverride],
        families: vec!["AF_UNIX"],
        devices: Vec::new(),
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Plan {
            name,
            server,
            to,
            waits,
        } => plan(name, server, *to, *waits).map(Outcome::Planned),
        Request::Apply {
            name,
            server,
            from,
            to,
            wait,
        } => apply(name, server, (*from, *to), *wait).map(Outcome::Applied),
        Request::Undo { server, from, to } => undo(server, (*from, *to)).map(Outcome::TakenBack),
        Request::MayStart(server) => may_start(server).map(Outcome::Planned),
        Request::MayStop(server) => may_stop(server).map(Outcome::Planned),
        Request::Empty(server) => empty(server).map(Outcome::Applied),
        Request::PutBackDown(server) => put_back_down(server).map(Outcome::TakenBack),
    }
}

fn plan(name: &str, server: &HaproxyServer, to: ServerState, waits: bool) -> Answer<Plan> {
    let where_it_is = format!("{server} of HAProxy, by {}", server.socket.display());
    let seen = match look(server) {
        Ok(Look::Seen(seen)) => seen,
        Ok(Look::Unknown(said)) => {
            return Ok(Plan::nothing(format!("HAProxy knows no `{name}`"))
                .details(format!("{where_it_is}, says: {said}")));
        }
        Err(error) if error.is_down() => {
            return Ok(Plan::nothing(format!("of `{name}`: {error}")).details(where_it_is));
        }
        Err(error) => return Err(failed(server, &error)),
    };
    if let Some(because) = seen.nothing_to_do(name, to) {
        return Ok(Plan::nothing(because).details(where_it_is));
    }
    let plan = Plan::to(would(name, to))
        .details(where_it_is)
        .undone_by(restored(name, server, (seen.state, to)));
    Ok(if waits && to != ServerState::Ready {
        plan.amount(AmountOf::Sessions, seen.sessions)
    } else {
        plan
    })
}

fn apply(
    name: &str,
    server: &HaproxyServer,
    (from, to): (ServerState, ServerState),
    wait: Duration,
) -> Answer<Receipt> {
    let before = seen(server)?;
    if before.state != from {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!("`{name}` is {} by now", before.state.sentence()),
        ));
    }
    if let Some(because) = before.nothing_to_do(name, to) {
        return Ok(Receipt::nothing(because));
    }
    set(server, to)?;
    if to == ServerState::Ready {
        return Ok(Receipt::done(did(name, to)));
    }
    let now = seen(server)?;
    if now.others == 0 {
        set(server, from)?;
        return Ok(Receipt::nothing(format!(
            "`{name}` has become the last server of its backend that gets requests, and was put \
             back"
        )));
    }
    let left = sessions_after(server, now, wait)?;
    let sessions = |value| {
        (!wait.is_zero()).then_some(Amount {
            value,
            of: AmountOf::Sessions,
        })
    };
    Ok(Receipt {
        predicted: sessions(before.sessions),
        measured: sessions(before.sessions.saturating_sub(left)),
        ..Receipt::done(with_left(did(name, to), left))
    })
}

/// How many sessions there are after they were waited for.
fn sessions_after(server: &HaproxyServer, mut now: Seen, wait: Duration) -> Answer<u64> {
    let until = Instant::now() + wait;
    while now.sessions > 0 && Instant::now() < until {
        thread::sleep(COUNT_EVERY);
        now = seen(server)?;
    }
    Ok(now.sessions)
}

/// What was done, and how many sessions are left.
fn with_left(done: String, left: u64) -> String {
    let sessions = Amount {
        value: left,
        of: AmountOf::Sessions,
    };
    match left {
        0 => done,
        1 => format!("{done}, and {sessions} goes on"),
        _ => format!("{done}, and {sessions} go on"),
    }
}

/// What undoes a change.
fn restored(name: &str, server: &HaproxyServer, (from, to): (ServerState, ServerState)) -> Undo {
    Undo::RestoreTraffic(ChangedTraffic {
        name: name.to_owned(),
        change: TrafficChange::Haproxy {
            server: server.clone(),
            from,
            to,
        },
    })
}

fn may_start(server: &HaproxyServer) -> Answer<Plan> {
    let seen = match look(server) {
        Ok(Look::Seen(seen)) => seen,
        Ok(Look::Unknown(said)) => {
            return Ok(Plan::nothing(format!(
                "HAProxy has no {server}: it says `{said}`"
            )));
        }
        Err(error) if error.is_down() => return Ok(Plan::nothing(error.to_string())),
        Err(error) => return Err(failed(server, &error)),
    };
    Ok(if seen.state != ServerState::Ready {
        let stands = seen.state.sentence();
        Plan::nothing(format!("{server} is {stands}, and would get no requests"))
    } else if !seen.is_checked() {
        Plan::nothing(format!(
            "HAProxy does not check {server}, and would not notice when it is stopped"
        ))
    } else {
        Plan::to("start it")
    })
}

fn may_stop(server: &HaproxyServer) -> Answer<Plan> {
    let seen = seen(server)?;
    if let Some(because) = last(server, &seen) {
        return Ok(Plan::nothing(because));
    }
    let plan = Plan::to(format!("drain {server}"));
    Ok(if seen.state == ServerState::Ready {
        plan.undone_by(restored(
            &server.to_string(),
            server,
            (ServerState::Ready, ServerState::Drain),
        ))
    } else {
        plan
    })
}

/// Why a server is not drained that gets requests; none where it may be, or gets none.
fn last(server: &HaproxyServer, seen: &Seen) -> Option<String> {
    let is_last = seen.state == ServerState::Ready && seen.is_in && seen.others == 0;
    is_last.then(|| format!("{server} is the last server of its backend that gets requests"))
}

fn empty(InstanceServer { server, wait }: &InstanceServer) -> Answer<Receipt> {
    let before = seen(server)?;
    if before.state != ServerState::Ready {
        let stands = before.state.sentence();
        sessions_after(server, before, *wait)?;
        return Ok(Receipt::nothing(format!("{server} is {stands} already")));
    }
    let refused = |because| Failure::failed("not-drained", because);
    if let Some(because) = last(server, &before) {
        return Err(refused(because));
    }
    set(server, ServerState::Drain)?;
    let now = seen(server)?;
    if before.is_in && now.others == 0 {
        set(server, ServerState::Ready)?;
        return Err(refused(format!(
            "{server} has become the last server of its backend that gets requests"
        )));
    }
    let left = sessions_after(server, now, *wait)?;
    Ok(Receipt::done(with_left(format!("drained {server}"), left)))
}

fn put_back_down(server: &HaproxyServer) -> Answer<String> {
    let until = Instant::now() + NOTICED;
    let mut now = seen(server)?;
    while now.state == ServerState::Drain && !now.is_down() {
        if Instant::now() >= until {
            return Ok(format!(
                "{server} stays drained: HAProxy has not noticed that it is down"
            ));
        }
        thread::sleep(COUNT_EVERY);
        now = seen(server)?;
    }
    if now.state != ServerState::Drain {
        return Ok(format!("{server} is {}", now.state.sentence()));
    }
    set(server, ServerState::Ready)?;
    Ok(format!("{server} is no longer drained, and down"))
}

fn undo(server: &HaproxyServer, (from, to): (ServerState, ServerState)) -> Answer<String> {
    let seen = match look(server).map_err(|error| failed(server, &error))? {
        Look::Seen(seen) => seen,
        Look::Unknown(_) => return Ok(format!("HAProxy has no {server} any more")),
    };
    if seen.state == from {
        return Ok(format!("{server} is {} as before", from.sentence()));
    }
    if seen.state != to {
        return Ok(format!(
            "{server} is {} now, which somebody else did: it is left so",
            seen.state.sentence()
        ));
    }
    set(server, from)?;
    Ok(match from {
        ServerState::Ready => format!("put {server} back into rotation"),
        ServerState::Drain => format!("drained {server} again"),
        ServerState::Maint => format!("put {server} into maintenance again"),
    })
}

/// Tells HAProxy what a server is, and sees that it is so.
fn set(server: &HaproxyServer, to: ServerState) -> Answer<()> {
    let command = format!("set server {server} state {}", to.as_str());
    let said = runtime::ask(&server.socket, &command).map_err(|error| failed(server, &error))?;
    if seen(server)?.state == to {
        return Ok(());
    }
    Err(Failure::failed(
        "not-set",
        format!(
            "HAProxy did not do `{command}`: it says `{}`",
            one_line(said.trim(), 200)
        ),
    ))
}

fn seen(server: &HaproxyServer) -> Answer<Seen> {
    match look(server).map_err(|error| failed(server, &error))? {
        Look::Seen(seen) => Ok(seen),
        Look::Unknown(said) => Err(Failure::not_found(
            "no-such-server",
            format!("HAProxy has no {server}: it says `{said}`"),
        )),
    }
}

fn failed(server: &HaproxyServer, error: &runtime::RuntimeError) -> Failure {
    Failure::unavailable(
        "no-haproxy",
        format!("{error} ({})", server.socket.display()),
    )
}
