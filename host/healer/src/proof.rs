//! Proof: the host's own evidence that a service is healthy.
//!
//! | kind of unit | what counts |
//! |---|---|
//! | every service | up, by its Type=; the same run all the time, which is as long as it has to last |
//! | oneshot | ended with success (or active, with RemainAfterExit=) |
//! | declared ports | held from within the unit's control group, or by one of its sockets; one that it never held proves nothing while nobody holds it |
//! | own network namespace | ports cannot be seen from here: the probes alone |
//! | declared probes of its own | every one answers that ever did, and can be asked |

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, FailureKind,
    capability::{
        Goal, Host, Ownership, PortHolder, UnitStatus, clock, ports as port_calls, probes, units,
    },
    service::{Port, Service},
};

use crate::{NEVER_ANSWERED, answered_probes::AnsweredProbes, start_time::StartTime};

/// How often ports and probes are looked at while the service comes up: no
/// signal tells of a port. Doubles from the first to the second.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// How long a look may take at the end of a wait, even beyond it.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// A service that was seen well.
#[derive(Debug, Clone)]
pub(crate) struct Well {
    pub(crate) status: UnitStatus,
    pub(crate) evidence: Vec<String>,
    /// Probes of its own that were never answered, and so say nothing.
    pub(crate) unknown: Vec<String>,
}

/// Looks for the proof that a service is well.
pub(crate) struct Prover<'a> {
    pub(crate) service: &'a Service,
    pub(crate) host: &'a Host,
    /// Which of the service's ports were ever seen to be held.
    pub(crate) known: &'a AnsweredProbes,
    /// Whether what is seen of ports is remembered: in a dry run nothing of it is real.
    pub(crate) remembers: bool,
}

/// What a look makes of a port that nobody holds and the service never did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NeverHeld {
    /// It may still come, unless it is known that it does not.
    MayCome,
    ProvesNothing,
}

impl Prover<'_> {
    /// Waits until the service is well, for as long as a start of it may take, or until it is
    /// declared otherwise (`superseded`); else says what is not. `slow` is told when it takes
    /// longer than usual.
    pub(crate) fn becomes_well(
        &self,
        time: StartTime,
        slow: impl FnOnce(Duration),
        superseded: impl Fn() -> bool,
    ) -> Result<Well, String> {
        let mut slow = Some(slow);
        let (unit, host) = (&self.service.unit, self.host);
        let begun = Instant::now();
        // While systemd has a job or a transition going on for it, that has a limit of
        // its own.
        let mut up = host.ask(begun + time.usual, self.wait(Goal::Up, time.usual));
        if let Err(failure) = &up
            && failure.kind == FailureKind::TimedOut
            && time.by_systemd > time.usual
        {
            let left = time.by_systemd.saturating_sub(begun.elapsed());
            if let Some(slow) = slow.take() {
                slow(left);
            }
            up = host.ask(Instant::now() + left, self.wait(Goal::Up, left));
        }
        up.map_err(|failure| format!("{unit} did not come up: {failure}"))?;
        let begun = Instant::now();
        let deadline = begun + time.most;
        let mut pause = LOOK_EVERY.0;
        loop {
            // A look that the end of the wait cuts short would say that nothing can be seen,
            // and not what is missing.
            let look_until = deadline.max(Instant::now() + LAST_LOOK);
            let (missing, never_held) = match self.look(NeverHeld::MayCome, look_until) {
                Ok(well) => return Ok(well),
                Err(NotWell::Down(reason)) => return Err(reason),
                Err(NotWell::NotYet(reason)) => (reason, Vec::new()),
                Err(NotWell::Without(ports)) => (NotWell::without(&ports), ports),
            };
            if superseded() {
                return Err(missing);
            }
            if host.ask(deadline, clock::Sleep { time: pause }).is_err()
                || Instant::now() >= deadline
            {
                if !never_held.is_empty() {
                    self.never_saw(&never_held);
                    return self.is_well();
                }
                return Err(format!(
                    "{unit} is up, but after {} s {missing}",
                    time.most.as_secs()
                ));
            }
            if begun.elapsed() >= time.usual
                && let Some(slow) = slow.take()
            {
                slow(deadline.saturating_duration_since(Instant::now()));
            }
            pause = (pause * 2).min(LOOK_EVERY.1);
        }
    }

    /// Looks once; else says what is not well.
    pub(crate) fn is_well(&self) -> Result<Well, String> {
        let deadline = Instant::now() + LAST_LOOK;
        self.look(NeverHeld::ProvesNothing, deadline)
            .map_err(NotWell::into_reason)
    }

    /// Remembers which of its declared ports a service holds that is up, as `status` says, and
    /// has had the time to open them. Answers which nobody holds, and it never did.
    pub(crate) fn see_ports(&self, status: &UnitStatus) -> Vec<Port> {
        let deadline = Instant::now() + LAST_LOOK;
        match self.ports(NeverHeld::MayCome, status, deadline, &mut Vec::new()) {
            Err(NotWell::Without(ports)) => {
                self.never_saw(&ports);
                ports
            }
            _ => Vec::new(),
        }
    }

    /// Watches a service that was seen well for `stable_for`; else says what
    /// happened to it.
    pub(crate) fn stays_well(
        &self,
        before: &Well,
        stable_for: Duration,
    ) -> Result<Well, NotStable> {
        let unit = &self.service.unit;
        // A oneshot that has done its work has nothing left that could fall over.
        if !is_finished_oneshot(&before.status) && !stable_for.is_zero() {
            match self.host.ask(
                Instant::now() + stable_for + LAST_LOOK,
                self.wait(Goal::Down, stable_for),
            ) {
                Err(failure) if failure.kind == FailureKind::TimedOut => {}
                Err(failure) => {
                    let reason = format!("{unit} could not be watched: {failure}");
                    return Err(NotStable::NotWell(reason));
                }
                Ok(status) => {
                    return Err(NotStable::NotWell(format!(
                        "{unit} went down again ({}) within {} s",
                        status.result,
                        stable_for.as_secs_f32()
                    )));
                }
            }
        }
        let now = self.is_well().map_err(NotStable::NotWell)?;
        let reason = if now.status.restarts > before.status.restarts {
            format!("systemd had to restart {unit} meanwhile")
        } else if now.status.invocation != before.status.invocation {
            format!("{unit} was started again meanwhile: it is another run")
        } else {
            return Ok(now);
        };
        Err(NotStable::AnotherRun {
            reason,
            now: Box::new(now),
        })
    }

    fn wait(&self, goal: Goal, timeout: Duration) -> units::Wait {
        units::Wait {
            unit: self.service.unit.clone(),
            goal,
            timeout,
        }
    }

    /// One look at everything that counts.
    fn look(&self, never_held: NeverHeld, deadline: Instant) -> Result<Well, NotWell> {
        let (service, host) = (self.service, self.host);
        let unit = &service.unit;
        let status = host
            .unit(deadline, unit)
            .map_err(|failure| NotWell::NotYet(format!("{unit} cannot be looked at: {failure}")))?;
        if !status.is_up() {
            let reason = format!(
                "{unit} is {} ({}), its result is {}",
                status.active_state.as_str(),
                status.sub_state,
                status.result
            );
            return Err(if status.is_settled() {
                NotWell::Down(reason)
            } else {
                NotWell::NotYet(reason)
            });
        }
        let mut evidence = vec![if is_finished_oneshot(&status) {
            format!("{unit} ended with success")
        } else {
            match status.main_pid {
                Some(pid) => format!(
                    "{unit} is {} ({}), main process {pid}",
                    status.active_state.as_str(),
                    status.sub_state
                ),
                None => format!(
                    "{unit} is {} ({})",
                    status.active_state.as_str(),
                    status.sub_state
                ),
            }
        }];
        if status.private_network {
            if !service.ports.is_empty() {
                evidence.push("its network is its own, so its ports cannot be seen".to_owned());
            }
        } else {
            self.ports(never_held, &status, deadline, &mut evidence)?;
        }
        let mut unknown = Vec::new();
        for (name, probe) in service.own_probes() {
            let ask = probes::Ask { name: name.clone() };
            let answer = match host.ask(deadline.min(Instant::now() + probe.timeout), ask) {
                Ok(answer) => answer,
                Err(failure) if failure.is(NEVER_ANSWERED) => {
                    evidence.push(failure.message);
                    unknown.push(name.clone());
                    continue;
                }
                // Its program is gone, say: that tells nothing of the service.
                Err(failure) if was_not_asked(&failure) => {
                    evidence.push(format!("probe `{name}` cannot be asked: {failure}"));
                    unknown.push(name.clone());
                    continue;
                }
                Err(failure) => {
                    return Err(NotWell::NotYet(format!("probe `{name}` failed: {failure}")));
                }
            };
            if !answer.healthy {
                return Err(NotWell::NotYet(format!(
                    "probe `{name}` is not answered: {}",
                    answer.detail
                )));
            }
            evidence.push(format!(
                "probe `{name}` ({}) answered in {:.1} ms: {}",
                probe.kind.as_str(),
                answer.took.as_secs_f64() * 1e3,
                answer.detail
            ));
        }
        Ok(Well {
            status,
            evidence,
            unknown,
        })
    }

    fn ports(
        &self,
        never_held: NeverHeld,
        status: &UnitStatus,
        deadline: Instant,
        evidence: &mut Vec<String>,
    ) -> Result<(), NotWell> {
        let (service, known) = (self.service, self.known);
        let mut without = Vec::new();
        for port in &service.ports {
            let ask = port_calls::Holders {
                protocol: port.protocol,
                number: port.number,
            };
            let holders = self.host.ask(deadline, ask).map_err(|failure| {
                NotWell::NotYet(format!("who holds {port} cannot be seen: {failure}"))
            })?;
            let serves = |holder: &&PortHolder| match holder.address.parse() {
                Ok(address) => port.is_served_at(address),
                // In a dry run.
                Err(_) => true,
            };
            let holders: Vec<&PortHolder> = holders.iter().filter(serves).collect();
            let own = holders.iter().find(|holder| {
                holder.unit.as_ref() == Some(&status.name)
                    || holder
                        .process
                        .as_ref()
                        .is_some_and(|process| process.info.ownership == Ownership::Own)
            });
            let socket = holders.iter().find(|holder| {
                holder.socket_activated
                    && holder
                        .unit
                        .as_ref()
                        .is_some_and(|unit| status.triggered_by.contains(unit))
            });
            if own.or(socket).is_some() {
                self.saw(port, true);
            }
            match (own, socket) {
                (None, None) if holders.is_empty() && !known.was_held(service, port) => {
                    if never_held == NeverHeld::MayCome && !known.is_never_held(service, port) {
                        without.push(*port);
                    }
                    evidence.push(format!(
                        "{port} has never been held since it was declared, so it proves nothing"
                    ));
                }
                (Some(_), _) => evidence.push(format!("{port} is held by {}", status.name)),
                (None, Some(holder)) => evidence.push(format!(
                    "{port} is held by its socket{}",
                    holder
                        .unit
                        .as_ref()
                        .map(|unit| format!(" {unit}"))
                        .unwrap_or_default()
                )),
                (None, None) => {
                    let who =
                        holders
                            .first()
                            .map_or("nobody".to_owned(), |holder| match &holder.unit {
                                Some(unit) => unit.to_string(),
                                None => "somebody else".to_owned(),
                            });
                    return Err(NotWell::NotYet(format!("{port} is held by {who}")));
                }
            }
        }
        if without.is_empty() {
            Ok(())
        } else {
            Err(NotWell::Without(without))
        }
    }

    fn saw(&self, port: &Port, held: bool) {
        if self.remembers {
            self.known.saw_port(self.service, port, held);
        }
    }

    fn never_saw(&self, ports: &[Port]) {
        for port in ports {
            self.saw(port, false);
        }
    }
}

/// Why a service that was seen well is not proven to be.
pub(crate) enum NotStable {
    /// It is well, in another run than the one that was watched.
    AnotherRun {
        reason: String,
        now: Box<Well>,
    },
    NotWell(String),
}

impl NotStable {
    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::AnotherRun { reason, .. } | Self::NotWell(reason) => reason,
        }
    }
}

enum NotWell {
    /// It is down: waiting longer is no use.
    Down(String),
    /// It is up, and something is still missing.
    NotYet(String),
    /// It is up, and without ports that it never had so far.
    Without(Vec<Port>),
}

impl NotWell {
    fn into_reason(self) -> String {
        match self {
            Self::Down(reason) | Self::NotYet(reason) => reason,
            Self::Without(ports) => Self::without(&ports),
        }
    }

    fn without(ports: &[Port]) -> String {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        format!("{} is held by nobody", ports.join(", "))
    }
}

/// Whether a question did not even reach the service.
fn was_not_asked(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Denied
            | FailureKind::NotFound
            | FailureKind::Invalid
            | FailureKind::Unavailable
    )
}

fn is_finished_oneshot(status: &UnitStatus) -> bool {
    status.is_oneshot() && status.is_up() && status.main_pid.is_none()
}
