//! One run: one machine, one healer, one fault.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use prunella_machine::{Builder, Machine, Output, Software, Systemd};

use crate::{
    catalogue::{Class, Fault, folder},
    healers::{Healer, Programs},
    judge::{Verdict, judge},
    plan::{MAIL_PORT, Observation, PLAN, Plan, Until, WITNESS},
};

/// What the machines have of Debian 12.
const SOFTWARE: Software = Software {
    name: "faults",
    packages: &[
        "bsd-mailx",
        "gunicorn",
        "lsof",
        "monit",
        "msmtp-mta",
        "nginx-light",
        "openssl",
        "postgresql",
        "procps",
        "psmisc",
        "python3-minimal",
        "redis-server",
    ],
};

/// How long a service has to answer without a gap, to be called healed.
pub const STABLE: Duration = Duration::from_millis(1500);

/// How long is looked on after that: for relapses, late acts, and mail.
pub const AFTER: Duration = Duration::from_millis(1500);

/// How long after the fault people have to be told at the latest, where they are
/// needed.
pub const TOLD_WITHIN: Duration = Duration::from_secs(180);

/// How long a machine that goes down may take to do so.
const GOES_DOWN: Duration = Duration::from_secs(5);

/// So many lines of the journal go with an error.
const LAST: usize = 15;

/// A unit that has nothing to do with anything.
pub(crate) const BYSTANDER: &str = "bystander.service";

/// It stays while all others are stopped at a shutdown.
const BYSTANDER_UNIT: &str = "[Unit]
DefaultDependencies=no

[Service]
ExecStart=/opt/faults/victim --listen 9999

[Install]
WantedBy=multi-user.target
";

/// Where `mail` hands over what healers write.
const MAIL: &str = "account default\nhost 127.0.0.1\nport @PORT@\nfrom healer@localhost\n";

/// What came of a run, and what the machine's journal says of it.
#[derive(Debug)]
pub struct Run {
    /// What came of it.
    pub verdict: Verdict,
    /// The end of the journal.
    pub journal: String,
}

/// Has `healer` deal with `fault`, and says what came of it. `waits` says whether,
/// where people are needed, it is waited until they are told.
///
/// # Errors
/// When the run could not be carried out: then nothing is known.
pub fn run(fault: &Fault, healer: &dyn Healer, programs: &Programs, waits: bool) -> Result<Run> {
    let begun = Instant::now();
    let machine = furnish(fault, healer, programs)?.boot()?;
    let seen = carry_out(&machine, fault, healer, waits).with_context(|| {
        format!(
            "{} (a part of its journal:\n{})",
            machine.name(),
            last(&machine)
        )
    })?;
    Ok(Run {
        verdict: judge(fault, healer, seen, waits, begun.elapsed()),
        journal: machine.tail(),
    })
}

/// The last lines of the journal.
fn last(machine: &Machine) -> String {
    let tail = machine.tail();
    let lines: Vec<&str> = tail.lines().collect();
    let from = lines.len().saturating_sub(LAST);
    lines.get(from..).unwrap_or_default().join("\n")
}

fn furnish(fault: &Fault, healer: &dyn Healer, programs: &Programs) -> Result<Builder> {
    let mut machine = Machine::builder()
        .version(Systemd::V252)
        .software(SOFTWARE)
        .bind_ro(&programs.witness, WITNESS)
        .bind_ro(&programs.victim, "/opt/faults/victim")
        .file(
            "/etc/msmtprc",
            MAIL.replace("@PORT@", &MAIL_PORT.to_string()),
            0o644,
        )
        .unit(BYSTANDER, BYSTANDER_UNIT)
        .enabled(BYSTANDER);
    for file in &fault.files {
        let mode = file.mode.as_deref().unwrap_or("644");
        let mode = u32::from_str_radix(mode, 8)
            .with_context(|| format!("{} has the mode `{mode}`", file.path.display()))?;
        let text = match (&file.text, &file.from) {
            (Some(text), _) => text.clone(),
            (None, Some(from)) => {
                let path = folder().join(from);
                std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?
            }
            (None, None) => String::new(),
        };
        machine = machine.file(&file.path, text, mode);
    }
    for unit in &fault.units {
        machine = machine.unit(&unit.unit, &unit.text);
    }
    for service in &fault.services {
        machine = match &service.text {
            Some(text) if service.unit.contains('@') => {
                machine.unit(&template(&service.unit), text)
            }
            Some(text) => machine.unit(&service.unit, text),
            // Some of Debian's have a Restart= of their own: what is held against
            // the fault is the healer.
            None => machine.file(
                format!("/etc/systemd/system/{}.d/benchmark.conf", service.unit),
                "[Service]\nRestart=no\n",
                0o644,
            ),
        };
    }
    Ok(healer.furnish(machine, fault, programs))
}

/// `s@1.service` is made from `s@.service`.
fn template(unit: &str) -> String {
    match (unit.split_once('@'), unit.rsplit_once('.')) {
        (Some((name, _)), Some((_, kind))) => format!("{name}@.{kind}"),
        _ => unit.to_owned(),
    }
}

/// What came of a plan.
pub(crate) enum Seen {
    /// This was seen.
    All(Box<Observation>),
    /// The machine went down, with all who looked on.
    WentDown,
}

fn carry_out(machine: &Machine, fault: &Fault, healer: &dyn Healer, waits: bool) -> Result<Seen> {
    script(machine, &fault.setup).context("its setup")?;
    for unit in fault.units.iter().filter(|unit| unit.start) {
        machine.systemctl(&["start", &unit.unit])?;
    }
    for service in fault.services.iter().filter(|service| service.start) {
        machine.systemctl(&["start", &service.unit])?;
    }
    healer
        .start(machine, fault)
        .with_context(|| format!("{} does not start", healer.name()))?;
    script(machine, &fault.before).context("what comes before the fault")?;
    if let Some(unit) = &fault.pause {
        healer.pause(machine, unit)?;
    }
    let plan = plan(fault, healer, waits);
    machine.write_file(PLAN, serde_json::to_string_pretty(&plan)?, 0o644)?;
    let output = machine.run_with(
        // So that it sees a shutdown to its end.
        &["DefaultDependencies=no", "RuntimeMaxSec=300"],
        &[WITNESS],
    )?;
    if let Ok(seen) = serde_json::from_str(&output.stdout) {
        return Ok(Seen::All(Box::new(seen)));
    }
    if goes_down(machine) {
        return Ok(Seen::WentDown);
    }
    bail!(
        "the witness failed: {}{}",
        output.stdout.trim(),
        output.stderr.trim()
    );
}

fn goes_down(machine: &Machine) -> bool {
    let until = Instant::now() + GOES_DOWN;
    while machine.is_up() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn script(machine: &Machine, script: &str) -> Result<()> {
    if script.is_empty() {
        return Ok(());
    }
    let output: Output = machine.run(&["bash", "-euo", "pipefail", "-c", script])?;
    output.into_stdout(script).map(drop)
}

fn plan(fault: &Fault, healer: &dyn Healer, waits: bool) -> Plan {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut alive: Vec<String> = fault
        .must_not
        .iter()
        .filter_map(|wrong| wrong.kill.clone())
        .collect();
    alive.push(BYSTANDER.to_owned());
    Plan {
        probes: fault.probes.clone(),
        checks: fault.checks.clone(),
        inject: fault.inject.clone(),
        later: fault
            .later
            .iter()
            .map(|later| (millis(later.after), later.run.clone()))
            .collect(),
        clock: fault.clock,
        until: match fault.class {
            Class::MustHeal => Until::Healed,
            Class::MustTell => Until::Told(fault.told_words()),
            Class::MustNotTouch | Class::MustNotTell => Until::Over,
        },
        wait: millis(fault.waits()),
        stable: millis(STABLE),
        after: millis(AFTER),
        told_within: (waits && healer.tells_people()).then(|| millis(TOLD_WITHIN)),
        people: fault.people,
        alive,
        afterwards: fault
            .must_not
            .iter()
            .filter_map(|wrong| wrong.unless.clone())
            .collect(),
    }
}
