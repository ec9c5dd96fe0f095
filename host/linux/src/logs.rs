//! The journal's last lines, made fit to show.

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure, Timestamp,
    capability::{Answer, LogEntry, logs::Tail},
    text::{one_line, redact},
};

use crate::{
    journal::{Entry, Group, Journal, JournalQuery, by_systemd},
    probes::OwnLines,
};

/// So many lines are given at most, whatever is asked for.
const LINES_MAX: u32 = 1000;

/// So many entries more are searched for lines without a run: systemd's own,
/// and those of runs since.
const AROUND: usize = 100;

/// So many characters of a line.
const LINE_MAX: usize = 2000;

/// So many bytes of all lines together; the oldest are left out first.
const BYTES_MAX: usize = 256 * 1024;

/// The priority of a line that has none (systemd.exec(5), SyslogLevel=).
const INFO: u8 = 6;

/// The journal of this host.
pub struct HostLogs {
    journal: Arc<Journal>,
    left_out: OwnLines,
}

impl HostLogs {
    /// Reads `journal`.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self {
            journal,
            left_out: OwnLines::default(),
        }
    }

    /// Leaves out the lines that a service writes because of its probes.
    pub(crate) fn without(self, left_out: OwnLines) -> Self {
        Self { left_out, ..self }
    }
}

impl HostLogs {
    /// What the unit's processes wrote and what systemd itself wrote about it.
    /// At most 1,000 lines of 2,000 characters, and 256 KiB in all; secrets
    /// that can be recognised are blacked out.
    ///
    /// Of one run, lines are given too that journald could not ascribe to any
    /// run, and that stand before an entry of this one: what a program says
    /// that ends at once is such a line.
    pub fn tail(&self, deadline: Instant, query: &Tail) -> Answer<Vec<LogEntry>> {
        let of_run = question(query)?;
        let wanted = of_run.newest;
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let mut entries = self.entries(deadline, query, of_run)?;
        let is_left_out = |entry: &Entry| {
            self.left_out
                .caused(&String::from_utf8_lossy(&entry.message))
        };
        if entries.iter().any(is_left_out) {
            // They stand in the place of others.
            let more = Tail {
                lines: LINES_MAX,
                ..query.clone()
            };
            entries = self.entries(deadline, &more, question(&more)?)?;
            entries.retain(|entry| !is_left_out(entry));
            entries.drain(..entries.len().saturating_sub(wanted));
        }
        Ok(shown(entries))
    }

    fn entries(&self, deadline: Instant, query: &Tail, of_run: JournalQuery) -> Answer<Vec<Entry>> {
        let mut entries = self.journal.ask(deadline, &of_run)?;
        if let Some(run) = &query.invocation {
            let mut around = question(&Tail {
                invocation: None,
                ..query.clone()
            })?;
            around.newest += AROUND;
            let around = self.journal.ask(deadline, &around)?;
            entries.extend(unascribed(around, &run.to_ascii_lowercase()));
            entries.sort_by_key(|entry| entry.at);
            entries.drain(..entries.len().saturating_sub(of_run.newest));
        }
        Ok(entries)
    }
}

/// The entries without a run of which the next entry that has one is of `run`;
/// where none follows, of which the last before is.
fn unascribed(entries: Vec<Entry>, run: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut waiting = Vec::new();
    let mut before = false;
    for entry in entries {
        match &entry.invocation {
            None => waiting.push(entry),
            Some(invocation) => {
                before = invocation == run;
                if before {
                    found.append(&mut waiting);
                } else {
                    waiting.clear();
                }
            }
        }
    }
    if before {
        found.append(&mut waiting);
    }
    found
}

pub(crate) fn question(query: &Tail) -> Answer<JournalQuery> {
    let mut by_unit = vec![("_SYSTEMD_UNIT", query.unit.to_string())];
    let mut about_unit = by_systemd(&query.unit);
    if let Some(invocation) = &query.invocation {
        if invocation.len() != 32 || !invocation.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::invalid(
                "no-invocation",
                format!(
                    "`{}` is not an invocation id, which has 32 hexadecimal digits",
                    one_line(invocation, 40)
                ),
            ));
        }
        let invocation = invocation.to_ascii_lowercase();
        by_unit.push(("_SYSTEMD_INVOCATION_ID", invocation.clone()));
        about_unit.push(("INVOCATION_ID", invocation));
    }
    let any_of = match query.priority {
        Some(8..) => {
            return Err(Failure::invalid(
                "no-priority",
                "a priority is 0 (emergency) to 7 (debug)",
            ));
        }
        // The journal has an index of exact values, not of ranges.
        Some(least @ 0..=6) => (0..=least)
            .flat_map(|priority| {
                let with = |group: &Group| {
                    let mut group = group.clone();
                    group.push(("PRIORITY", priority.to_string()));
                    group
                };
                [with(&by_unit), with(&about_unit)]
            })
            .collect(),
        Some(7) | None => vec![by_unit, about_unit],
    };
    Ok(JournalQuery {
        any_of,
        newest: usize::try_from(query.lines.min(LINES_MAX)).unwrap_or(0),
        namespaces: true,
    })
}

fn shown(entries: Vec<Entry>) -> Vec<LogEntry> {
    let mut left = BYTES_MAX;
    let mut lines: Vec<LogEntry> = entries
        .into_iter()
        .rev()
        .map(|entry| {
            // Before it is cut: half a secret is not recognised as one.
            let text = redact(&String::from_utf8_lossy(&entry.message));
            LogEntry {
                at: Timestamp::from_micros(entry.at),
                priority: entry.priority.unwrap_or(INFO),
                message: one_line(&text, LINE_MAX),
                by_systemd: entry.by_systemd,
                invocation: entry.invocation,
            }
        })
        .take_while(|line| match left.checked_sub(line.message.len()) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use prunella_core::UnitName;
    use rstest::rstest;

    use super::*;

    const RUN: &str = "0123456789abcdef0123456789abcdef";

    fn query(invocation: Option<&str>, priority: Option<u8>) -> Tail {
        Tail {
            unit: UnitName::new("x.service").unwrap(),
            invocation: invocation.map(str::to_owned),
            priority,
            lines: 50,
        }
    }

    /// Every group needs a field that only journald or systemd can write.
    #[rstest]
    #[case::all(None, None, 2)]
    #[case::one_run(Some(RUN), None, 2)]
    #[case::errors(None, Some(3), 8)]
    #[case::everything(Some(RUN), Some(7), 2)]
    #[case::all_but_debug(Some(RUN), Some(6), 14)]
    fn a_journal_query_cannot_be_forged(
        #[case] invocation: Option<&str>,
        #[case] priority: Option<u8>,
        #[case] groups: usize,
    ) {
        let asked = question(&query(invocation, priority)).unwrap();
        assert_eq!(asked.any_of.len(), groups);
        for group in asked.any_of {
            assert!(group.iter().any(|(field, _)| field.starts_with('_')));
            assert!(group.iter().any(|(_, value)| value == "x.service"));
            let of_run = group.iter().any(|(_, value)| value == RUN);
            assert_eq!(of_run, invocation.is_some());
        }
    }

    #[rstest]
    #[case(Some("x"), None, "no-invocation")]
    #[case(Some("0123456789abcdef0123456789abcdeg"), None, "no-invocation")]
    #[case(None, Some(8), "no-priority")]
    fn invalid_queries_are_refused(
        #[case] invocation: Option<&str>,
        #[case] priority: Option<u8>,
        #[case] code: &str,
    ) {
        let failure = question(&query(invocation, priority)).unwrap_err();
        assert!(failure.is(code), "{failure:?}");
    }

    #[test]
    fn lines_are_capped() {
        let mut query = query(None, None);
        query.lines = u32::MAX;
        assert_eq!(question(&query).unwrap().newest, 1000);
    }

    fn entry(message: &[u8]) -> Entry {
        Entry {
            at: 7_000,
            priority: None,
            message: message.to_vec(),
            job_type: None,
            invocation: None,
            by_systemd: false,
        }
    }

    #[rstest]
    #[case::ended_at_once(&["A", "-", "A"], "A", &[1])]
    #[case::between_two_runs(&["A", "-", "B"], "A", &[])]
    #[case::of_the_later_run(&["A", "-", "B"], "B", &[1])]
    #[case::the_last_line(&["B", "A", "-", "-"], "A", &[2, 3])]
    #[case::of_another_run(&["A", "B", "-"], "A", &[])]
    #[case::no_run_at_all(&["-", "-"], "A", &[])]
    fn lines_without_a_run(#[case] runs: &[&str], #[case] run: &str, #[case] found: &[u64]) {
        let entries = (0..).zip(runs).map(|(at, run)| Entry {
            at,
            invocation: (*run != "-").then(|| (*run).to_owned()),
            ..entry(b"x")
        });
        let ascribed: Vec<u64> = unascribed(entries.collect(), run)
            .iter()
            .map(|entry| entry.at)
            .collect();
        assert_eq!(ascribed, found);
    }

    #[test]
    fn a_line_is_made_fit_to_show() {
        let lines = shown(vec![entry(b"a\xff\x1b[31mred\nb"), entry(&[b'x'; 5000])]);
        let [first, second] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!((first.at.as_millis(), first.priority), (7, 6));
        assert!(!first.message.contains(['\x1b', '\n']), "{first:?}");
        assert_eq!(second.message.chars().count(), LINE_MAX + 1);
    }

    #[test]
    fn secrets_are_blacked_out() {
        let lines = shown(vec![entry(b"connecting with password=hunter2 now")]);
        assert!(!lines[0].message.contains("hunter2"), "{lines:?}");
    }

    #[test]
    fn too_much_loses_its_oldest_lines() {
        let long: Vec<Entry> = (0..200_u8)
            .map(|n| {
                let mut message = b"word ".repeat(LINE_MAX / 5);
                message.pop();
                message.push(n % 10 + b'0');
                entry(&message)
            })
            .collect();
        let lines = shown(long);
        assert_eq!(lines.len(), BYTES_MAX / LINE_MAX);
        assert!(lines.last().unwrap().message.ends_with('9'));
    }
}
