//! Making the fault, and what people do meanwhile.

use std::{
    fs,
    os::fd::OwnedFd,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{main_pid, main_process, now, shell};
use crate::catalogue::Step;

/// How long a process may take to end after what ends it.
const DEATH: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// Takes every step, and returns when the last was begun.
pub(super) fn make(steps: &[Step]) -> Result<i64> {
    let mut begun = now();
    for step in steps {
        // Found before the clock begins: asking systemd takes a while.
        let targets = targets(step)?;
        let dying: Vec<OwnedFd> = step
            .ends
            .iter()
            .map(|unit| main_process(unit))
            .collect::<Result<_>>()?;
        begun = now();
        if let Some(script) = &step.run {
            let output = shell(script)?;
            ensure!(
                output.status.success(),
                "a step of the injection failed ({}): {script}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        if !dying.is_empty() {
            wait_gone(&dying)?;
            begun = now();
        }
        if let Some(signal) = &step.signal {
            send(signal, &targets)?;
        }
    }
    Ok(begun)
}

fn targets(step: &Step) -> Result<Vec<OwnedFd>> {
    let mut targets = Vec::new();
    for unit in &step.units {
        let main = main_pid(unit)?;
        let pids = if step.to_all {
            with_its_group(main)?
        } else {
            vec![main]
        };
        for pid in pids {
            match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(process) => targets.push(process),
                Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(targets)
}

/// All processes of the control group that a process is in.
fn with_its_group(pid: Pid) -> Result<Vec<Pid>> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let group = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .context("no control group of version 2")?;
    let pids = fs::read_to_string(format!("/sys/fs/cgroup{group}/cgroup.procs"))?;
    Ok(pids
        .lines()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect())
}

/// Sends a signal; after one that ends a process, waits until it is gone. Until
/// then, it might be the one that answers.
fn send(name: &str, targets: &[OwnedFd]) -> Result<()> {
    let (signal, ends) = match name {
        "KILL" => (Signal::KILL, true),
        "SEGV" => (Signal::SEGV, true),
        "ABRT" => (Signal::ABORT, true),
        "TERM" => (Signal::TERM, false),
        "STOP" => (Signal::STOP, false),
        "USR1" => (Signal::USR1, false),
        _ => bail!("there is no signal {name} in this benchmark"),
    };
    ensure!(!targets.is_empty(), "there is no process to send {name} to");
    for target in targets {
        match pidfd_send_signal(target, signal) {
            // One that ended with another's end.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if ends {
        wait_gone(targets).with_context(|| format!("after SIG{name}"))?;
    }
    Ok(())
}

fn wait_gone(processes: &[OwnedFd]) -> Result<()> {
    for process in processes {
        let ready = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&DEATH))?;
        ensure!(ready > 0, "a process did not end within {} s", DEATH.tv_sec);
    }
    Ok(())
}

/// When each later step was begun, and what came of it.
type Done = Vec<(i64, Result<()>)>;

/// Takes the later steps, each at its time.
pub(super) fn later(injected: Instant, steps: Vec<(u64, String)>) -> JoinHandle<Done> {
    thread::spawn(move || {
        steps
            .into_iter()
            .map(|(after, script)| {
                let at = injected + Duration::from_millis(after);
                thread::sleep(at.saturating_duration_since(Instant::now()));
                let begun = now();
                let outcome = shell(&script).and_then(|output| {
                    ensure!(
                        output.status.success(),
                        "{script}\n{}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                    Ok(())
                });
                (begun, outcome)
            })
            .collect()
    })
}
