//! Sentences for what systemd and the trail say in single words.

use std::time::Duration;

use jiff::tz::TimeZone;

use prunella_core::{
    Timestamp, UnitName,
    cause::Cause,
    incident::{Detection, Ending},
    remedy::{Plan, Receipt},
};

/// The longest piece of somebody else's text in a report.
const QUOTED_MAX: usize = 400;

/// Somebody else's text made fit to be shown: no secrets, one line, not long.
pub(super) fn clean(text: &str) -> String {
    prunella_core::text::one_line(&prunella_core::text::redact(text), QUOTED_MAX)
}

/// The same without what log lines begin with: dates and times of day, the level, and the
/// number of the process. A headline has no room for them, and its own time.
pub(super) fn bare(text: &str) -> String {
    const LEVELS: [&str; 10] = [
        "[emerg]",
        "[alert]",
        "[crit]",
        "[error]",
        "[err]",
        "[warn]",
        "[warning]",
        "[notice]",
        "[info]",
        "[debug]",
    ];
    let is_time = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let separators = word.bytes().filter(|b| b"-/:".contains(b)).count();
        digits >= 6
            && separators >= 2
            && word
                .bytes()
                .all(|b| b.is_ascii_digit() || b"-/:.,TZ+[]".contains(&b))
    };
    // `PID#THREAD:`, as nginx writes them.
    let is_process = |word: &str| {
        let numbers = word.strip_suffix(':').and_then(|word| word.split_once('#'));
        numbers.is_some_and(|(pid, thread)| {
            [pid, thread]
                .iter()
                .all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !is_time(word) && !LEVELS.contains(word) && !is_process(word))
        .collect();
    clean(&words.join(" "))
}

/// What a check says about a file, with the place first: `check `config` fails:
/// /etc/nginx/nginx.conf:8: unknown directive "x"`. What follows the line with the place adds
/// nothing to it. Any other text stays as it is.
pub(super) fn place_first(text: &str) -> String {
    let (check, said) = match text.split_once(FAILS) {
        Some((check, said)) if check.starts_with("check `") => (Some(check), said),
        _ => (None, text),
    };
    let with_place = said.split(" | ").find_map(|line| {
        let (message, place) = line.rsplit_once(" in ")?;
        is_place(place).then(|| format!("{place}: {message}"))
    });
    match (with_place, check) {
        (Some(said), Some(check)) => format!("{check}{FAILS}{said}"),
        (Some(said), None) => said,
        (None, _) => text.to_owned(),
    }
}

/// The same for a headline: which check says so matters less than what and where.
pub(super) fn in_short(text: &str) -> String {
    let text = place_first(&bare(text));
    let said = text
        .split_once(FAILS)
        .filter(|(check, _)| check.starts_with("check `"))
        .map(|(_, said)| said);
    let begins_with_place = said.is_some_and(|said| {
        let first = said.split_whitespace().next().unwrap_or_default();
        first.strip_suffix(':').is_some_and(is_place)
    });
    match said.filter(|_| begins_with_place) {
        Some(said) => said.to_owned(),
        None => text,
    }
}

/// Between a check and what it says.
const FAILS: &str = " fails: ";

/// `/etc/nginx/nginx.conf:8`
fn is_place(text: &str) -> bool {
    let place = text.rsplit_once(':');
    place.is_some_and(|(path, line)| {
        path.starts_with('/')
            && !path.contains(char::is_whitespace)
            && !line.is_empty()
            && line.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Text in which commands stand, with `sudo` before those that only root may run, where that is
/// wanted.
pub(super) fn commands_as_root(text: String, sudo: bool) -> String {
    const COMMANDS: [&str; 14] = [
        "systemctl restart ",
        "systemctl start ",
        "systemctl stop ",
        "systemctl reset-failed ",
        "systemctl edit ",
        "systemctl unmask ",
        "systemctl daemon-reload",
        "journalctl -",
        "coredumpctl info ",
        "ss -",
        "prunella heal",
        "prunella reload",
        "prunella enable ",
        "prunella approve ",
    ];
    if !sudo {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(next) = rest.chars().next() {
        // Where a word begins, and no other command before it has it.
        let begins = !shown.ends_with(|c: char| c.is_alphanumeric() || "-_/.".contains(c));
        if begins
            && !shown.ends_with("sudo ")
            && COMMANDS.iter().any(|command| rest.starts_with(command))
        {
            shown.push_str("sudo ");
        }
        shown.push(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    shown
}

/// What was noticed, in a sentence without its full stop.
pub(super) fn cause(detection: &Detection) -> String {
    failure(
        &detection.cause,
        detection.exit_code,
        detection.signal.as_deref(),
    )
}

/// How a run ended, in a sentence without its full stop.
pub fn failure(cause: &Cause, exit_code: Option<i32>, signal: Option<&str>) -> String {
    match cause {
        Cause::ExitCode => match exit_code {
            // That alone is no failure.
            Some(0) => {
                "its main process exited with code 0, and a command of its unit failed after \
                        that"
                    .to_owned()
            }
            Some(code) => match meaning_of(code) {
                Some(meaning) => {
                    format!("its main process exited with code {code} ({meaning})")
                }
                None => format!("its main process exited with code {code}"),
            },
            None => match signal {
                // systemd keeps the result of a command that its unit runs afterwards.
                Some(signal) => format!(
                    "its main process was killed by {}, and a command of its unit failed after \
                     that",
                    signal_name(signal)
                ),
                None => "one of its processes exited with an error".to_owned(),
            },
        },
        Cause::Signal | Cause::CoreDump => {
            let signal = signal.map_or_else(|| "a signal".to_owned(), signal_name);
            let dumped = if *cause == Cause::CoreDump {
                " and dumped core"
            } else {
                ""
            };
            format!("its main process was killed by {signal}{dumped}")
        }
        Cause::Timeout => "its start or stop timed out".to_owned(),
        Cause::Watchdog => "it missed its systemd watchdog deadline".to_owned(),
        Cause::OomKill => "the kernel's OOM killer killed it".to_owned(),
        Cause::StartLimitHit => "it hit its start limit".to_owned(),
        Cause::Resources => "systemd could not prepare its start".to_owned(),
        Cause::Protocol => "it broke the protocol of its Type=".to_owned(),
        Cause::Dependency => "a unit it requires failed to start".to_owned(),
        Cause::RestartLoop => "systemd keeps restarting it".to_owned(),
        Cause::NotAnswering => "it runs but does not respond".to_owned(),
        Cause::Degraded => "it runs, and serves worse than it should".to_owned(),
        Cause::Stopped => "it was stopped".to_owned(),
        Cause::Ended => match (signal, exit_code) {
            (Some(signal), _) => format!(
                "it was killed by {}, and nobody asked systemd to stop it",
                signal_name(signal)
            ),
            (None, Some(code)) => {
                format!("it exited by itself with code {code}, and is meant to run")
            }
            (None, None) => "it exited by itself, and is meant to run".to_owned(),
        },
        Cause::RestartRequested => "a person wants it restarted".to_owned(),
        Cause::State(state) => format!("it is {}", state.as_str()),
        Cause::Other(word) => match word.as_str() {
            "exec-condition" => "its ExecCondition= failed".to_owned(),
            "success" => "it exited successfully".to_owned(),
            other => format!("systemd reports `{}`", clean(other)),
        },
    }
}

/// The same in a few words: `exit code 1`, `SIGKILL`.
pub fn short_failure(cause: &Cause, exit_code: Option<i32>, signal: Option<&str>) -> String {
    match (cause, exit_code, signal) {
        (Cause::ExitCode | Cause::Signal | Cause::CoreDump, _, Some(signal)) => signal_name(signal),
        (Cause::ExitCode, Some(code), None) => format!("exit code {code}"),
        (Cause::NotAnswering, ..) => "it does not respond".to_owned(),
        (Cause::Degraded, ..) => "it is degraded".to_owned(),
        _ => failure(cause, exit_code, signal),
    }
}

/// `SIGKILL`, of a signal's name with or without its `SIG`.
fn signal_name(signal: &str) -> String {
    format!("SIG{}", clean(signal.trim_start_matches("SIG")))
}

/// systemd's own exit codes (systemd.exec(5)) and the shell's.
fn meaning_of(code: i32) -> Option<&'static str> {
    Some(match code {
        126 => "the program cannot be executed",
        127 => "a program was not found",
        200 => "systemd could not change to its WorkingDirectory=",
        203 => "systemd could not execute the program",
        208 => "systemd could not set up its standard input",
        209 => "systemd could not set up its standard output",
        216 => "systemd could not change to its Group=",
        217 => "systemd could not change to its User=",
        218 => "systemd could not set its capabilities",
        226 => "systemd could not set up its mount namespace",
        233 => "systemd could not set up its RuntimeDirectory=",
        238 => "systemd could not set up its StateDirectory=",
        239 => "systemd could not set up its CacheDirectory=",
        240 => "systemd could not set up its LogsDirectory=",
        241 => "systemd could not set up its ConfigurationDirectory=",
        243 => "systemd could not set up its credentials",
        _ => return None,
    })
}

/// How it was noticed, from [`DetectedBy::as_str`](prunella_core::incident::DetectedBy::as_str).
pub(super) fn noticed(word: &str) -> String {
    match word {
        "signal" => "by the daemon (signal from systemd)".to_owned(),
        "hook" => "by the hook (OnFailure=)".to_owned(),
        "sweep" => "by the sweep of failed units".to_owned(),
        "probe" => "by an unanswered probe".to_owned(),
        "symptom" => "by what was measured".to_owned(),
        "dependency" => "by a service that depends on it".to_owned(),
        "operator" => "by an operator (prunella heal)".to_owned(),
        other => format!("by {}", clean(other)),
    }
}

/// An act on a target, in the infinitive: `start web.service`.
pub fn act(act: &str, target: &str) -> String {
    let target = clean(target);
    match act {
        "unit-control.start" => format!("start {target}"),
        "unit-control.restart" => format!("restart {target}"),
        "unit-control.stop" => format!("stop {target}"),
        "unit-control.reload" => format!("reload {target}"),
        "unit-control.reset-failed" => format!("clear the failed state of {target}"),
        "process-control.terminate" => {
            let process = target.strip_prefix("process ").unwrap_or(&target);
            format!("terminate process {process}")
        }
        "file-repair.mode" => format!("restore the mode of {target}"),
        "file-repair.owner" => format!("restore the owner of {target}"),
        "file-repair.target" => format!("restore the target of symlink {target}"),
        "checks.run" => format!("run check {target}"),
        "circuit.open" => format!("open the circuit {target}"),
        "circuit.half-open" => format!("try the service at its open circuit {target}"),
        "cleanup.run" => format!("clean up {target}"),
        "config-update.run" => format!("change the declared value of {target}"),
        "instances.up" => format!("start one more instance of `{target}`"),
        "instances.down" => format!("stop an instance of `{target}`"),
        "memory.reclaim" => format!("reclaim memory as `{target}` allows"),
        "offenders.throttle" => format!("throttle `{target}`"),
        "offenders.freeze" => format!("freeze `{target}`"),
        "offenders.thaw" => format!("thaw `{target}`"),
        "call.send" => format!("make the call {target}"),
        "release.roll-back" => format!("roll {target} back"),
        "signal.send" => format!("send the signal {target}"),
        "failover.switch" => format!("fail `{target}` over"),
        "mode.enter" => format!("enter mode {target}"),
        "file-restore.run" => format!("bring the content of {target} back"),
        "set-aside.run" => format!("move {target} aside"),
        "stale-file.remove" => format!("remove stale {target}"),
        "traffic.drain" => format!("drain {target}"),
        "traffic.maintain" => format!("put {target} into maintenance"),
        "traffic.restore" => format!("put {target} back into rotation"),
        "unit-limits.raise" => format!("raise the limits of `{target}`"),
        "unit-limits.lower" => format!("lower the limits of `{target}`"),
        "zombies.reap" => format!("have the zombies of `{target}` reaped"),
        other => format!("{} on {target}", clean(other)),
    }
}

/// What an act on a declared remedy would come to: `move /var/cache/web aside`.
fn planned(plan: &Plan) -> String {
    let summary = clean(&plan.summary);
    let amount = plan.amount.map(|amount| amount.to_string());
    let more: Vec<String> = amount
        .into_iter()
        .chain(plan.details.as_deref().map(clean))
        .collect();
    if more.is_empty() {
        return summary;
    }
    format!("{summary} ({})", more.join("; "))
}

/// An act in the infinitive: what its plan says, where it has one.
pub fn planned_act(name: &str, target: &str, plan: Option<&Plan>) -> String {
    plan.map_or_else(|| act(name, target), planned)
}

/// What it came to.
pub(super) fn came(receipt: &Receipt) -> String {
    let summary = clean(&receipt.summary);
    let came = match (&receipt.measured, &receipt.predicted) {
        (Some(measured), Some(predicted)) if measured != predicted => {
            format!("{summary} ({measured}; {predicted} planned)")
        }
        (Some(measured), _) => format!("{summary} ({measured})"),
        (None, _) => summary,
    };
    match &receipt.details {
        Some(details) => {
            let lines: Vec<String> = details.lines().map(clean).collect();
            format!("{came}: {}", lines.join(" | "))
        }
        None => came,
    }
}

/// A unit's name for a shell: systemd escapes with backslashes, and so does a
/// shell.
pub(super) fn shell(unit: &UnitName) -> String {
    if unit.as_str().contains('\\') {
        format!("'{unit}'")
    } else {
        unit.to_string()
    }
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    Some(at.to_jiff()?.to_zoned(zone.clone()))
}

/// `Sat 2026-11-21 15:23:01 CET`.
pub(super) fn local(at: Timestamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(
        || "at an unknown time".to_owned(),
        |at| at.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string(),
    )
}

/// `15:23`; empty, where that is not known.
pub(super) fn time_of_day(at: Timestamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(String::new, |at| at.strftime("%H:%M").to_string())
}

/// `2026-11-21 15:23:01`, as journalctl reads the host's own time.
pub(super) fn shell_time(at: Timestamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(
        || "today".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Time since the failure: to the millisecond while it is short.
pub(super) fn after(after: Duration) -> String {
    if after.as_secs() < 100 {
        format!("+{}.{:03} s", after.as_secs(), after.subsec_millis())
    } else {
        format!("+{}", length(after))
    }
}

/// How it ended, in a word or two.
pub(super) fn outcome(ending: &Ending, needs_people: bool) -> &'static str {
    match ending {
        Ending::Healed { .. } => "healed",
        Ending::Recovered { .. } => "recovered",
        _ if needs_people => "needs a person",
        Ending::LeftAlone { .. } => "left alone",
        Ending::Escalated { .. } => "needs a person",
        Ending::Blocked { .. } => "waiting",
        Ending::Interrupted { .. } => "interrupted",
        Ending::DryRun { .. } => "dry_run",
        Ending::Continued { .. } => "continued",
    }
}

/// `once`, `twice`, `3 times`.
pub(super) fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}

/// A length of time as people say it: `12 ms`, `1.2 s`, `2 min 5 s`, `3 h 10 min`.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{big} {unit}")
        } else {
            format!("{big} {unit} {small} {small_unit}")
        }
    };
    match seconds {
        0 if duration.as_millis() == 0 => format!("{} µs", duration.as_micros()),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => {
            let tenths = duration.subsec_millis() / 100;
            if tenths == 0 {
                format!("{seconds} s")
            } else {
                format!("{seconds}.{tenths} s")
            }
        }
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// `2 minutes ago`, `in 15 minutes`, `just now`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.since(now).max(now.since(at)).as_secs();
    let (number, unit) = match seconds {
        0 => return "just now".to_owned(),
        1..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    if at > now {
        format!("in {number} {unit}{plural}")
    } else {
        format!("{number} {unit}{plural} ago")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(300, "300 µs")]
    #[case(12_000, "12 ms")]
    #[case(1_250_000, "1.2 s")]
    #[case(5_000_000, "5 s")]
    #[case(125_000_000, "2 min 5 s")]
    #[case(3_600_000_000, "1 h")]
    #[case(11_400_000_000, "3 h 10 min")]
    #[case(90_000_000_000, "1 d 1 h")]
    fn lengths(#[case] microseconds: u64, #[case] expected: &str) {
        assert_eq!(length(Duration::from_micros(microseconds)), expected);
    }

    #[rstest]
    #[case(1_000, 1_500, "just now")]
    #[case(1_000, 2_000, "1 second ago")]
    #[case(0, 150_000, "2 minutes ago")]
    #[case(900_000, 0, "in 15 minutes")]
    #[case(0, 200_000_000, "2 days ago")]
    fn relatives(#[case] at: u64, #[case] now: u64, #[case] expected: &str) {
        assert_eq!(
            relative(Timestamp::from_millis(at), Timestamp::from_millis(now)),
            expected
        );
    }

    #[rstest]
    #[case("exit code 1: 2026/11/29 17:00:50 [emerg] 5#5: no", "exit code 1: no")]
    #[case("2026-11-29T17:00:50.123Z failed", "failed")]
    #[case("[2026-11-29 17:00:50] failed", "failed")]
    #[case("tcp/127.0.0.1:8080 is held", "tcp/127.0.0.1:8080 is held")]
    #[case("no route to 10.0.0.0/24", "no route to 10.0.0.0/24")]
    #[case("[error] it is #4: no", "it is #4: no")]
    fn a_headline_has_no_times_levels_and_processes(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(bare(text), expected);
    }

    const NGINX: &str = "check `config` fails: 2026/11/30 09:54:51 [emerg] 986#986: unknown \
        directive \"worker_connection\" in /etc/nginx/nginx.conf:8 | nginx: configuration file \
        /etc/nginx/nginx.conf test failed";

    #[test]
    fn the_place_of_a_mistake_comes_first() {
        assert_eq!(
            in_short(NGINX),
            "/etc/nginx/nginx.conf:8: unknown directive \"worker_connection\""
        );
        assert_eq!(
            place_first(&bare(NGINX)),
            "check `config` fails: /etc/nginx/nginx.conf:8: unknown directive \"worker_connection\""
        );
        // Without a place, or with one that stands first already.
        for text in [
            "check `config` fails: no such user | test failed",
            "the port is held in /etc:8 or so",
            "port-conflict: tcp/80 is held",
        ] {
            assert_eq!(in_short(text), text);
        }
        let first = "check `config` fails: /opt/web.conf:2: no `=`";
        assert_eq!(in_short(first), "/opt/web.conf:2: no `=`");
        assert_eq!(place_first(first), first);
    }

    #[rstest]
    #[case(
        "Mend it, and start it again: systemctl restart web.service",
        "Mend it, and start it again: sudo systemctl restart web.service"
    )]
    #[case(
        "see it (journalctl -k -g 'out of memory'; systemctl show -p MemoryMax x)",
        "see it (sudo journalctl -k -g 'out of memory'; systemctl show -p MemoryMax x)"
    )]
    #[case("run `prunella heal`", "run `sudo prunella heal`")]
    #[case("run `sudo prunella heal`", "run `sudo prunella heal`")]
    #[case("who did it (`systemctl kill`)", "who did it (`systemctl kill`)")]
    #[case("see /opt/ss -x or my-ss -l", "see /opt/ss -x or my-ss -l")]
    fn commands_in_a_text(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(commands_as_root(text.to_owned(), true), expected);
        assert_eq!(commands_as_root(text.to_owned(), false), text);
    }

    #[test]
    fn a_name_with_a_backslash_is_quoted() {
        let unit = UnitName::new("a\\x2db.service").unwrap();
        assert_eq!(shell(&unit), "'a\\x2db.service'");
    }
}
