//! Whether a run was ended by an operator's stop, or failed.
//!
//! A unit's properties alone cannot tell; a stop *job* can. Two things speak of
//! one:
//!
//! 1. The order of moments. A stop job first takes the unit out of `active` and
//!    then ends the process; a crash is the other way round. This costs nothing
//!    and settles the common case: the process ended first, and the unit failed
//!    at once, so nobody stopped it.
//! 2. systemd's own journal entries (`_PID=1`): "Stopping …" with the run's
//!    invocation id is written only when a job runs. Where the process has ended
//!    already, while systemd waits to restart it (Restart=), there is only
//!    "Stopped …", with the type of the job.
//!
//! The order alone can mislead where systemd itself, or the program by
//! `STOPPING=1`, ends the run: so a stop is believed only with the journal's
//! word, and
//!
//! | the order says | the journal has | it was |
//! |---|---|---|
//! | process ended first, and the unit failed at once | not asked | no stop |
//! | process ended first, and the unit is inactive or took its time | the stop | a stop |
//! | process ended first, and the unit is inactive or took its time | anything else | no stop |
//! | unit left `active` first | the stop | a stop |
//! | unit left `active` first | the run, but no stop, even after a sync | no stop |
//! | unit left `active` first | nothing of the run, or cannot be read | a stop, by the order alone |
//! | nothing | the stop | a stop |
//! | nothing | anything else | no stop |
//!
//! In the last row but two there is no journal to speak of (`Storage=none`, a volatile
//! one that was rotated away): not fighting a person is the safer mistake.
//!
//! A unit that is failed is stopped without any trace. Once its failed state is
//! cleared, too, systemd calls its last run a success, and the journal has the
//! failure of that run as the last word of it ([`was_cleared`]).
//!
//! Not an operator's stop: the stop phase of a restart, and a stop that systemd
//! queued because a unit that this one requires had gone.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    capability::{ActiveState, Answer, UnitStatus},
};

use crate::{
    clock,
    journal::{Entry, Group, Journal, JournalQuery, by_systemd},
};

/// journald's varlink socket.
const JOURNALD: &str = "/run/systemd/journal/io.systemd.journal";
/// How long journald may take to write down what it has been sent.
const SYNC_LIMIT: Duration = Duration::from_secs(2);
/// What ends a run for good when its process has ended, ExecStopPost= say, takes at
/// least so long where an operator may have come in between.
const AT_ONCE: Duration = Duration::from_millis(100);
/// A required unit that went down no longer than this before is why this one
/// was stopped: systemd queues such a stop in the same moment.
const ALONG: Duration = Duration::from_secs(1);

/// SD_MESSAGE_UNIT_STARTING, _STARTED, _STOPPING, _STOPPED: the marks of jobs.
const JOB_MESSAGES: [&str; 4] = [
    "7d4958e842da4a758f6c1cdc7b36dcc5",
    "39f53479d3a045ac8e11786248231fbf",
    UNIT_STOPPING,
    UNIT_STOPPED,
];
const UNIT_STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
const UNIT_STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";
/// SD_MESSAGE_UNIT_FAILURE_RESULT: "Failed with result …".
const UNIT_FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";

/// What the moments in a unit's status say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The process ended before the unit left `active`, or systemd's Result
    /// names something else that ended it.
    Failed,
    /// The unit left `active` before its process ended.
    StoppedFirst,
    /// They say nothing of this run.
    Unknown,
}

/// Reads the order of moments.
pub(crate) fn order(status: &UnitStatus) -> Order {
    match status.result.as_str() {
        // These take the unit out of `active` before the process ends, too, and
        // no stop job has them.
        "watchdog" | "oom-kill" | "resources" | "protocol" | "start-limit-hit"
        | "exec-condition" | "dependency" => return Order::Failed,
        // `timeout` may be a start's, RuntimeMaxSec='s, or that of a stop.
        _ => {}
    }
    match (
        status.inactive_exit_monotonic,
        status.active_exit_monotonic,
        status.main_exit_monotonic,
    ) {
        // It never was active in this run: the moment is of an earlier one.
        (Some(began), Some(active_exit), _) if active_exit < began => Order::Unknown,
        (_, Some(active_exit), Some(main_exit)) if main_exit <= active_exit => Order::Failed,
        (_, Some(_), Some(_)) => Order::StoppedFirst,
        _ => Order::Unknown,
    }
}

/// The journal's word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// A stop job ended the run.
    Stop,
    /// A restart job did.
    Restart,
    /// It has other entries of the run.
    NoStop,
    /// It has no entry of the run.
    Nothing,
}

/// Evidence of an operator's stop, in one sentence.
pub(crate) fn stopped_by_operator(
    deadline: Instant,
    journal: &Journal,
    status: &UnitStatus,
    stopped_along: impl FnOnce() -> Answer<Option<UnitName>>,
) -> Answer<Option<String>> {
    let order = order(status);
    if order == Order::Failed && failed_at_once(status) {
        return Ok(None);
    }
    if matches!(
        status.active_state,
        ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing
    ) {
        return Ok(None);
    }
    let word = match &status.invocation {
        Some(invocation) => {
            let mut word = of_run(deadline, journal, status, invocation);
            // What crashed is failed; what is inactive may have been stopped just now.
            let may_be_stopped =
                order != Order::Unknown || status.active_state == ActiveState::Inactive;
            if may_be_stopped && !matches!(word, Ok(Word::Stop | Word::Restart)) {
                // systemd's messages may be on their way still.
                synchronize(deadline);
                word = of_run(deadline, journal, status, invocation);
            }
            word
        }
        // A unit that was stopped with success is unloaded at once and then
        // tells nothing of its run.
        None if status.active_state == ActiveState::Inactive => {
            of_last_job(deadline, journal, status)
        }
        None => Ok(Word::Nothing),
    };
    let sentence = match (word, order) {
        (Ok(Word::Stop), _) => "systemd ran a stop job for it (its own journal entry says so)",
        (Ok(Word::Restart | Word::NoStop), _) | (_, Order::Unknown | Order::Failed) => {
            return Ok(None);
        }
        (Ok(Word::Nothing) | Err(_), Order::StoppedFirst) => {
            "it left `active` before its process ended, as a stop has it; the journal could not confirm it"
        }
    };
    if stopped_along()?.is_some() {
        return Ok(None);
    }
    Ok(Some(sentence.to_owned()))
}

/// Whether a run whose process ended first left nobody the time to stop the unit.
fn failed_at_once(status: &UnitStatus) -> bool {
    status.active_state == ActiveState::Failed
        && status
            .main_exit_monotonic
            .zip(status.inactive_enter_monotonic)
            .is_none_or(|(exit, down)| down.since(exit) < AT_ONCE)
}

/// Whether the failed state of a unit's last run was cleared (`systemctl
/// reset-failed`): systemd calls that run a success now, and has written before that
/// it failed. Nothing was done to the unit since.
pub(crate) fn was_cleared(
    deadline: Instant,
    journal: &Journal,
    status: &UnitStatus,
) -> Answer<bool> {
    if status.active_state != ActiveState::Inactive
        || status.result != "success"
        || status.job.is_some()
    {
        return Ok(false);
    }
    let messages = JOB_MESSAGES.into_iter().chain([UNIT_FAILED]);
    let groups = messages.map(|message| {
        let mut group = by_systemd(&status.name);
        group.push(("MESSAGE_ID", message.to_owned()));
        if let Some(invocation) = &status.invocation {
            group.push(("INVOCATION_ID", invocation.clone()));
        }
        group
    });
    let last = ask(deadline, journal, groups.collect())?;
    // Of all these, only the failure comes without a job.
    Ok(last.is_some_and(|entry| entry.job_type.is_none()))
}

/// The last run of a unit that is inactive, with success as systemd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    /// Its invocation id.
    pub invocation: String,
    /// When systemd last wrote of it.
    pub ended_monotonic: Monotonic,
}

/// The last run of an inactive unit, if it was in this boot and the last job was
/// a start: then the run has ended, and nobody asked for that. None without the
/// journal's word.
pub(crate) fn ended_by_itself(
    deadline: Instant,
    journal: &Journal,
    status: &UnitStatus,
    boot_id: &str,
) -> Answer<Option<EndedRun>> {
    let boot_id = boot_id.replace('-', "");
    let of_this_boot = |field: &'static str, value: &str| -> Group {
        let mut group = by_systemd(&status.name);
        group.push(("_BOOT_ID", boot_id.clone()));
        group.push((field, value.to_owned()));
        group
    };
    // Of a stop of just now, systemd's messages may be on their way still.
    synchronize(deadline);
    let jobs = JOB_MESSAGES.map(|message| of_this_boot("MESSAGE_ID", message));
    let Some(job) = ask(deadline, journal, jobs.to_vec())? else {
        return Ok(None);
    };
    let (Some("start"), Some(invocation)) = (job.job_type.as_deref(), job.invocation) else {
        return Ok(None);
    };
    let last = ask(
        deadline,
        journal,
        vec![of_this_boot("INVOCATION_ID", &invocation)],
    )?;
    let at = last.map_or(job.at, |last| last.at);
    let ago = clock::now().since(Timestamp::from_micros(at));
    Ok(Some(EndedRun {
        invocation,
        ended_monotonic: clock::monotonic().saturating_sub(ago),
    }))
}

/// Whether a required unit with this status went down just before this one.
pub(crate) fn went_down_before(required: &UnitStatus, status: &UnitStatus) -> bool {
    // One whose process had ended was stopped when it was about to be restarted.
    let stopped = match order(status) {
        Order::Failed => status.inactive_enter_monotonic,
        Order::StoppedFirst | Order::Unknown => status.active_exit_monotonic,
    };
    let (Some(down), Some(left)) = (required.inactive_enter_monotonic, stopped) else {
        return false;
    };
    required.active_state == ActiveState::Failed && down <= left && left.since(down) <= ALONG
}

fn of_run(
    deadline: Instant,
    journal: &Journal,
    status: &UnitStatus,
    invocation: &str,
) -> Answer<Word> {
    let with = |field: &'static str, value: &str| -> Group {
        let mut group = by_systemd(&status.name);
        group.push(("INVOCATION_ID", invocation.to_owned()));
        if !field.is_empty() {
            group.push((field, value.to_owned()));
        }
        group
    };
    let stopping = with("MESSAGE_ID", UNIT_STOPPING);
    if let Some(stop) = ask(deadline, journal, vec![stopping])? {
        // Of a restart job, too, this message says `stop`; the one that the
        // stop is done says `restart`.
        let restart = with("JOB_TYPE", "restart");
        let restarts = stop.job_type.as_deref() == Some("restart")
            || ask(deadline, journal, vec![restart])?.is_some();
        return Ok(if restarts { Word::Restart } else { Word::Stop });
    }
    // While systemd waits to restart it there is nothing to end any more.
    let stopped = with("MESSAGE_ID", UNIT_STOPPED);
    if let Some(stopped) = ask(deadline, journal, vec![stopped])? {
        match stopped.job_type.as_deref() {
            Some("stop") => return Ok(Word::Stop),
            Some("restart") => return Ok(Word::Restart),
            _ => {}
        }
    }
    let any = ask(deadline, journal, vec![with("", "")])?;
    Ok(if any.is_some() {
        Word::NoStop
    } else {
        Word::Nothing
    })
}

fn of_last_job(deadline: Instant, journal: &Journal, status: &UnitStatus) -> Answer<Word> {
    let groups = JOB_MESSAGES
        .iter()
        .map(|message| {
            let mut group = by_systemd(&status.name);
            group.push(("MESSAGE_ID", (*message).to_owned()));
            group
        })
        .collect();
    Ok(match ask(deadline, journal, groups)? {
        None => Word::Nothing,
        Some(entry) => match entry.job_type.as_deref() {
            Some("stop") => Word::Stop,
            Some("restart") => Word::Restart,
            _ => Word::NoStop,
        },
    })
}

/// The newest entry of any of these groups.
fn ask(deadline: Instant, journal: &Journal, any_of: Vec<Group>) -> Answer<Option<Entry>> {
    let question = JournalQuery {
        any_of,
        newest: 1,
        namespaces: false,
    };
    Ok(journal.ask(deadline, &question)?.into_iter().next())
}

/// Has journald write down all it has been sent. What goes wrong here shows in
/// what the journal then has.
pub(crate) fn synchronize(deadline: Instant) {
    let limit = deadline
        .saturating_duration_since(Instant::now())
        .min(SYNC_LIMIT);
    if limit.is_zero() {
        return;
    }
    let synced = || -> std::io::Result<()> {
        let mut socket = UnixStream::connect(JOURNALD)?;
        socket.set_read_timeout(Some(limit))?;
        socket.set_write_timeout(Some(limit))?;
        socket.write_all(b"{\"method\":\"io.systemd.Journal.Synchronize\",\"parameters\":{}}\0")?;
        // One reply, ended by a zero byte; what it says does not matter.
        let mut byte = [1u8];
        while byte != [0] && socket.read(&mut byte)? == 1 {}
        Ok(())
    };
    if let Err(error) = synced() {
        tracing::debug!(%error, "journald did not synchronize");
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::status::{self, Bag};

    fn failed(result: &str) -> UnitStatus {
        let mut status = status::status(
            UnitName::new("web.service").unwrap(),
            &Bag(std::collections::HashMap::default()),
        );
        status.active_state = ActiveState::Failed;
        status.result = result.to_owned();
        status
    }

    #[rstest]
    #[case::killed("signal", Some(1), Some(90), Some(80), Order::Failed)]
    #[case::stopped_and_exits_badly("exit-code", Some(1), Some(80), Some(90), Order::StoppedFirst)]
    #[case::stop_took_too_long("timeout", Some(1), Some(80), Some(90), Order::StoppedFirst)]
    #[case::watchdog("watchdog", Some(1), Some(80), Some(90), Order::Failed)]
    #[case::memory("oom-kill", Some(1), Some(80), Some(90), Order::Failed)]
    #[case::crash_on_start("exit-code", Some(85), Some(80), Some(90), Order::Unknown)]
    #[case::never_active("exit-code", Some(85), None, Some(90), Order::Unknown)]
    #[case::no_main_process("exit-code", Some(1), Some(80), None, Order::Unknown)]
    fn order_of_events(
        #[case] result: &str,
        #[case] began: Option<u64>,
        #[case] active_exit: Option<u64>,
        #[case] main_exit: Option<u64>,
        #[case] says: Order,
    ) {
        let mut status = failed(result);
        status.inactive_exit_monotonic = began.map(Monotonic::from_micros);
        status.active_exit_monotonic = active_exit.map(Monotonic::from_micros);
        status.main_exit_monotonic = main_exit.map(Monotonic::from_micros);
        assert_eq!(order(&status), says);
    }

    #[rstest]
    #[case::failed_at_once(ActiveState::Failed, 90, Some(95), true)]
    #[case::failed_after_its_exec_stop_post(ActiveState::Failed, 90, Some(2_000_090), false)]
    #[case::failed_at_an_unknown_moment(ActiveState::Failed, 90, None, true)]
    #[case::stopped_before_its_restart(ActiveState::Inactive, 90, Some(95), false)]
    fn a_process_that_ended_first_leaves_time_for_a_stop(
        #[case] state: ActiveState,
        #[case] main_exit: u64,
        #[case] down: Option<u64>,
        #[case] at_once: bool,
    ) {
        let mut status = failed("exit-code");
        status.active_state = state;
        status.main_exit_monotonic = Some(Monotonic::from_micros(main_exit));
        status.inactive_enter_monotonic = down.map(Monotonic::from_micros);
        assert_eq!(failed_at_once(&status), at_once);
    }

    /// It was stopped long after it crashed, while systemd was about to restart it.
    #[test]
    fn a_unit_that_waited_for_its_restart_went_down_along_with_what_it_requires() {
        let mut required = failed("signal");
        required.inactive_enter_monotonic = Some(Monotonic::from_micros(8_000_000));
        let mut status = failed("exit-code");
        status.active_state = ActiveState::Inactive;
        status.main_exit_monotonic = Some(Monotonic::from_micros(1_000));
        status.active_exit_monotonic = Some(Monotonic::from_micros(1_100));
        status.inactive_enter_monotonic = Some(Monotonic::from_micros(8_000_100));
        assert!(went_down_before(&required, &status));
    }

    #[rstest]
    #[case::at_once(ActiveState::Failed, 1_000, 1_100, true)]
    #[case::long_ago(ActiveState::Failed, 1_000, 9_000_000, false)]
    #[case::after(ActiveState::Failed, 2_000, 1_000, false)]
    #[case::stopped_too(ActiveState::Inactive, 1_000, 1_100, false)]
    fn a_unit_that_went_down_along_with_what_it_requires(
        #[case] state: ActiveState,
        #[case] down: u64,
        #[case] left: u64,
        #[case] along: bool,
    ) {
        let mut required = failed("signal");
        required.active_state = state;
        required.inactive_enter_monotonic = Some(Monotonic::from_micros(down));
        let mut status = failed("exit-code");
        status.active_exit_monotonic = Some(Monotonic::from_micros(left));
        assert_eq!(went_down_before(&required, &status), along);
    }
}
