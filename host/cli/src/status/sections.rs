//! What follows the services: the last day, who is needed, pauses, and the rest.

use std::fmt::Write as _;

use anstyle::Style;
use prunella_api::StatusReport;
use prunella_report::approve_command;

use crate::{
    expect,
    output::{BAD, FAIR, GOOD, PLAIN, QUIET, STRONG, needs_sudo, wrap},
    pause,
    time::{ago, upcoming},
};

/// So many of those that need people are told of at length.
const AT_LENGTH: usize = 5;

/// Appends pieces, separated by two spaces, breaking lines between pieces.
pub(super) fn pieces(text: &mut String, indent: usize, width: usize, pieces: &[(String, Style)]) {
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

pub(super) fn day(text: &mut String, report: &StatusReport, width: usize) {
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

pub(super) fn people(text: &mut String, report: &StatusReport, width: usize) {
    if report.needs_people.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{BAD}Needs people{BAD:#}");
    for needy in report.needs_people.iter().take(AT_LENGTH) {
        let _ = writeln!(
            text,
            "  {STRONG}{}{STRONG:#}, {}",
            needy.unit,
            ago(needy.at, report.at)
        );
        for line in wrap(&needy.reason, width.saturating_sub(4)) {
            let _ = writeln!(text, "    {line}");
        }
        if let Some(approval) = &needy.approval {
            let command = approve_command(approval, needs_sudo());
            let _ = writeln!(text, "    {QUIET}approve or deny{QUIET:#} {command}");
        }
        if let Some(at) = needy.retry_at {
            let again = if needy.approval.is_some() {
                "asked"
            } else {
                "tried"
            };
            let _ = writeln!(
                text,
                "    {QUIET}{again} again at {}{QUIET:#}",
                upcoming(at, report.at)
            );
        }
        let _ = writeln!(
            text,
            "    {QUIET}see{QUIET:#} prunella incidents {}",
            needy.incident
        );
    }
    let more = report.needs_people.len().saturating_sub(AT_LENGTH);
    if more > 0 {
        let _ = writeln!(
            text,
            "  {BAD}and {more} more{BAD:#}: prunella incidents --outcome escalated"
        );
    }
}

pub(super) fn pauses(text: &mut String, report: &StatusReport, width: usize) {
    if report.pauses.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{FAIR}Paused{FAIR:#}");
    for pause in &report.pauses {
        for line in wrap(&pause::in_words(pause, report.at), width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

pub(super) fn expected_work(text: &mut String, report: &StatusReport, width: usize) {
    for (number, work) in report.expected_work.iter().enumerate() {
        if number == 0 {
            let _ = writeln!(text, "\n{FAIR}Expected work{FAIR:#}");
        }
        let line = format!("{}: {}", work.unit, expect::in_words(work, report.at));
        for line in wrap(&line, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

pub(super) fn rest(text: &mut String, report: &StatusReport, width: usize) {
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
