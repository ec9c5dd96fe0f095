//! `prunella status`: the overview, for a terminal and for programs.

use std::{fmt::Write as _, io, time::Duration};

use anstyle::Style;
use prunella_api::{ServiceStatus, StatusReport};
use prunella_core::capability::ActiveState;

use crate::{
    args::StatusArgs,
    exit::Exit,
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET, STRONG, wrap},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time::{ago, local, short, span, took},
};

/// From so much of a file system on there is little left of it.
const FAIR_PERCENT: u64 = 85;

/// From so much on it is nearly full.
const BAD_PERCENT: u64 = 95;

/// Between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &StatusArgs) -> anyhow::Result<Exit> {
    let prunella = Prunella::new(paths);
    let status = || prunella.ask(|queries| queries.status());
    if args.json {
        output::print_json(&status()?)?;
        return Ok(Exit::Ok);
    }
    if !args.watch {
        output::print(&render(&status()?, output::width()))?;
        return Ok(Exit::Ok);
    }
    watch(&status)
}

/// Shows it again and again, on a screen of its own, until a signal comes.
fn watch(status: &dyn Fn() -> anyhow::Result<StatusReport>) -> anyhow::Result<Exit> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
    use std::io::IsTerminal as _;

    let screen = io::stdout().is_terminal();
    let (wake, woken) = std::sync::mpsc::channel();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGWINCH])?;
    let handle = signals.handle();
    let thread = std::thread::spawn(move || {
        for signal in &mut signals {
            if wake.send(signal).is_err() {
                return;
            }
        }
    });
    // The alternate screen leaves what stood in the terminal as it was.
    let _screen = if screen { Some(Screen::enter()?) } else { None };
    let shown = loop {
        let text = match status() {
            Ok(report) => render(&report, output::width()),
            // A daemon that is being restarted is no reason to stop looking.
            Err(error) => format!("{BAD}error:{BAD:#} {}\n", crate::exit::explain(&error)),
        };
        let result = if screen {
            output::print(&redraw(&text, output::height()))
        } else {
            output::print(&format!("{text}\n"))
        };
        if result.is_err() {
            break result;
        }
        match woken.recv_timeout(EVERY) {
            Ok(SIGWINCH) | Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            _ => break Ok(()),
        }
    };
    handle.close();
    drop(thread.join());
    shown?;
    Ok(Exit::Ok)
}

/// Draws over what was there, line by line, which does not flicker; lines that
/// do not fit below the screen are left out, and that is said.
fn redraw(text: &str, height: Option<usize>) -> String {
    let mut drawn = "\x1b[H".to_owned();
    let all = text.lines().count();
    let room = height.unwrap_or(usize::MAX).saturating_sub(1);
    let shown = if all > room {
        room.saturating_sub(1)
    } else {
        all
    };
    for line in text.lines().take(shown) {
        drawn.push_str(line);
        drawn.push_str("\x1b[K\n");
    }
    if shown < all {
        let _ = writeln!(drawn, "{QUIET}… {} more lines{QUIET:#}\x1b[K", all - shown);
    }
    drawn.push_str("\x1b[J");
    drawn
}

/// The terminal's alternate screen, left again when this is dropped.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        // Past anstream: these must reach the terminal even without colours.
        raw("\x1b[?1049h\x1b[?25l")?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(raw("\x1b[?25h\x1b[?1049l"));
    }
}

fn raw(codes: &str) -> io::Result<()> {
    use io::Write as _;
    let mut out = io::stdout().lock();
    out.write_all(codes.as_bytes())?;
    out.flush()
}

/// The overview for people, in at most `width` columns.
pub(crate) fn render(report: &StatusReport, width: usize) -> String {
    let mut text = String::new();
    head(&mut text, report, width);
    services(&mut text, report, width);
    day(&mut text, report, width);
    people(&mut text, report, width);
    pauses(&mut text, report, width);
    rest(&mut text, report, width);
    text
}

/// Appends pieces, separated by two spaces, breaking lines between pieces.
fn pieces(text: &mut String, indent: usize, width: usize, pieces: &[(String, Style)]) {
    use unicode_width::UnicodeWidthStr as _;
    let mut used = 0;
    for (piece, style) in pieces {
        let needs = piece.width();
        if used > 0 && used + 3 + needs > width {
            text.push('\n');
            used = 0;
        }
        if used == 0 {
            text.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else {
            text.push_str("   ");
            used += 3;
        }
        let _ = write!(text, "{style}{piece}{style:#}");
        used += needs;
    }
    text.push('\n');
}

fn head(text: &mut String, report: &StatusReport, width: usize) {
    for alarm in &report.alarms {
        for line in wrap(alarm, width) {
            let _ = writeln!(text, "{BAD}{line}{BAD:#}");
        }
    }
    let host = &report.host;
    let mut first = vec![
        (host.name.clone(), STRONG),
        (local(report.at), PLAIN),
        (
            format!("up {}", span(Duration::from_secs(host.uptime_s))),
            PLAIN,
        ),
    ];
    if let Some(state) = &host.system_state {
        let style = if state == "running" { GOOD } else { FAIR };
        first.push((format!("systemd {state}"), style));
    }
    pieces(text, 0, width, &first);

    let mut second = Vec::new();
    if let Some(load) = host.load {
        let processors = f64::from(load.processors.max(1));
        let style = level(load.one / processors, 1.0, 2.0);
        second.push((
            format!("load {:.2} {:.2} {:.2}", load.one, load.five, load.fifteen),
            style,
        ));
    }
    if let Some(memory) = host.memory {
        let used = memory.total.saturating_sub(memory.available);
        second.push((
            format!("memory {} of {}", bytes(used), bytes(memory.total)),
            level(share(used, memory.total), 0.85, 0.95),
        ));
    }
    for disk in &host.disks {
        let percent = disk.bytes.percent().unwrap_or(0);
        let inodes = disk.inodes.percent().unwrap_or(0);
        let mut said = format!("{} {percent}% full", disk.place);
        // As long as there are plenty, nobody asks for them.
        if inodes >= FAIR_PERCENT {
            let _ = write!(said, ", {inodes}% of inodes");
        }
        if disk.read_only {
            said.push_str(", read-only");
        }
        let style = match percent.max(inodes) {
            BAD_PERCENT.. => BAD,
            FAIR_PERCENT.. => FAIR,
            _ => PLAIN,
        };
        second.push((said, style));
    }
    if !second.is_empty() {
        pieces(text, 0, width, &second);
    }
    let daemon = match &report.daemon {
        Some(daemon) => (
            format!(
                "prunella {}: daemon runs since {} (process {})",
                report.version,
                short(daemon.since, report.at),
                daemon.pid
            ),
            PLAIN,
        ),
        None => (
            format!(
                "prunella {}: no daemon runs; hooks and the sweep heal, if enabled",
                report.version
            ),
            FAIR,
        ),
    };
    let (line, style) = daemon;
    for line in wrap(&line, width) {
        let _ = writeln!(text, "{style}{line}{style:#}");
    }
}

fn level(value: f64, fair: f64, bad: f64) -> Style {
    if value >= bad {
        BAD
    } else if value >= fair {
        FAIR
    } else {
        PLAIN
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a share for the eye; 53 bits are plenty"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Bytes for the eye: `812 MiB`, `3.4 GiB`.
fn bytes(count: u64) -> String {
    let mib = count >> 20;
    if mib < 1024 {
        format!("{mib} MiB")
    } else {
        format!("{:.1} GiB", share(mib, 1024))
    }
}

fn services(text: &mut String, report: &StatusReport, width: usize) {
    text.push('\n');
    if report.services.is_empty() {
        let _ = writeln!(
            text,
            "No service is in Prunella's care yet: {STRONG}prunella enable UNIT{STRONG:#}"
        );
        return;
    }
    let mut table = Table::new(&[
        Column::fixed(""),
        Column::shrinks("SERVICE", 14),
        Column::shrinks("STATE", 12),
        Column::shrinks("PORTS", 8),
        Column::optional("DOMAIN", 8),
        Column::shrinks("LAST HEALED", 12),
    ]);
    for service in &report.services {
        let (mark, style) = mark(service);
        let name = service.unit.as_str();
        let name = name.strip_suffix(".service").unwrap_or(name);
        let ports: Vec<String> = service
            .ports
            .iter()
            .map(|status| {
                let missing = if status.held == Some(false) { "!" } else { "" };
                format!("{}{missing}", status.port)
            })
            .collect();
        let missing = service.ports.iter().any(|port| port.held == Some(false));
        let healed = service.last_healing.as_ref().map_or_else(String::new, |h| {
            let after = h
                .recovered_after
                .map_or_else(String::new, |after| format!(" in {}", took(after)));
            format!("{}{after}", ago(h.at, report.at))
        });
        table.row(vec![
            Cell::new(mark, style),
            Cell::new(name, if service.critical { STRONG } else { PLAIN }),
            Cell::new(state(service), style),
            Cell::new(ports.join(" "), if missing { BAD } else { PLAIN }),
            Cell::new(service.domain.clone().unwrap_or_default(), PLAIN),
            Cell::new(healed, PLAIN),
        ]);
    }
    text.push_str(&table.render(width, 0));
    let silent = report
        .services
        .iter()
        .flat_map(|service| &service.ports)
        .any(|port| port.held == Some(false));
    if silent {
        let _ = writeln!(text, "{QUIET}!  nobody listens on this port{QUIET:#}");
    }
}

/// A sign that also speaks without colours, and its colour.
fn mark(service: &ServiceStatus) -> (&'static str, Style) {
    let silent = service.ports.iter().any(|port| port.held == Some(false));
    match (service.up, service.state) {
        _ if service.paused => ("‖", FAIR),
        (Some(true), _) if silent => ("◐", FAIR),
        (Some(true), _) => ("●", GOOD),
        (Some(false), Some(ActiveState::Failed)) => ("✖", BAD),
        (Some(false), Some(ActiveState::Activating | ActiveState::Deactivating)) => ("◐", FAIR),
        (Some(false), _) => ("○", FAIR),
        (None, _) => ("?", FAIR),
    }
}

fn state(service: &ServiceStatus) -> String {
    let mut text = match (service.state, service.sub_state.as_deref()) {
        (Some(_), Some("not found")) => "no such unit".to_owned(),
        (Some(ActiveState::Failed), _) => "failed".to_owned(),
        (Some(state), Some(sub)) if !sub.is_empty() && sub != state.as_str() => sub.to_owned(),
        (Some(state), _) => state.as_str().to_owned(),
        (None, _) => "not known".to_owned(),
    };
    if service.paused {
        text.push_str(", paused");
    } else if service.open_incident.is_some() {
        text.push_str(", healing");
    }
    text
}

fn day(text: &mut String, report: &StatusReport, width: usize) {
    let day = report.day;
    text.push('\n');
    let counts = [
        (day.open, "open", FAIR),
        (day.escalated, "escalated", BAD),
        (day.healed, "healed", GOOD),
        (day.recovered, "recovered", PLAIN),
        (day.left_alone, "left alone", PLAIN),
        (day.interrupted, "interrupted", FAIR),
    ];
    let mut line = vec![("Last 24 h:".to_owned(), STRONG)];
    line.extend(
        counts
            .into_iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, what, style)| (format!("{count} {what}"), style)),
    );
    if line.len() == 1 {
        line.push(("nothing failed".to_owned(), GOOD));
    }
    pieces(text, 0, width, &line);
}

fn people(text: &mut String, report: &StatusReport, width: usize) {
    if report.needs_people.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{BAD}Needs people{BAD:#}");
    for needy in &report.needs_people {
        let _ = writeln!(
            text,
            "  {STRONG}{}{STRONG:#}, {}",
            needy.unit,
            ago(needy.at, report.at)
        );
        for line in wrap(&needy.reason, width.saturating_sub(4)) {
            let _ = writeln!(text, "    {line}");
        }
        let _ = writeln!(
            text,
            "    {QUIET}see{QUIET:#} prunella incidents {}",
            needy.incident
        );
    }
}

fn pauses(text: &mut String, report: &StatusReport, width: usize) {
    if report.pauses.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{FAIR}Paused{FAIR:#}");
    for pause in &report.pauses {
        let what = pause
            .unit
            .as_ref()
            .map_or("everything", |unit| unit.as_str());
        let until = match pause.until {
            Some(until) => format!("until {}", short(until, report.at)),
            None => "until resumed".to_owned(),
        };
        let line = format!("{what}, {until}, by {}: {}", pause.by, pause.reason);
        for line in wrap(&line, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn rest(text: &mut String, report: &StatusReport, width: usize) {
    if !report.awaiting_grant.is_empty() {
        let _ = writeln!(text, "\n{FAIR}Awaiting a grant{FAIR:#}");
        for awaiting in &report.awaiting_grant {
            let line = format!("{}: {}", awaiting.strategy, awaiting.reason);
            for line in wrap(&line, width.saturating_sub(2)) {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    if !report.notices.is_empty() {
        let _ = writeln!(text, "\n{FAIR}To know{FAIR:#}");
        for notice in &report.notices {
            for line in wrap(notice, width.saturating_sub(2)) {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prunella_api::{
        DaemonInfo, DayCount, DiskStatus, HostOverview, LastHealing, NeedsPeople, PauseStatus,
        PortStatus, Usage,
    };
    use prunella_core::{
        Timestamp, UnitName,
        capability::{Load, Memory},
        incident::IncidentId,
    };
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_270_981_000);

    fn before_now(milliseconds: u64) -> Timestamp {
        NOW.saturating_sub(Duration::from_millis(milliseconds))
    }

    fn service(name: &str, state: ActiveState, sub: &str, up: bool, port: &str) -> ServiceStatus {
        ServiceStatus {
            unit: UnitName::new(name).unwrap(),
            domain: Some("the web shop of a friend".into()),
            critical: true,
            state: Some(state),
            sub_state: Some(sub.into()),
            up: Some(up),
            since: Some(before_now(60_000)),
            ports: vec![PortStatus {
                port: port.parse().unwrap(),
                held: Some(up),
            }],
            paused: false,
            open_incident: None,
            last_healing: Some(LastHealing {
                incident: IncidentId::from_text("20261121-142301-7f3a"),
                at: before_now(7_200_000),
                strategy: Some("service-restart".into()),
                recovered_after: Some(Duration::from_millis(43)),
            }),
        }
    }

    fn report() -> StatusReport {
        StatusReport {
            at: NOW,
            version: "0.1.0".into(),
            daemon: Some(DaemonInfo {
                pid: 812,
                since: before_now(86_400_000),
            }),
            host: HostOverview {
                name: "web1".into(),
                uptime_s: 793_000,
                system_state: Some("degraded".into()),
                load: Some(Load {
                    one: 0.4,
                    five: 0.3,
                    fifteen: 0.2,
                    processors: 4,
                }),
                memory: Some(Memory {
                    total: 8 << 30,
                    available: 6 << 30,
                    swap_total: 0,
                    swap_free: 0,
                }),
                disks: vec![DiskStatus {
                    place: "/".into(),
                    bytes: Usage {
                        used: 16,
                        available: 79,
                    },
                    inodes: Usage {
                        used: 93,
                        available: 7,
                    },
                    read_only: true,
                }],
            },
            services: vec![
                service(
                    "nginx.service",
                    ActiveState::Active,
                    "running",
                    true,
                    "tcp/80",
                ),
                service(
                    "a-very-long-name-of-a-service@with-an-instance.service",
                    ActiveState::Failed,
                    "failed",
                    false,
                    "tcp/5432",
                ),
            ],
            day: DayCount {
                healed: 3,
                escalated: 1,
                ..DayCount::default()
            },
            pauses: vec![PauseStatus {
                unit: None,
                reason: "kernel upgrade".into(),
                by: "root".into(),
                since: NOW,
                until: None,
            }],
            needs_people: vec![NeedsPeople {
                incident: IncidentId::from_text("20261121-142301-7f3a"),
                unit: UnitName::new("db.service").unwrap(),
                at: before_now(60_000),
                reason: "its data directory is on a full disk, and nothing that Prunella may do \
                         changes that"
                    .into(),
            }],
            awaiting_grant: Vec::new(),
            alarms: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn plain(report: &StatusReport, width: usize) -> String {
        anstream::adapter::strip_str(&render(report, width)).to_string()
    }

    #[test]
    fn it_fits_any_terminal() {
        for width in [60, 80, 100, 200] {
            for line in plain(&report(), width).lines() {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn the_overview_shows_the_important_facts() {
        let text = plain(&report(), 80);
        for part in [
            "web1",
            "up 9 d 4 h",
            "memory 2.0 GiB of 8.0 GiB",
            "/ 17% full, 93% of inodes, read-only",
            "● nginx",
            "✖",
            "tcp/5432!",
            "2 h ago in 43 ms",
            "1 escalated",
            "3 healed",
            "prunella incidents 20261121-142301-7f3a",
            "everything, until resumed, by root: kernel upgrade",
        ] {
            assert!(
                text.replace("●  ", "● ").contains(part),
                "{part:?} in\n{text}"
            );
        }
    }

    #[test]
    fn a_quiet_host_says_so() {
        let mut report = report();
        report.services.clear();
        report.day = DayCount::default();
        let text = plain(&report, 80);
        assert!(text.contains("nothing failed"), "{text}");
        assert!(text.contains("prunella enable UNIT"), "{text}");
    }

    #[test]
    fn a_small_screen_gets_what_fits_and_is_told() {
        let text = "1\n2\n3\n4\n5\n";
        let drawn = anstream::adapter::strip_str(&redraw(text, Some(4))).to_string();
        assert_eq!(drawn, "1\n2\n… 3 more lines\n");
        let drawn = anstream::adapter::strip_str(&redraw(text, Some(6))).to_string();
        assert_eq!(drawn, text);
    }
}
