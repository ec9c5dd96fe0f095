//! When there is no bus: the `systemctl` program, which as root talks to
//! systemd over a private socket.
//!
//! There are no signals here, so waiting looks again at growing intervals. That
//! is a makeshift for a host whose bus is down, and nothing else uses it.

use std::{
    collections::HashMap,
    io::Read,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{ActiveState, Answer, Goal, UnitAct, UnitStatus},
    remedy::SignalName,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    clock,
    job::{JOB_MODE, JobEnd, word},
    standing::{cannot_read, existing, not_there_yet, reached},
    status::{self, Facts},
};

/// Where the program may be. Never looked for by PATH.
const PROGRAMS: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
/// More output than this is not systemctl's.
const OUTPUT_MOST: u64 = 4 << 20;
/// The first and the longest interval of looking again.
const LOOK_FIRST: Duration = Duration::from_millis(20);
const LOOK_MOST: Duration = Duration::from_secs(1);

/// What the program wrote.
struct Output {
    success: bool,
    out: String,
    err: String,
}

/// Runs systemctl until `deadline` at the latest; then it is killed.
fn run(deadline: Instant, arguments: &[&str]) -> Answer<Output> {
    let program = PROGRAMS
        .iter()
        .find(|program| std::path::Path::new(program).exists())
        .ok_or_else(|| {
            Failure::unavailable(
                "bus-down",
                "the system bus cannot be reached, and there is no systemctl program",
            )
        })?;
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::unavailable("bus-down", format!("cannot run {program}: {error}"))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_PAGER", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(&error))?;
    let read = read_both(deadline, &mut child);
    if !matches!(read, Ok(Some(_))) {
        // It may have ended by itself just now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| cannot(&error))?;
    match read {
        Ok(Some((out, err))) => Ok(Output {
            success: status.success(),
            out,
            err,
        }),
        Ok(None) => Err(Failure::timed_out(
            "deadline",
            "systemctl did not answer in time",
        )),
        Err(error) => Err(cannot(&error)),
    }
}

/// Both outputs to their ends; none when the time was up first.
fn read_both(
    deadline: Instant,
    child: &mut Child,
) -> Result<Option<(String, String)>, std::io::Error> {
    let mut pipes: Vec<(std::fs::File, Vec<u8>, bool)> = [
        child.stdout.take().map(OwnedFd::from),
        child.stderr.take().map(OwnedFd::from),
    ]
    .into_iter()
    .flatten()
    .map(|fd| (std::fs::File::from(fd), Vec::new(), true))
    .collect();
    while pipes.iter().any(|(_, _, open)| *open) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut readable = Vec::new();
        {
            let mut polled: Vec<PollFd<'_>> = pipes
                .iter()
                .filter(|(_, _, open)| *open)
                .map(|(file, ..)| PollFd::new(file, PollFlags::IN))
                .collect();
            match poll(&mut polled, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            readable.extend(polled.iter().map(|fd| !fd.revents().is_empty()));
        }
        let open = pipes.iter_mut().filter(|(_, _, open)| *open);
        for ((file, content, open), readable) in open.zip(readable) {
            if !readable {
                continue;
            }
            let mut chunk = [0u8; 8192];
            let count = file.read(&mut chunk)?;
            content.extend(chunk.iter().take(count));
            *open = count > 0 && (content.len() as u64) < OUTPUT_MOST;
        }
    }
    let mut texts = pipes
        .into_iter()
        .map(|(_, content, _)| String::from_utf8_lossy(&content).into_owned());
    Ok(Some((
        texts.next().unwrap_or_default(),
        texts.next().unwrap_or_default(),
    )))
}

/// What it means that systemctl said no.
fn refusal(what: &str, err: &str) -> Failure {
    let said = prunella_core::text::one_line(err.trim(), 300);
    let message = format!("{what}: {said}");
    // With LC_ALL=C these are fixed texts of systemd's.
    let has = |text: &str| err.contains(text);
    if has("not found") || has("not loaded") {
        Failure::not_found("no-such-unit", message)
    } else if has("is masked") {
        Failure::denied("masked", message)
    } else if has("is destructive") || has("conflicting jobs") {
        Failure::denied("job-conflict", message)
    } else if has("may be requested by dependency only") {
        Failure::denied("only-by-dependency", message)
    } else if has("not applicable") {
        Failure::invalid("not-applicable", message)
    } else if has("Access denied") || has("authentication required") {
        Failure::unavailable("not-permitted", message)
    } else if has("Failed to connect") || has("Failed to get D-Bus connection") {
        Failure::unavailable("bus-down", message)
    } else {
        Failure::failed("systemctl", message)
    }
}

/// A unit's status; one that does not exist has the load state `not-found`.
pub(crate) fn show(deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
    let output = run(deadline, &["show", "--no-pager", "--", unit.as_str()])?;
    if !output.success {
        return Err(refusal(&cannot_read(unit), &output.err));
    }
    let shown = Shown::parse(&output.out);
    let name = shown
        .text("Id")
        .and_then(|id| UnitName::new(id).ok())
        .unwrap_or_else(|| unit.clone());
    let mut status = status::status(name, &shown);
    // systemctl prints moments of the day as text; the monotonic ones are
    // numbers.
    status.since = status.since_monotonic.map(|then| {
        let ago = clock::monotonic().since(then);
        clock::now().saturating_sub(ago)
    });
    if let Some(job) = &mut status.job {
        let jobs = run(deadline, &["list-jobs", "--no-legend", "--plain"])?;
        match job_kind(&jobs.out, job.id) {
            Some(kind) => job.kind = kind,
            None => status.job = None,
        }
    }
    Ok(status)
}

/// The type of the job with this number, of `systemctl list-jobs`.
fn job_kind(jobs: &str, id: u32) -> Option<String> {
    jobs.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let number: u32 = words.next()?.parse().ok()?;
        let kind = words.nth(1)?;
        (number == id).then(|| kind.to_owned())
    })
}

/// The units that are failed.
pub(crate) fn failed_units(deadline: Instant) -> Answer<Vec<UnitName>> {
    let output = run(
        deadline,
        &[
            "list-units",
            "--state=failed",
            "--all",
            "--no-legend",
            "--plain",
            "--no-pager",
            "--full",
        ],
    )?;
    if !output.success {
        return Err(refusal("cannot list the failed units", &output.err));
    }
    Ok(output
        .out
        .lines()
        .filter_map(|line| UnitName::new(line.split_whitespace().next()?).ok())
        .collect())
}

/// systemd's own state.
pub(crate) fn system_state(deadline: Instant) -> Answer<String> {
    // The exit code tells only whether it is `running`.
    let output = run(deadline, &["is-system-running"])?;
    let word = output.out.trim();
    if word.is_empty() || word == "offline" || word == "unknown" {
        return Err(refusal("cannot read systemd's state", &output.err));
    }
    Ok(word.to_owned())
}

/// Clears `failed` and the start limit's count.
pub(crate) fn reset_failed(deadline: Instant, unit: &UnitName) -> Answer<()> {
    let output = run(deadline, &["reset-failed", "--", unit.as_str()])?;
    if output.success {
        Ok(())
    } else {
        Err(refusal(&format!("cannot reset {unit}"), &output.err))
    }
}

/// Has systemd read all unit files again.
pub(crate) fn reload_all(deadline: Instant) -> Answer<()> {
    let output = run(deadline, &["daemon-reload"])?;
    if output.success {
        Ok(())
    } else {
        Err(refusal(
            "cannot have the unit files read again",
            &output.err,
        ))
    }
}

/// Sends a signal to a unit's main process.
pub(crate) fn signal_main(deadline: Instant, unit: &UnitName, signal: SignalName) -> Answer<()> {
    let signal = format!("--signal=SIG{}", signal.as_str());
    // Before systemd 252 it is `--kill-who`, which later ones take as well.
    let arguments = ["kill", "--kill-who=main", &signal, "--", unit.as_str()];
    let output = run(deadline, &arguments)?;
    if output.success {
        Ok(())
    } else {
        let what = format!("cannot send a signal to {unit}");
        Err(refusal(&what, &output.err))
    }
}

/// Waits until a unit is there.
pub(crate) fn wait(until: Instant, unit: &UnitName, goal: Goal) -> Answer<UnitStatus> {
    let mut interval = LOOK_FIRST;
    let mut last = None;
    loop {
        let status = match show(until, unit) {
            Ok(status) => status,
            Err(failure) if failure.is("deadline") => {
                return Err(not_there_yet(unit, goal, last.as_ref()));
            }
            Err(failure) => return Err(failure),
        };
        if last.is_none() && !status.exists() {
            return existing(status);
        }
        if let Some(end) = reached(goal, &status) {
            return end.map(|()| status);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(not_there_yet(unit, goal, Some(&status)));
        }
        last = Some(status);
        std::thread::sleep(interval.min(left));
        interval = (interval * 2).min(LOOK_MOST);
    }
}

/// Queues a job.
pub(crate) fn submit(deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<SystemctlJob> {
    let mode = format!("--job-mode={JOB_MODE}");
    let output = run(
        deadline,
        &["--no-block", &mode, word(act), "--", unit.as_str()],
    )?;
    if !output.success {
        return Err(refusal(
            &format!("cannot {} {unit}", word(act)),
            &output.err,
        ));
    }
    Ok(SystemctlJob {
        unit: unit.clone(),
        act,
    })
}

/// A job of which only the unit's state tells how it ended.
pub(crate) struct SystemctlJob {
    unit: UnitName,
    act: UnitAct,
}

impl JobEnd for SystemctlJob {
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String> {
        let until = Instant::now()
            .checked_add(timeout)
            .map_or(deadline, |end| end.min(deadline));
        let mut interval = LOOK_FIRST;
        loop {
            let status = show(until, &self.unit)?;
            if let Some(word) = job_end(self.act, &status) {
                return Ok(word.to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::timed_out(
                    "job",
                    format!(
                        "the {} job of {} has not ended yet",
                        word(self.act),
                        self.unit
                    ),
                ));
            }
            std::thread::sleep(interval.min(left));
            interval = (interval * 2).min(LOOK_MOST);
        }
    }
}

/// systemd's word for a job's end, as far as the unit's state tells it.
fn job_end(act: UnitAct, status: &UnitStatus) -> Option<&'static str> {
    if status.job.is_some() {
        return None;
    }
    let well = match act {
        UnitAct::Stop => matches!(
            status.active_state,
            ActiveState::Inactive | ActiveState::Failed
        ),
        UnitAct::Start | UnitAct::Restart | UnitAct::Reload => status.is_up(),
    };
    Some(if well { "done" } else { "failed" })
}

/// What `systemctl show` printed.
struct Shown(HashMap<String, String>);

impl Shown {
    fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }
}

impl Facts for Shown {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|text| !text.is_empty()).cloned()
    }

    fn number(&self, name: &str) -> Option<u64> {
        let text = self.0.get(name)?;
        if name.ends_with("USec") {
            time_span(text)
        } else {
            text.parse().ok()
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text == "yes")
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.0.get(name).map_or_else(Vec::new, |text| {
            text.split_whitespace().map(str::to_owned).collect()
        })
    }

    fn id(&self, name: &str) -> Option<String> {
        self.text(name)
            .filter(|id| id.len() == 32 && id.bytes().any(|byte| byte != b'0'))
    }

    fn job(&self) -> Option<u32> {
        self.number("Job")
            .and_then(|id| u32::try_from(id).ok())
            .filter(|id| *id != 0)
    }

    fn exit_statuses(&self, name: &str) -> (Vec<i32>, Vec<String>) {
        let words = self.list(name);
        (
            words.iter().filter_map(|word| word.parse().ok()).collect(),
            words
                .iter()
                .filter(|word| word.parse::<i32>().is_err())
                .map(|word| word.strip_prefix("SIG").unwrap_or(word).to_owned())
                .collect(),
        )
    }

    fn unmet(&self, _: &str) -> Vec<String> {
        // systemctl does not print them.
        Vec::new()
    }
}

/// systemd's way of printing a time span (`1min 30s`, `100ms`, `infinity`) in
/// microseconds.
fn time_span(text: &str) -> Option<u64> {
    if text == "infinity" {
        return Some(u64::MAX);
    }
    let mut sum = 0u64;
    for part in text.split_whitespace() {
        let digits = part
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(part.len());
        let (number, unit) = part.split_at_checked(digits)?;
        let unit: u64 = match unit {
            "" if part == "0" => 1,
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "min" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            "month" => 2_629_800_000_000,
            "y" => 31_557_600_000_000,
            _ => return None,
        };
        // At most six digits stand behind the point.
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let mut value = whole.parse::<u64>().ok()?.checked_mul(unit)?;
        if !part.is_empty() {
            let scale = 10u64.checked_pow(u32::try_from(part.len()).ok()?)?;
            value = value.checked_add(part.parse::<u64>().ok()?.checked_mul(unit)? / scale)?;
        }
        sum = sum.checked_add(value)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use prunella_core::Monotonic;

    use super::*;

    #[rstest]
    #[case::milliseconds("100ms", Some(100_000))]
    #[case::minutes("1min 30s", Some(90_000_000))]
    #[case::fraction("1.5s", Some(1_500_000))]
    #[case::zero("0", Some(0))]
    #[case::never("infinity", Some(u64::MAX))]
    #[case::weeks("1w 2d", Some(777_600_000_000))]
    #[case::nonsense("soon", None)]
    fn a_time_span(#[case] text: &str, #[case] micros: Option<u64>) {
        assert_eq!(time_span(text), micros);
    }

    #[test]
    fn parsing_systemctl_output() {
        let shown = Shown::parse(
            "Type=simple\nRestart=on-failure\nRestartUSec=100ms\nStartLimitIntervalUSec=10s\n\
             StartLimitBurst=5\nExecMainCode=1\nExecMainStatus=3\nMainPID=0\nId=web.service\n\
             Names=web.service www.service\nRequires=sysinit.target db.service\nJob=12\n\
             ActiveState=failed\nSubState=failed\nResult=exit-code\nLoadState=loaded\n\
             InvocationID=0123456789abcdef0123456789abcdef\nPrivateNetwork=yes\n\
             InactiveEnterTimestampMonotonic=77\nDescription=a=b\n",
        );
        let status = status::status(UnitName::new("web.service").unwrap(), &shown);
        assert_eq!(status.exit_code, Some(3));
        assert_eq!(status.restart_delay, Duration::from_millis(100));
        assert_eq!(status.start_limit_interval, Duration::from_secs(10));
        assert_eq!(status.names.len(), 2);
        assert_eq!(status.requires.len(), 2);
        assert_eq!(status.job.unwrap().id, 12);
        assert_eq!(status.description, "a=b");
        assert!(status.private_network);
        assert_eq!(
            status.inactive_enter_monotonic,
            Some(Monotonic::from_micros(77))
        );
    }

    #[test]
    fn the_type_of_a_job() {
        let jobs = "12 web.service start running\n13 db.service stop waiting\n";
        assert_eq!(job_kind(jobs, 13).as_deref(), Some("stop"));
        assert_eq!(job_kind(jobs, 14), None);
    }

    #[rstest]
    #[case::missing("Failed to start a.service: Unit a.service not found.", "no-such-unit")]
    #[case::masked("Failed to start a.service: Unit a.service is masked.", "masked")]
    #[case::destructive(
        "Failed to start a.service: Transaction for a.service/start is destructive (a.service has 'stop' job queued, but 'start' is included in transaction).",
        "job-conflict"
    )]
    #[case::other("Oops", "systemctl")]
    fn a_refusal_in_words(#[case] err: &str, #[case] code: &str) {
        assert!(refusal("cannot start a.service", err).is(code));
    }
}
