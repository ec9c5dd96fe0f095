//! Debian's monit, polling every second, with the checks that a careful operator
//! writes: the process, an answer on its port, and what the fault's file adds.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use prunella_machine::{Builder, Machine, TIMEOUT};

use super::{Healer, Programs, in_slice};
use crate::{
    catalogue::{Fault, Service, Speaks},
    plan::MAIL_PORT,
};

/// As Debian's, but for the pace, and that people are told of what matters: not
/// that monit itself was started.
const SETTINGS: &str = "\
set daemon 1
set log syslog
set pidfile /run/monit.pid
set idfile /var/lib/monit/id
set statefile /var/lib/monit/state
set mailserver 127.0.0.1 port @PORT@
set mail-format { from: monit@localhost }
set alert root@localhost not on { instance, action }
set httpd unixsocket /run/monit.sock
    allow localhost
";

/// As its authors give it; Debian's package has a script for the init of old.
const UNIT: &str = "[Unit]
Description=monit

[Service]
ExecStart=/usr/bin/monit -I
ExecReload=/usr/bin/monit reload
ExecStop=/usr/bin/monit quit
Restart=on-abnormal
";

pub(super) struct Monit;

impl Healer for Monit {
    fn name(&self) -> &'static str {
        "monit"
    }

    fn title(&self) -> &'static str {
        "monit, every second"
    }

    fn tells_people(&self) -> bool {
        true
    }

    fn furnish(&self, machine: Builder, fault: &Fault, _: &Programs) -> Builder {
        let mut text = SETTINGS.replace("@PORT@", &MAIL_PORT.to_string());
        for service in &fault.services {
            text += &check(service);
        }
        // It refuses to read what others may read.
        in_slice(machine, "monit.service")
            .unit("monit.service", UNIT)
            .file("/etc/monit/monitrc", text, 0o600)
    }

    fn start(&self, machine: &Machine, fault: &Fault) -> Result<()> {
        machine.run_ok(&["monit", "-t"])?;
        machine.systemctl(&["start", "monit.service"])?;
        // It asks nothing of a process that is younger than its start may take, and
        // the services of this machine are.
        let start = fault
            .services
            .iter()
            .map(|service| service.monit_start)
            .max();
        thread::sleep(Duration::from_secs(u64::from(start.unwrap_or(0)) + 1));
        // Until it has looked at everything once.
        let wanted = fault
            .services
            .iter()
            .filter(|service| service.start)
            .count();
        machine
            .wait_for("monit's first round", TIMEOUT, || {
                let summary = machine.run(&["monit", "-B", "summary"])?.stdout;
                let well = summary
                    .lines()
                    .filter(|line| line.contains(" OK ") || line.contains(" Running "))
                    .count();
                // One is the host itself.
                Ok((well > wanted).then_some(()))
            })
            .with_context(|| {
                machine
                    .run(&["monit", "-B", "status"])
                    .map_or_else(|error| error.to_string(), |said| said.stdout)
            })
    }

    fn pause(&self, machine: &Machine, unit: &str) -> Result<()> {
        let said = machine.run(&["monit", "unmonitor", &name(unit)])?;
        ensure!(
            said.success(),
            "monit unmonitor: {}{}",
            said.stdout,
            said.stderr
        );
        machine.wait_for("monit to keep its hands off", TIMEOUT, || {
            let summary = machine.run(&["monit", "-B", "summary"])?.stdout;
            Ok(summary
                .lines()
                .any(|line| line.contains(&name(unit)) && line.contains("Not monitored"))
                .then_some(()))
        })
    }
}

/// What monit calls a service: it takes no `@` in a name.
fn name(unit: &str) -> String {
    unit.replace('@', "-")
}

fn check(service: &Service) -> String {
    let unit = &service.unit;
    let name = name(unit);
    let wait = service.monit_start;
    // A start that systemd refuses, because of too many before, would be in vain;
    // where the operator wants that limit to hold, it holds.
    let reset = if service.care.contains("start-limit") {
        String::new()
    } else {
        format!("/usr/bin/systemctl reset-failed {unit}; ")
    };
    let only_if = service
        .monit_start_if
        .as_ref()
        .map_or_else(String::new, |check| format!("{check} && "));
    let begin = |how: &str| {
        format!("/bin/bash -c '{only_if}{{ {reset}/usr/bin/systemctl {how} {unit}; }}'")
    };
    let (start, restart) = (begin("start"), begin("restart"));
    let mut text = match &service.process {
        _ if service.job => asks_systemd(unit, "is-failed"),
        Some(process) => format!("\ncheck process {name} {process}\n"),
        None => asks_systemd(unit, "is-active"),
    };
    text += &format!(
        "  start program = \"{start}\" with timeout {wait} seconds\n  \
           stop program = \"/usr/bin/systemctl stop {unit}\" with timeout 30 seconds\n  \
           restart program = \"{restart}\" with timeout {wait} seconds\n"
    );
    if service.job {
        text += "  if status = 0 then restart\n";
    } else if service.process.is_none() {
        text += "  if status != 0 then restart\n";
    } else if let Some(port) = service.port {
        let protocol = match service.speaks {
            Speaks::Http => "http",
            Speaks::Redis => "redis",
            Speaks::Postgres => "pgsql",
        };
        text += &format!(
            "  if failed host 127.0.0.1 port {port} protocol {protocol} with timeout {} seconds \
             for {} cycles then restart\n",
            service.answers_within, service.monit_cycles
        );
    }
    text += "  if 5 restarts within 30 cycles then unmonitor\n";
    // monit goes through its checks in their order: what a service stands on is
    // looked at, and put right, before the service itself.
    match service.monit.find("check ") {
        Some(at) => {
            let (more, others) = service.monit.split_at(at);
            format!("\n{others}{text}{more}")
        }
        None => text + &service.monit,
    }
}

fn asks_systemd(unit: &str, what: &str) -> String {
    format!(
        "\ncheck program {} with path \"/usr/bin/systemctl {what} --quiet {unit}\"\n",
        name(unit)
    )
}
