//! Those that are held against the catalogue. All get the same machine, the
//! same services, and what their operator would know of them; each is set up as
//! its careful users do it.

mod monit;
mod none;
mod prunella;
mod shell;
mod systemd;

use std::path::Path;

use anyhow::Result;
use prunella_machine::{Builder, Machine};

use self::prunella::Prunella;
use crate::{
    catalogue::{Fault, Speaks},
    plan::{HEALERS_SLICE, MAIL_PORT},
};

/// One way of having services healed.
pub trait Healer: Sync {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in a line.
    fn title(&self) -> &'static str;

    /// Whether it has a way to tell people anything.
    fn tells_people(&self) -> bool;

    /// Whether it is Prunella, whose missing capabilities are counted apart.
    fn is_prunella(&self) -> bool {
        false
    }

    /// Puts its configuration into a machine to be.
    fn furnish(&self, machine: Builder, fault: &Fault, programs: &Programs) -> Builder;

    /// Starts it, and waits until it looks after the services, which run.
    ///
    /// # Errors
    /// When it does not start.
    fn start(&self, machine: &Machine, fault: &Fault) -> Result<()>;

    /// Tells it to keep its hands off a unit, if it has a way to be told.
    ///
    /// # Errors
    /// When it has one, and that fails.
    fn pause(&self, machine: &Machine, unit: &str) -> Result<()> {
        let _ = (machine, unit);
        Ok(())
    }
}

/// Programs of ours that a machine needs.
#[derive(Debug)]
pub struct Programs {
    pub prunella: std::path::PathBuf,
    /// The service that misbehaves as it is told.
    pub victim: std::path::PathBuf,
    /// The benchmark's own eyes and hands.
    pub witness: std::path::PathBuf,
}

/// Every healer, in the order of the table.
#[must_use]
pub fn all() -> [&'static dyn Healer; 6] {
    [
        &none::NoHealer,
        &systemd::Restart,
        &monit::Monit,
        &shell::ShellHandler,
        &Prunella::Hook,
        &Prunella::Daemon,
    ]
}

/// Where Prunella is inside a machine.
const PRUNELLA: &str = "/opt/prunella/prunella";

/// The host's settings for Prunella: whom to tell, sooner than one would in
/// earnest, so that a run need not take long. All else is as shipped.
const SETTINGS: &str = r#"
[defaults]
proof = { stable-for = "1s", timeout = "30s" }

[channel.mail]
kind = "mail"
host = "127.0.0.1"
port = @PORT@
encryption = "none"
from = "Prunella <prunella@localhost>"
to = ["root@localhost"]

[alerts]
recovery = ["mail"]
escalation = ["mail"]
group-wait = "500ms"
recovery-group-wait = "500ms"
"#;

/// Its binary, and what an operator writes down for it: the same with daemon
/// and hook.
fn furnish_prunella(machine: Builder, fault: &Fault, prunella: &Path) -> Builder {
    let settings = SETTINGS.replace("@PORT@", &MAIL_PORT.to_string());
    let mut machine = machine.bind_ro(prunella, PRUNELLA).file(
        "/etc/prunella/prunella.toml",
        format!("{}\n{settings}", fault.prunella),
        0o644,
    );
    // Its own units, and those that run what is not its own.
    for unit in [
        "prunella.service",
        "prunella-hook@.service",
        "prunella-sweep.service",
        "prunella-.service",
    ] {
        machine = in_slice(machine, unit);
    }
    for service in &fault.services {
        let unit = &service.unit;
        let mut text = format!("unit = \"{unit}\"\n");
        if let Some(port) = service.port {
            text += &format!("ports = [\"tcp/{port}\"]\n");
        }
        text += &service.care;
        if let Some(port) = service.port {
            let asks = match service.speaks {
                Speaks::Http => format!("http = \"http://127.0.0.1:{port}/\""),
                Speaks::Redis => format!("redis = \"127.0.0.1:{port}\""),
                Speaks::Postgres => format!("postgres = \"127.0.0.1:{port}\""),
            };
            // As often and as patiently as monit asks.
            let failures = service.monit_cycles;
            let timeout = service.answers_within;
            text += &format!(
                "\n[[probe]]\nname = \"answers\"\n{asks}\ntimeout = \"{timeout}s\"\ninterval = \"1s\"\n\
                 failure-threshold = {failures}\n"
            );
        }
        machine = machine.file(format!("/etc/prunella/services.d/{unit}.toml"), text, 0o644);
    }
    machine
}

/// Has a healer's unit counted as a healer's.
fn in_slice(machine: Builder, unit: &str) -> Builder {
    machine.file(
        format!("/etc/systemd/system/{unit}.d/benchmark.conf"),
        format!("[Service]\nSlice={HEALERS_SLICE}\n"),
        0o644,
    )
}
