//! A plain `OnFailure=` handler in shell, of the kind that one finds on many
//! hosts: restart, wait, end whoever holds the port, restart again, tell people.

use anyhow::{Context, Result};
use prunella_machine::{Builder, Machine};

use super::{Healer, Programs, in_slice};
use crate::catalogue::Fault;

const SCRIPT: &str = include_str!("heal.sh");

const UNIT: &str = "[Unit]
Description=Heal %i

[Service]
Type=oneshot
ExecStart=/opt/faults/heal %i
";

pub(super) struct ShellHandler;

impl Healer for ShellHandler {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn title(&self) -> &'static str {
        "OnFailure= with a shell script"
    }

    fn tells_people(&self) -> bool {
        true
    }

    fn furnish(&self, machine: Builder, fault: &Fault, _: &Programs) -> Builder {
        let (mut ports, mut respect) = (String::new(), String::new());
        let mut machine = in_slice(machine, "heal@.service")
            .file("/opt/faults/heal", SCRIPT, 0o755)
            .unit("heal@.service", UNIT);
        for service in &fault.services {
            if let Some(port) = service.port {
                ports += &format!("{} {port}\n", service.unit);
            }
            if service.care.contains("start-limit") {
                respect += &format!("{}\n", service.unit);
            }
            machine = machine.file(
                format!("/etc/systemd/system/{}.d/heal.conf", service.unit),
                "[Unit]\nOnFailure=heal@%n.service\n",
                0o644,
            );
        }
        machine.file("/etc/heal/ports", ports, 0o644).file(
            "/etc/heal/respect-start-limit",
            respect,
            0o644,
        )
    }

    fn start(&self, _: &Machine, _: &Fault) -> Result<()> {
        Ok(())
    }

    fn pause(&self, machine: &Machine, unit: &str) -> Result<()> {
        machine
            .write_file(format!("/run/heal/off/{unit}"), "", 0o644)
            .context("the handler cannot be told to pause")
    }
}
