//! Where scenes are played: commands are typed, incidents are shown as they happen, and
//! the outcome is checked from outside.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use prunella_machine::{Machine, Output, TIMEOUT};
use serde_json::Value;

use super::{
    incident::Incident,
    screen::{self, BAD, GOOD, QUIET},
    timeline::Timeline,
};

/// Where Prunella is inside the machine.
pub(crate) const PRUNELLA: &str = "/opt/prunella/prunella";

/// So that `prunella` can be typed.
const PATH: &str = "Environment=PATH=/opt/prunella:/usr/sbin:/usr/bin";

/// How many of a scene's last journal entries are shown when it failed.
const TAIL: usize = 60;

/// What has been written is read within this.
const SOON: Duration = Duration::from_millis(500);

/// One scene, as it is played.
pub(crate) struct Stage<'a> {
    machine: &'a Machine,
    timeline: Timeline,
    /// How many journal entries there were before it.
    begun_at: usize,
    /// Incidents of earlier scenes.
    earlier: BTreeSet<String>,
    /// Incidents of this one that were waited for.
    awaited: BTreeSet<String>,
    /// What was not as expected.
    unmet: Vec<String>,
}

impl<'a> Stage<'a> {
    /// Begins a scene.
    pub(crate) fn begin(machine: &'a Machine) -> Self {
        let entries = machine.entries();
        Self {
            machine,
            timeline: Timeline::default(),
            begun_at: entries.len(),
            earlier: entries.iter().filter_map(incident_of).collect(),
            awaited: BTreeSet::new(),
            unmet: Vec::new(),
        }
    }

    /// Shows a command, and runs it as root in the machine.
    pub(crate) fn types(&self, command: &str) -> Result<Output> {
        screen::command(command);
        self.quietly(command)
    }

    /// [`types`](Self::types), and shows what the command said.
    pub(crate) fn types_and_shows(&self, command: &str) -> Result<Output> {
        let output = self.types(command)?;
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            quote(line);
        }
        Ok(output)
    }

    /// Runs a command as root in the machine.
    pub(crate) fn quietly(&self, command: &str) -> Result<Output> {
        self.machine.run_with(&[PATH], &["bash", "-c", command])
    }

    /// Shows the incidents of this scene as they go, until one of `unit` has
    /// ended as `word`, or in another way that nothing will come of.
    pub(crate) fn until(&mut self, unit: &str, word: &str) -> Result<Incident> {
        let what = format!("an incident of {unit} to end as `{word}`");
        let machine = self.machine;
        let found = machine.wait_for(&what, TIMEOUT, || {
            let incidents = self.incidents()?;
            self.timeline.show(&incidents);
            let of_unit = || incidents.iter().filter(|incident| incident.unit() == unit);
            let as_expected = of_unit().find(|incident| incident.ended() == Some(word));
            let hopeless = || {
                of_unit().find(|incident| {
                    !self.awaited.contains(incident.id())
                        && incident
                            .ended()
                            .is_some_and(|ended| !PASSING.contains(&ended))
                })
            };
            Ok(as_expected.or_else(hopeless).cloned())
        })?;
        self.awaited.insert(found.id().to_owned());
        let ended = found.ended().unwrap_or_default();
        if ended != word {
            self.fail(format!(
                "{unit}'s incident {} should end as `{word}`, and ended as `{ended}`: {}",
                found.id(),
                found.why()
            ));
        }
        Ok(found)
    }

    /// [`until`](Self::until) one was healed by `strategy`, with acts that
    /// have `act` among them; says how it was proven.
    pub(crate) fn until_healed(
        &mut self,
        unit: &str,
        strategy: &str,
        act: &str,
    ) -> Result<Incident> {
        let incident = self.until(unit, "healed")?;
        if incident.ended() != Some("healed") {
            return Ok(incident);
        }
        let by = incident.strategy().unwrap_or("nobody");
        if by != strategy {
            self.fail(format!("{strategy} should heal {unit}; it was {by}"));
        }
        let acts: Vec<&str> = incident.changes().collect();
        if !acts.contains(&act) {
            self.fail(format!("`{act}` should be among the acts: {acts:?}"));
        }
        match (incident.answered_after(), incident.stable_for()) {
            (Some(after), Some(stable)) => screen::indented(
                4,
                "✔ ",
                GOOD,
                &format!(
                    "{} from failure to answering; proven by the host's own checks, for {}",
                    screen::took(after),
                    screen::took(stable * 1000)
                ),
            ),
            _ => self.fail(format!("there is no proof that {unit} is healed")),
        }
        Ok(incident)
    }

    /// [`until`](Self::until) one was handed to people, held back by
    /// `strategy`, and nothing at all was done.
    pub(crate) fn until_held(&mut self, unit: &str, strategy: &str) -> Result<Incident> {
        let incident = self.until(unit, "escalated")?;
        let held = incident.was_vetoed_by(strategy);
        self.expect(
            held,
            &format!("{strategy} should hold it back: {}", incident.why()),
            "",
        );
        self.expect_nothing_done(std::slice::from_ref(&incident));
        Ok(incident)
    }

    /// Waits until init says something of a unit in this scene, and shows it.
    pub(crate) fn until_said(&self, unit: &str, text: &str) -> Result<()> {
        let what = format!("systemd to say of {unit}: {text}");
        let said = self.machine.wait_for(&what, TIMEOUT, || {
            let entries = self.machine.entries();
            let said = entries.into_iter().skip(self.begun_at).find(|entry| {
                field(entry, "_PID") == "1"
                    && field(entry, "UNIT") == unit
                    && field(entry, "MESSAGE").contains(text)
            });
            Ok(said)
        })?;
        quote(&format!("systemd: {}", field(&said, "MESSAGE")));
        Ok(())
    }

    /// Looks whether nothing was changed in these incidents.
    pub(crate) fn expect_nothing_done(&mut self, incidents: &[Incident]) {
        let changes: Vec<&str> = incidents.iter().flat_map(Incident::changes).collect();
        let checked = incidents
            .iter()
            .flat_map(Incident::acts)
            .any(|(_, act)| act == "checks.run");
        self.expect(
            changes.is_empty(),
            &format!("nothing should be done, and there were {changes:?}"),
            if checked {
                "Prunella's record: a declared check was run, and nothing was changed"
            } else {
                "Prunella's record: not one act"
            },
        );
    }

    /// Looks at something from outside: `seen` when it is so, and that it was
    /// not as expected when it is not.
    pub(crate) fn expect(&mut self, so: bool, not_so: &str, seen: &str) {
        if !so {
            self.fail(not_so.to_owned());
        } else if !seen.is_empty() {
            screen::indented(4, "✔ ", GOOD, seen);
        }
    }

    /// Whether a port answers HTTP, asked by the demo itself.
    pub(crate) fn expect_answer(&mut self, port: u16) -> Result<()> {
        // bash can open a connection by itself; nothing else has to be there.
        let get = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && \
             read -t 5 -r line <&3 && echo \"$line\""
        );
        let answer = self.quietly(&get)?;
        let line = answer
            .stdout
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        self.expect(
            line.contains(" 200 "),
            &format!(
                "port {port} should answer HTTP: `{line}` {}",
                answer.stderr.trim()
            ),
            &format!("checked from outside: port {port} answers `{line}`"),
        );
        Ok(())
    }

    /// The main process of a unit; 0 when there is none.
    pub(crate) fn main_pid(&self, unit: &str) -> Result<u32> {
        let pid = self.machine.property(unit, "MainPID")?;
        pid.parse()
            .with_context(|| format!("the main process of {unit} is `{pid}`"))
    }

    /// Waits until a unit is up with another main process than it had.
    pub(crate) fn until_other_process(&self, unit: &str, before: u32) -> Result<()> {
        let what = format!("{unit} to be up again");
        self.machine.wait_for(&what, TIMEOUT, || {
            let state = self.machine.property(unit, "ActiveState")?;
            let now = self.main_pid(unit)?;
            Ok((state == "active" && now != 0 && now != before).then_some(()))
        })
    }

    /// Looks whether a unit has another main process than it had.
    pub(crate) fn expect_other_process(&mut self, unit: &str, before: u32) -> Result<()> {
        let now = self.main_pid(unit)?;
        self.expect(
            now != 0 && now != before,
            &format!("{unit} should have a new process: it had {before}, and has {now}"),
            &format!("checked from outside: process {before} is gone, {now} serves"),
        );
        Ok(())
    }

    /// Looks whether a unit is in a state.
    pub(crate) fn expect_state(&mut self, unit: &str, state: &str) -> Result<()> {
        let now = self.machine.property(unit, "ActiveState")?;
        self.expect(
            now == state,
            &format!("{unit} should be {state}, and is {now}"),
            &format!("checked from outside: {unit} is {state}"),
        );
        Ok(())
    }

    /// How often a unit was started in this scene: its different runs, as
    /// init's own journal entries name them.
    pub(crate) fn runs(&self, unit: &str) -> usize {
        let entries = self.machine.entries();
        let runs: BTreeSet<&str> = entries
            .iter()
            .skip(self.begun_at)
            .filter(|entry| field(entry, "_PID") == "1" && field(entry, "UNIT") == unit)
            .filter(|entry| field(entry, "MESSAGE_ID") == STARTING)
            .map(|entry| field(entry, "INVOCATION_ID"))
            .collect();
        runs.len()
    }

    pub(crate) fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// What was not as expected.
    pub(crate) fn unmet(&self) -> &[String] {
        &self.unmet
    }

    /// Notes that something was not as expected.
    pub(crate) fn fail(&mut self, what: String) {
        screen::indented(4, "✘ ", BAD, &format!("not as expected: {what}"));
        self.unmet.push(what);
    }

    /// The end of what the journal has of this scene.
    pub(crate) fn tail(&self) {
        show_journal(self.machine, self.begun_at);
    }

    /// The incidents of this scene, as the journal names them, oldest first.
    pub(crate) fn incidents(&self) -> Result<Vec<Incident>> {
        let entries = self.machine.entries();
        let mut seen = self.earlier.clone();
        entries
            .iter()
            .skip(self.begun_at)
            .filter_map(incident_of)
            .filter(|id| seen.insert(id.clone()))
            .map(|id| record(self.machine, &id))
            .collect()
    }
}

/// The end of the machine's journal.
pub(crate) fn tail(machine: &Machine) {
    show_journal(machine, 0);
}

fn show_journal(machine: &Machine, from: usize) {
    // So that what was said last is there too. Without it there is less.
    let _ = machine.run(&["journalctl", "--sync"]);
    let _ = machine.wait_entry("the end of the journal", SOON, |entry| {
        field(entry, "MESSAGE").contains("journalctl --sync")
    });
    let entries = machine.entries();
    // The demo's own commands are no news.
    let own = |entry: &&Value| {
        let of = |name| field(entry, name).starts_with("machine-run-");
        of("UNIT") || of("_SYSTEMD_UNIT")
    };
    let entries: Vec<&Value> = entries
        .iter()
        .skip(from)
        .filter(|entry| !own(entry))
        .collect();
    let skipped = entries.len().saturating_sub(TAIL);
    anstream::println!("\n    The end of the journal:");
    for entry in entries.into_iter().skip(skipped) {
        let micros: u64 = field(entry, "__MONOTONIC_TIMESTAMP").parse().unwrap_or(0);
        quote(&format!(
            "{}.{:06} {}: {}",
            micros / 1_000_000,
            micros % 1_000_000,
            field(entry, "SYSLOG_IDENTIFIER"),
            field(entry, "MESSAGE")
        ));
    }
}

/// Every incident that the journal names, of all scenes.
pub(crate) fn all_incidents(machine: &Machine) -> Result<Vec<Incident>> {
    let ids: BTreeSet<String> = machine.entries().iter().filter_map(incident_of).collect();
    ids.iter().map(|id| record(machine, id)).collect()
}

/// Ends of incidents after which more may come.
const PASSING: [&str; 1] = ["left-alone"];

/// The id of init's message that it begins to start a unit.
const STARTING: &str = "7d4958e842da4a758f6c1cdc7b36dcc5";

/// What somebody else said.
fn quote(line: &str) {
    // The words keep their columns.
    let room = screen::WIDTH - 8;
    let mut shown: String = line.chars().filter(|c| !c.is_control()).collect();
    if shown.chars().count() > room {
        shown = shown.chars().take(room - 1).collect();
        shown.push('…');
    }
    anstream::println!("{QUIET}      │ {shown}{QUIET:#}");
}

/// The incident that a journal entry of Prunella's is about.
fn incident_of(entry: &Value) -> Option<String> {
    let ours = field(entry, "SYSLOG_IDENTIFIER") == "prunella";
    let id = field(entry, "PRUNELLA_INCIDENT");
    (ours && !id.is_empty()).then(|| id.to_owned())
}

/// The record of an incident.
fn record(machine: &Machine, id: &str) -> Result<Incident> {
    let command = [PRUNELLA, "incidents", id, "--json"];
    let text = machine.run_ok(&command)?;
    let record = serde_json::from_str(&text)
        .with_context(|| format!("the record of incident {id} is not JSON: {text}"))?;
    Ok(Incident::new(record))
}

/// A field of a journal entry; empty when it is absent or not text.
fn field<'e>(entry: &'e Value, name: &str) -> &'e str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}
