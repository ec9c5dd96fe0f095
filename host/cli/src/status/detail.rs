//! One service in detail.

use std::{fmt::Write as _, time::Duration};

use anstyle::Style;
use prunella_api::{BudgetStatus, PortStatus, ProbeStatus, ServiceDetail};
use prunella_core::{
    Timestamp,
    duration::written,
    remedy::{Applied, Undo},
    service::{RunPolicy, StartLimit},
    text::capital,
};

use prunella_report::{approve_command, shown_act};

use super::{
    services::{health_in_words, last_healed, mark, state, waits},
    severity::Severity,
};
use crate::{
    expect, incidents,
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET, STRONG, wrap},
    pause,
    time::{ago, clock, local, upcoming},
};

/// Where values begin.
const INDENT: usize = 15;

/// All of it for people, in at most `width` columns.
pub(super) fn render(detail: &ServiceDetail, width: usize) -> String {
    let mut page = Page {
        text: String::new(),
        width,
    };
    head(&mut page, detail);
    standing(&mut page, detail);
    declared(&mut page, detail);
    healing(&mut page, detail);
    if detail.incidents.is_empty() {
        page.text.push_str("\nNo incident so far.\n");
    } else {
        let _ = writeln!(page.text, "\n{STRONG}Latest incidents{STRONG:#}");
        let table = incidents::table(&detail.incidents, detail.at, output::table_width());
        page.text.push_str(&table);
    }
    page.text
}

/// Lines of a label and a value.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    /// A value, broken into lines below each other; none of an empty one.
    fn line(&mut self, label: &str, value: &str, style: Style) {
        let mut label = label;
        for line in wrap(value, self.width.saturating_sub(INDENT)) {
            let _ = writeln!(
                self.text,
                "{QUIET}{label:<INDENT$}{QUIET:#}{style}{line}{style:#}"
            );
            label = "";
        }
    }

    /// Several values, each on lines of its own.
    fn lines(&mut self, label: &str, values: impl IntoIterator<Item = (String, Style)>) {
        let mut label = label;
        for (value, style) in values {
            self.line(label, &value, style);
            label = "";
        }
    }
}

fn severity(detail: &ServiceDetail) -> Severity {
    Severity::of(&detail.service, detail.needs_people.is_some())
}

fn head(page: &mut Page, detail: &ServiceDetail) {
    let service = &detail.service;
    let (mark, style) = mark(severity(detail), service);
    let critical = if service.critical { ", critical" } else { "" };
    let domain = service
        .domain
        .as_ref()
        .map_or_else(String::new, |domain| format!(", {domain}"));
    let line = format!("{}{domain}{critical}", service.unit);
    for (number, line) in wrap(&line, page.width.saturating_sub(2))
        .into_iter()
        .enumerate()
    {
        let mark = if number == 0 { mark } else { " " };
        let _ = writeln!(page.text, "{style}{mark}{style:#} {STRONG}{line}{STRONG:#}");
    }
    page.line("", detail.description.as_deref().unwrap_or_default(), QUIET);
    page.text.push('\n');
}

/// How it stands now.
fn standing(page: &mut Page, detail: &ServiceDetail) {
    let service = &detail.service;
    let (_, style) = mark(severity(detail), service);
    let mut line = state(severity(detail), service);
    let failed = detail.failure.as_ref();
    // The latest try began later than the failure.
    if let Some(since) = failed.and_then(|failed| failed.since).or(service.since) {
        let _ = write!(line, " since {} ({})", local(since), ago(since, detail.at));
    }
    if let Some(pid) = detail.main_pid {
        let _ = write!(line, ", main process {pid}");
    }
    page.line("State", &line, style);
    if let Some(failed) = failed {
        page.line("Failure", &capital(&failed.how), BAD);
        if let Some(line) = &failed.last_line {
            page.line("Last log line", line, PLAIN);
        }
    }
    page.line("Says", detail.says.as_deref().unwrap_or_default(), PLAIN);
    page.line("Watchdog", &watchdog(detail), PLAIN);
    if let Some(needy) = &detail.needs_people {
        page.line("Needs people", &needy.reason, BAD);
        let see = format!("see prunella incidents {}", needy.incident);
        page.line("", &see, QUIET);
        if let Some(approval) = &needy.approval {
            let command = approve_command(approval, output::needs_sudo());
            page.line("", &format!("approve or deny: {command}"), QUIET);
        }
        if let Some(until) = detail.denied_until {
            let line = format!("a person's denial stands until {}", clock(until, detail.at));
            page.line("", &line, QUIET);
        }
        if let Some(at) = needy.retry_at.filter(|_| needy.approval.is_none()) {
            let order = if detail.denied {
                "`prunella heal` is refused as long as that denial stands and what it is about is \
                 there"
                    .to_owned()
            } else {
                format!("and at once by `prunella heal {}`", service.unit)
            };
            let tries = format!("tried again at {}, {order}", upcoming(at, detail.at));
            page.line("", &tries, QUIET);
        }
    }
    page.line(
        "Waits",
        &waits(service, detail.at).unwrap_or_default(),
        FAIR,
    );
    if let Some(health) = &service.health {
        page.line(
            "Health",
            &health_in_words(health, detail.at),
            crate::health::style(health.state),
        );
    }
    page.lines("Ports", service.ports.iter().map(port));
    page.lines("Probes", detail.probes.iter().map(probe));
}

/// Its watchdog, and its last sign of life; empty without a watchdog.
fn watchdog(detail: &ServiceDetail) -> String {
    let Some(watchdog) = &detail.watchdog else {
        return String::new();
    };
    let every = written(Duration::from_millis(watchdog.every_ms));
    match watchdog.alive_ms_ago {
        Some(past) => {
            let past = written(Duration::from_secs(past / 1_000));
            format!("a sign of life is due every {every}; the last one was {past} ago")
        }
        None => format!("a sign of life is due every {every}; there was none yet"),
    }
}

fn port(port: &PortStatus) -> (String, Style) {
    match (&port.stranger, port.held) {
        (Some(stranger), _) => (format!("{} is held by {stranger}", port.port), BAD),
        (None, Some(true)) => (port.port.to_string(), GOOD),
        (None, Some(false)) => (format!("{}: nobody listens", port.port), BAD),
        (None, None) => (format!("{}: who listens cannot be seen", port.port), PLAIN),
    }
}

fn probe(probe: &ProbeStatus) -> (String, Style) {
    let (said, style) = match probe.healthy {
        Some(true) => ("answered: ", GOOD),
        Some(false) => ("not answered: ", BAD),
        None => ("", PLAIN),
    };
    let of = probe
        .unit
        .as_ref()
        .map_or_else(String::new, |unit| format!(" of {unit}"));
    let asked = match probe.interval_ms {
        Some(every) => format!("asked every {}", written(Duration::from_millis(every))),
        None => "asked only after a healing".to_owned(),
    };
    let mut line = format!(
        "{} ({}{of}, {asked}) {said}{}",
        probe.name, probe.kind, probe.detail
    );
    if probe.never_answered && probe.healthy != Some(true) {
        line.push_str("; never answered yet, so it is not used");
    }
    (line, style)
}

/// What the operator declared, as far as it differs from nothing.
fn declared(page: &mut Page, detail: &ServiceDetail) {
    let declared = &detail.declared;
    page.text.push('\n');
    if let Some(file) = &declared.file {
        page.line("Declared in", &file.display().to_string(), PLAIN);
    }
    page.lines(
        "Files",
        declared
            .files
            .iter()
            .map(|(name, path)| (format!("{name}: {}", path.display()), PLAIN)),
    );
    page.line("Checks", &declared.checks.join(", "), PLAIN);
    let remedies: Vec<String> = declared
        .remedies
        .iter()
        .map(|(name, kind)| format!("{name} ({kind})"))
        .collect();
    page.line("Remedies", &remedies.join(", "), PLAIN);
    let units: Vec<&str> = declared
        .depends_on
        .iter()
        .map(|unit| unit.as_str())
        .collect();
    page.line("Depends on", &units.join(", "), PLAIN);
    let strategies: Vec<&str> = declared
        .strategies
        .iter()
        .map(|name| name.as_str())
        .collect();
    page.line("Strategies", &strategies.join(", "), PLAIN);
    let mut policy = Vec::new();
    if declared.run_policy == RunPolicy::Always {
        policy.push("meant to run: every end that nobody asked for is a failure");
    }
    if declared.heal_on_stop {
        policy.push("a stop by an operator is healed too");
    }
    if declared.start_limit == StartLimit::Respect {
        policy.push("a start limit that was hit is left to people");
    }
    page.line("Policy", &policy.join("; "), PLAIN);
}

/// Something that was done for it and that goes back, or can be undone.
fn applied(one: &Applied, now: Timestamp) -> (String, Style) {
    let done = shown_act(&one.act, &one.name);
    let until = one.until().map(|until| clock(until, now));
    let until = until.unwrap_or_default();
    if let Some(trouble) = &one.trouble {
        return (format!("{done}: cannot be undone: {trouble}"), BAD);
    }
    let undo = format!("prunella undo {}", one.incident);
    let line = if let Undo::CloseCircuit(opened) = &one.undo {
        format!(
            "{done} ({}× in a row); tried at {until}, `{undo}` closes it",
            opened.times
        )
    } else if one.is_lent() {
        format!("{done}, until {until} at the latest")
    } else {
        format!("{done}; until {until}, `{undo}` brings it back")
    };
    (line, PLAIN)
}

/// What was and what can be healed.
fn healing(page: &mut Page, detail: &ServiceDetail) {
    page.text.push('\n');
    let (line, style) = budget(&detail.budget, detail.at);
    page.line("Budget", &line, style);
    page.lines(
        "Done for it",
        detail.applied.iter().map(|one| applied(one, detail.at)),
    );
    page.line(
        "Last healed",
        &last_healed(&detail.service, detail.at),
        PLAIN,
    );
    for pause in &detail.pauses {
        page.line("Paused", &pause::in_words(pause, detail.at), FAIR);
        page.line("", &pause::resume_command(pause), QUIET);
    }
    if let Some(work) = &detail.expected_work {
        page.line("Expected", &expect::in_words(work, detail.at), FAIR);
        page.line("", &expect::end_command(work), QUIET);
    }
    if detail.obstacles.is_empty() {
        if detail.needs_people.is_none() && detail.service.waits.is_none() {
            page.line("Healing", &unobstructed(detail), GOOD);
        }
    } else {
        page.lines(
            "Not healed now",
            detail.obstacles.iter().map(|reason| (reason.clone(), FAIR)),
        );
    }
}

/// That nothing is known to stand in the way of healing. What its checks say shows only
/// when they are run, which a look at the status does not do.
fn unobstructed(detail: &ServiceDetail) -> String {
    let checks = &detail.declared.checks;
    match checks.as_slice() {
        [] => "nothing stands in its way".to_owned(),
        checks => format!(
            "nothing known stands in its way; the {} run first: {} (`prunella heal {} --dry-run` \
             runs {} now)",
            if checks.len() == 1 {
                "check is"
            } else {
                "checks are"
            },
            checks.join(", "),
            detail.service.unit,
            if checks.len() == 1 { "it" } else { "them" },
        ),
    }
}

fn budget(budget: &BudgetStatus, now: Timestamp) -> (String, Style) {
    let left = budget.healings.saturating_sub(budget.used);
    let mut line = format!(
        "{left} of {} healings left in {}",
        budget.healings,
        written(Duration::from_millis(budget.window_ms))
    );
    if let Some(at) = budget.next_at {
        let _ = write!(line, "; the next at {}", clock(at, now));
    }
    (line, if left == 0 { BAD } else { PLAIN })
}
