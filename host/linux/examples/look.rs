//! Shows what this crate sees of a unit on a real host: who holds a port, its
//! processes, the ports it listens on, its last lines in the journal.
//!
//! `look UNIT [tcp/PORT | --end tcp/PORT]`; `--end` ends the holders that are
//! proven to be the unit's own or left over from it.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use prunella_core::{
    UnitName,
    capability::{Ownership, Process, logs::Tail, process_control::Terminate},
    service::Port,
};
use prunella_linux::{
    Linux, LinuxSettings,
    cgroup::Cgroups,
    journal::Journal,
    logs::HostLogs,
    ports::{HostPorts, listening_ports_of},
    process_control::terminate,
    processes::{HostProcesses, Kin, Runs},
    units::Units,
};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let unit = UnitName::from_user(&arguments.next().context("which unit?")?)?;
    let mut end = false;
    let mut port: Option<Port> = None;
    for argument in arguments {
        if argument == "--end" {
            end = true;
        } else {
            port = Some(argument.parse().map_err(anyhow::Error::msg)?);
        }
    }

    let deadline = Instant::now() + Duration::from_secs(10);
    let linux = Linux::connect(LinuxSettings::default())?;
    let units: Arc<dyn Units> = Arc::new(linux.units());
    let cgroups = Arc::new(Cgroups::detect());
    let journal = Arc::new(Journal::of_this_host());
    let status = units.get(deadline, &unit)?;
    println!(
        "{} {} {} group {:?} in {:?}",
        status.name,
        status.active_state.as_str(),
        status.sub_state,
        status.control_group,
        cgroups.layout()
    );
    let kin = Arc::new(Kin::new(
        status.name.clone(),
        Arc::clone(&cgroups),
        Arc::clone(&units),
        Arc::clone(&journal) as Arc<dyn Runs>,
    ));
    for process in HostProcesses::new(Arc::clone(&kin)).of_unit(deadline, &status.name)? {
        show("process", &process);
    }
    match listening_ports_of(&cgroups, deadline, &status) {
        Ok(ports) => println!("listens on {ports:?}"),
        Err(failure) => println!("listens on: {failure:?}"),
    }
    if let Some(port) = port {
        let asked = Instant::now();
        let holders = HostPorts::new(kin).holders(deadline, port.protocol, port.number);
        println!("who holds {port}, in {:?}:", asked.elapsed());
        for holder in holders? {
            println!(
                "holder unit {:?} activated {} at {}",
                holder.unit.as_ref().map(UnitName::as_str),
                holder.socket_activated,
                holder.address
            );
            let Some(process) = holder.process else {
                continue;
            };
            show("  process", &process);
            if end && process.info.ownership != Ownership::Foreign {
                let grace = Duration::from_millis(300);
                let ending = terminate(deadline, &Terminate { process, grace });
                println!("  ended: {ending:?}");
            }
        }
    }
    let query = Tail {
        unit: status.name.clone(),
        invocation: None,
        priority: None,
        lines: 50,
    };
    let asked = Instant::now();
    let lines = HostLogs::new(Arc::clone(&journal)).tail(deadline, &query)?;
    println!(
        "{} lines of the journal in {:?}",
        lines.len(),
        asked.elapsed()
    );
    for line in &lines {
        println!(
            "  {} <{}> {}",
            line.at.as_millis(),
            line.priority,
            line.message
        );
    }
    if let Some(invocation) = &status.invocation {
        println!(
            "invocation {invocation}: given {:?}, stop job {:?}",
            journal.gave_invocation(deadline, &status.name, invocation),
            journal.stop_job(deadline, &status.name, invocation)
        );
    }
    Ok(())
}

fn show(what: &str, process: &Process) {
    let info = &process.info;
    println!(
        "{what} {} {:?} of {} in {:?}: {:?}, {}",
        info.pid,
        info.executable,
        info.user,
        info.unit.as_ref().map(UnitName::as_str),
        info.ownership,
        info.evidence
    );
}
