//! Deciding whether to act at all: everything for which a failed service is
//! rightly left alone, looked at in one place and in one order.

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, FailureKind, UnitName,
    capability::{ActiveState, Answer, Goal, Host, UnitStatus, units},
    cause::Cause,
    incident::{DetectedBy, Incident, LeftAlone},
    service::{RunPolicy, Service, StartLimit},
    trail::Awaited,
};

use crate::{
    circuits::OpenCircuit,
    clock::wall_clock,
    failover_groups::{Another, another},
    healer::{Current, Healer},
    obstacles::failure_action,
    snapshot::{Age, Snapshot},
    start_rules::against_a_start,
};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing stands in the way of healing.
    Go(Box<UnitStatus>),
    /// It is up: what is left is to prove it.
    Up(Box<UnitStatus>),
    /// systemd restarts it again and again, and it neither stays up nor fails for
    /// good.
    RestartLoop(Box<UnitStatus>),
    /// Left alone for good.
    Leave(LeftAlone, String),
    /// Left alone for the moment; look again after a while.
    LookAgain(LeftAlone, String, Duration),
    /// Cut off: the host goes down, or the bus was lost. It goes on afterwards.
    CutOff(String),
    /// Nothing could be decided.
    Unknown(String),
}

/// How long somebody else's job, or systemd's own transition, is waited for
/// before the incident is put aside. TimeoutStartSec= and TimeoutStopSec= are
/// 90 s by default, so most jobs have ended by then one way or the other.
pub(crate) const SETTLE: Duration = Duration::from_secs(100);

/// So long before people are told, the evidence is read for them: on a busy host that takes
/// seconds.
const READING: Duration = Duration::from_secs(5);

/// How long a unit that systemd restarts again and again is watched: within
/// systemd's usual StartLimitIntervalSec= it fails for good if it ever does, and
/// one that has stayed up for so long is no longer in a loop.
const LOOP_SETTLES: Duration = Duration::from_secs(10);

/// When to look again at what stands in the way and gives no signal when it
/// ends: a package manager's lock, the kill switch.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// When to look again at what a mistake in the configuration keeps from being healed:
/// a reload that mends it looks at once.
const MISCONFIGURED: Duration = Duration::from_secs(10 * 60);

/// When to look again whether what is masked still is.
const MASKED: Duration = Duration::from_secs(30);

/// systemd's state while it stops everything.
const STOPPING: &str = "stopping";

/// The same in words, for people.
pub(crate) const SHUTDOWN: &str = "systemd is stopping everything";

/// How long one look at the host may take.
const LOOK: Duration = Duration::from_secs(10);

/// What is known before the first look.
#[derive(Default)]
pub(crate) struct Known<'a> {
    /// Whether Prunella itself has cleared the unit's failed state and has not
    /// started it since: then being inactive is no success.
    pub(crate) cleared: bool,
    /// Whether a person has ordered that it is healed now.
    pub(crate) ordered: bool,
    /// Whether systemd was seen to restart it again and again.
    pub(crate) restart_loop: bool,
    /// Whether it was looked at before: then it is not the shutdown that it failed in.
    pub(crate) goes_on: bool,
    /// The service's circuit, where that is open: then Prunella has put it down.
    pub(crate) circuit: Option<&'a OpenCircuit>,
    /// What was seen of the unit: spares a look at it while that is fresh, and is
    /// told what the decision is made by.
    pub(crate) snapshot: Option<&'a Snapshot>,
}

/// What happens while it is being decided.
pub(crate) enum Waiting<'a> {
    /// It is waited for this, for so long at most.
    Begins(Awaited, &'a str, Duration),
    /// systemd still restarts the unit, and people are about to hear that it is down: what
    /// its runs since have said is there to be read.
    StillRestarting,
}

/// Decides. `host` is the real host: what it shows is the truth, in a dry run
/// too. `waiting` is told what is waited for.
pub(crate) fn decide(
    healer: &Healer,
    current: &Current,
    service: &Service,
    incident: &Incident,
    known: Known<'_>,
    host: &Host,
    mut waiting: impl FnMut(Waiting<'_>),
) -> Decision {
    let unit = &service.unit;
    let situation = &healer.settings.situation;
    let deadline = || Instant::now() + LOOK;

    let asked_for = known.ordered || incident.detection.by == DetectedBy::Operator;
    // Whoever asks about a unit that is up is told what holds healings back. Nothing
    // waits for that to end. One that had failed is looked at again when that is over.
    let had_failed = incident.detection.failed_monotonic.is_some();
    let hold = |why, detail, after| {
        let is_up = || {
            host.unit(deadline(), unit)
                .is_ok_and(|status| status.is_up())
        };
        if asked_for && !had_failed && is_up() {
            Decision::Leave(why, detail)
        } else {
            Decision::LookAgain(why, detail, after)
        }
    };

    // What people said comes first: of one that is paused they know.
    if let Some((detail, left)) = paused(healer, service) {
        return hold(LeftAlone::Paused, detail, left);
    }
    if healer.settings.kill_switch.exists() {
        return hold(
            LeftAlone::KillSwitch,
            format!("{} exists", healer.settings.kill_switch.display()),
            LOOK_AGAIN,
        );
    }
    // Of one that serves worse than it should people are told, and no act is allowed on it.
    if current.protected.covers(unit) && !incident.detection.is_degradation() {
        return Decision::Leave(
            LeftAlone::Protected,
            "protected units are reported, never acted on".to_owned(),
        );
    }

    let note = |status: &UnitStatus| {
        if let Some(snapshot) = known.snapshot {
            snapshot.renew(status);
        }
    };
    let seen = known
        .snapshot
        .and_then(|snapshot| snapshot.get(unit, Age::Decision));
    let mut status = match seen {
        Some(status) => status,
        None => match host.unit(deadline(), unit) {
            Ok(status) => {
                note(&status);
                status
            }
            Err(failure) => {
                return unknown(&failure, format!("{unit} cannot be looked at: {failure}"));
            }
        },
    };
    match situation.system_state(deadline()).as_deref() {
        Ok(STOPPING) if known.goes_on => return Decision::CutOff(SHUTDOWN.to_owned()),
        Ok(STOPPING) => return Decision::Leave(LeftAlone::Shutdown, SHUTDOWN.to_owned()),
        Ok(_) => {}
        Err(failure) => {
            return unknown(
                failure,
                format!("systemd's state cannot be read: {failure}"),
            );
        }
    }

    let store = healer.settings.store.as_deref();
    match another(store, &current.config, host, &status) {
        Ok(None) => {}
        Ok(Some(Another::Serves(detail))) => {
            return Decision::Leave(LeftAlone::FailedOver, detail);
        }
        // Whatever is done to one of them, the other does harm.
        Ok(Some(Another::Split(reason))) => return Decision::Unknown(reason),
        Err(failure) => {
            return unknown(
                &failure,
                format!("whether another unit of its failover group runs is not known: {failure}"),
            );
        }
    }

    // Somebody's job, or systemd on its own way: never in its way.
    let mut has_waited = false;
    if known.restart_loop {
        has_waited = true;
        if status.is_up() || !status.is_settled() {
            if told_in(current, service, incident).is_some() {
                waiting(Waiting::StillRestarting);
            }
            let what = format!(
                "the end of systemd's restarts (Restart={})",
                status.restart_policy
            );
            waiting(Waiting::Begins(
                Awaited::SystemdRestart,
                &what,
                LOOP_SETTLES.saturating_mul(2),
            ));
        }
        match end_of_restarts(host, &status) {
            Ok(Some(settled)) => {
                note(&settled);
                status = settled;
            }
            Ok(None) => return Decision::RestartLoop(Box::new(status)),
            Err(failure) => {
                return unknown(&failure, format!("{unit} cannot be watched: {failure}"));
            }
        }
    }
    if !status.is_settled() {
        let (on, why, what) = match &status.job {
            _ if status.is_auto_restarting() => (
                Awaited::SystemdRestart,
                LeftAlone::SystemdRestarts,
                format!("systemd's own restart (Restart={})", status.restart_policy),
            ),
            Some(job) => (
                Awaited::Unit,
                LeftAlone::JobPending,
                format!("systemd's {} job", job.kind),
            ),
            None => (
                Awaited::Unit,
                LeftAlone::JobPending,
                format!("{unit} to leave `{}`", status.active_state.as_str()),
            ),
        };
        let wait_for = |timeout| {
            let wait = units::Wait {
                unit: unit.clone(),
                goal: Goal::Settled,
                timeout,
            };
            host.ask(Instant::now() + timeout, wait)
        };
        let told_in = (on == Awaited::SystemdRestart)
            .then(|| told_in(current, service, incident))
            .flatten();
        waiting(Waiting::Begins(on, &what, SETTLE));
        has_waited = true;
        let settled = match told_in {
            None => wait_for(SETTLE),
            Some(first) => match wait_for(first) {
                Err(failure) if failure.kind == FailureKind::TimedOut => {
                    waiting(Waiting::StillRestarting);
                    let left = SETTLE.saturating_sub(first);
                    waiting(Waiting::Begins(on, &what, left));
                    wait_for(left)
                }
                other => other,
            },
        };
        match settled {
            Ok(settled) => {
                note(&settled);
                status = settled;
            }
            Err(failure) if is_cut_off(&failure) => return Decision::CutOff(failure.message),
            Err(failure) => {
                return Decision::LookAgain(why, format!("{what} goes on: {failure}"), LOOK_AGAIN);
            }
        }
    }
    // What it came to while the host went down says nothing of the failure.
    if has_waited && is_going_down(healer) {
        return Decision::CutOff(SHUTDOWN.to_owned());
    }

    match status.load_state.as_str() {
        "loaded" => {}
        "masked" if status.is_up() => return Decision::Leave(LeftAlone::Masked, String::new()),
        "masked" => return Decision::LookAgain(LeftAlone::Masked, String::new(), MASKED),
        other => {
            return Decision::Unknown(format!("systemd could not load {unit}: it is `{other}`"));
        }
    }
    // It may well be slow for that.
    if incident.detection.is_degradation()
        && let Some(holder) = situation.package_lock()
    {
        return Decision::LookAgain(LeftAlone::PackageUpgrade, holder, LOOK_AGAIN);
    }
    if status.is_up() && !incident.detection.asks_to_restart(&status) {
        return Decision::Up(Box::new(status));
    }
    if let Some(action) = failure_action(&status) {
        return Decision::Leave(LeftAlone::FailureAction, action);
    }
    if let Some(holder) = situation.package_lock() {
        return Decision::LookAgain(LeftAlone::PackageUpgrade, holder, LOOK_AGAIN);
    }

    let is_isolated = known.circuit.is_some_and(|open| open.holds(&status));
    if !asked_for && !service.heal_on_stop && !is_isolated {
        match situation.stopped_by_operator(deadline(), &status) {
            Ok(Some(evidence)) => return Decision::Leave(LeftAlone::OperatorStop, evidence),
            Ok(None) => {}
            Err(failure) => {
                return unknown(
                    &failure,
                    format!("it cannot be told whether an operator stopped {unit}: {failure}"),
                );
            }
        }
        // A dependency that was found dead may be merely inactive, and so may
        // a unit whose Requires= failed: both are failures of the service.
        let never_failed = incident.detection.by == DetectedBy::Dependency
            || incident.detection.cause == Cause::Dependency;
        // Whoever stops what is failed already, and clears that, wants it to stay down.
        if !known.cleared && !never_failed {
            match situation.was_cleared(deadline(), &status) {
                Ok(false) => {}
                Ok(true) => {
                    return Decision::Leave(
                        LeftAlone::OperatorStop,
                        "its failed state was cleared by hand (`systemctl reset-failed`), and it \
                         was not started"
                            .to_owned(),
                    );
                }
                Err(failure) => {
                    tracing::warn!("whether somebody cleared {unit} is not known: {failure}");
                }
            }
        }
        // So is the end of one that is meant to run.
        let failed_otherwise = known.cleared
            || (service.run_policy == RunPolicy::Always && status.should_have_gone_on())
            || never_failed;
        if status.active_state == ActiveState::Inactive
            && status.result == "success"
            && !failed_otherwise
        {
            return Decision::Leave(
                LeftAlone::Finished,
                "it is inactive, and its last run succeeded".to_owned(),
            );
        }
    }
    if let Some((why, detail)) = against_a_start(&status, &incident.detection) {
        return Decision::Leave(why, detail);
    }
    if service.start_limit == StartLimit::Respect {
        match situation.start_refused(deadline(), &status) {
            Ok(true) => {
                return Decision::Leave(
                    LeftAlone::StartLimit,
                    format!(
                        "another start was refused by systemd, which allows {} in {} s",
                        status.start_limit_burst,
                        status.start_limit_interval.as_secs()
                    ),
                );
            }
            Ok(false) => {}
            // systemd itself keeps to its limit, which nobody clears here.
            Err(failure) => {
                tracing::warn!("whether {unit} has hit its start limit is not known: {failure}");
            }
        }
    }
    match mistake(current, unit) {
        Some(mistake) => Decision::LookAgain(LeftAlone::Misconfigured, mistake, MISCONFIGURED),
        None => Decision::Go(Box::new(status)),
    }
}

/// Whether systemd is stopping everything.
pub(crate) fn is_going_down(healer: &Healer) -> bool {
    let state = healer
        .settings
        .situation
        .system_state_now(Instant::now() + LOOK);
    state.is_ok_and(|state| state == STOPPING)
}

/// Whether a question had no answer because the bus, or systemd, goes down.
fn is_cut_off(failure: &Failure) -> bool {
    failure.is("bus-lost") || failure.is("shutting-down")
}

/// What is decided when a question that matters had no answer.
fn unknown(failure: &Failure, reason: String) -> Decision {
    if is_cut_off(failure) {
        Decision::CutOff(reason)
    } else {
        Decision::Unknown(reason)
    }
}

/// In how long people are about to be told that the service is down, while that is still to
/// come.
pub(crate) fn told_in(
    current: &Current,
    service: &Service,
    incident: &Incident,
) -> Option<Duration> {
    let told = incident
        .detection
        .at
        .saturating_add(current.config.alerts.notify_after(Some(service)));
    let now = wall_clock();
    (told > now).then(|| told.since(now).saturating_sub(READING))
}

/// The mistake in the configuration that keeps a unit from being healed.
pub(crate) fn mistake(current: &Current, unit: &UnitName) -> Option<String> {
    current.config.mistake_of(unit).map(str::to_owned)
}

/// A unit that systemd has restarted again and again, once that has come to an end:
/// it failed for good, or it stays up. Nothing when it goes on.
fn end_of_restarts(host: &Host, seen: &UnitStatus) -> Answer<Option<UnitStatus>> {
    let watch = |seen: &UnitStatus| {
        let wait = units::Wait {
            unit: seen.name.clone(),
            goal: Goal::Down,
            timeout: LOOP_SETTLES,
        };
        match host.ask(Instant::now() + LOOP_SETTLES, wait) {
            Ok(down) => Ok((down, true)),
            Err(failure) if failure.kind == FailureKind::TimedOut => {
                let now = host.unit(Instant::now() + LOOK, &seen.name)?;
                let stayed_up = now.is_up() && now.restarts == seen.restarts;
                Ok((now, stayed_up))
            }
            Err(failure) => Err(failure),
        }
    };
    let (mut now, mut has_ended) = watch(seen)?;
    // The one restart that systemd was about to make may have been the last: what kept it
    // down is gone, and it has only not been up for long enough.
    if !has_ended && now.is_up() && now.restarts == seen.restarts.saturating_add(1) {
        (now, has_ended) = watch(&now)?;
    }
    Ok(has_ended.then_some(now))
}

/// What pauses the service, and for how long it may still do so.
fn paused(healer: &Healer, service: &Service) -> Option<(String, Duration)> {
    let store = healer.settings.store.as_ref()?;
    let pauses = match store.pauses() {
        Ok(pauses) => pauses,
        Err(error) => {
            // The store has told of its trouble itself, once.
            if !error.is_trouble() {
                tracing::error!("the pauses cannot be read, so none is known: {error}");
            }
            return None;
        }
    };
    let now = wall_clock();
    let pause = pauses.into_iter().find(|pause| {
        pause.until.is_none_or(|until| until > now)
            && pause.unit.as_ref().is_none_or(|unit| *unit == service.unit)
    })?;
    // The daemon is told when a pause is ended early; a pause without an end is
    // looked at now and then all the same.
    let left = pause.until.map_or(LOOK_AGAIN, |until| until.since(now));
    Some((
        format!("paused by {}: {}", pause.by, pause.reason),
        left.max(Duration::from_secs(1)),
    ))
}
