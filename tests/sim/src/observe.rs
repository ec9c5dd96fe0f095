//! Looking at the simulated host.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{
        Answer, Clock, Disk, EnvKey, FileStatus, Files, Goal, History, Load, LogEntry, LogQuery,
        Logs, Memory, PastIncident, PortHolder, Ports, Pressure, PressureOf, ProbeAnswer, Probes,
        Process, ProcessInfo, Processes, Protocol, Resources, Termination, UnitStatus, Units,
    },
    hash,
    service::Port,
};

use crate::{
    Sim,
    files::file_status,
    world::{Shared, lock},
};

impl Clock for Sim {
    fn now(&self) -> u64 {
        lock(&self.world).millis()
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(lock(&self.world).monotonic.as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()> {
        let mut world = lock(&self.world);
        if world.real_time {
            drop(world);
            let left = deadline.saturating_duration_since(Instant::now());
            std::thread::sleep(duration.min(left));
            if duration > left {
                return Err(Failure::timed_out("deadline", "the sleep was cut short"));
            }
        } else {
            let time = world.within_run(duration);
            world.advance(time);
            if time < duration {
                return Err(Failure::timed_out(
                    "deadline",
                    "the run's time was up before the sleep was over",
                ));
            }
        }
        Ok(())
    }
}

impl Units for Sim {
    fn get(&self, _: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        Ok(lock(&self.world).find(unit)?.status.clone())
    }

    fn wait(
        &self,
        _: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        let mut world = lock(&self.world);
        world.find(unit)?;
        let timeout = world.within_run(timeout);
        let reached = world.wait(timeout, |world| {
            let status = &world.find(unit).ok()?.status;
            let settled = status.is_settled();
            match goal {
                Goal::Up if settled && status.is_up() => Some(Ok(status.clone())),
                Goal::Up if settled && status.active_state.word() == "failed" => {
                    Some(Err(Failure::failed(
                        "unit-failed",
                        format!("{unit} failed again ({})", status.result),
                    )))
                }
                Goal::Down if settled && !status.is_up() => Some(Ok(status.clone())),
                Goal::Settled if settled => Some(Ok(status.clone())),
                _ => None,
            }
        });
        reached.unwrap_or_else(|| {
            Err(Failure::timed_out(
                "not-there-yet",
                format!("{unit} did not get there in {} ms", timeout.as_millis()),
            ))
        })
    }
}

/// A handle to a simulated process.
struct Handle {
    info: ProcessInfo,
    world: Shared,
}

impl Process for Handle {
    fn info(&self) -> &ProcessInfo {
        &self.info
    }

    fn alive(&self) -> bool {
        lock(&self.world).processes.contains_key(&self.info.pid)
    }

    fn terminate(&self, _: Instant, grace: Duration) -> Answer<Termination> {
        let pid = self.info.pid;
        let mut world = lock(&self.world);
        world.acts.push(match &self.info.executable {
            Some(executable) => format!("terminate {executable}"),
            None => format!("terminate {pid}"),
        });
        let Some(process) = world.processes.get(&pid) else {
            return Ok(Termination::WasGone);
        };
        if process.ignores_term {
            world.advance(grace);
            world.ended(pid, "KILL");
            Ok(Termination::Killed)
        } else {
            world.ended(pid, "TERM");
            Ok(Termination::Asked)
        }
    }
}

impl Sim {
    fn handle(&self, info: ProcessInfo) -> Arc<dyn Process> {
        Arc::new(Handle {
            info,
            world: Arc::clone(&self.world),
        })
    }
}

impl Processes for Sim {
    fn of_unit(&self, _: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let world = lock(&self.world);
        let unit = world.find(unit)?.status.name.clone();
        Ok(world
            .processes
            .values()
            .filter(|process| process.info.unit.as_ref() == Some(&unit))
            .map(|process| self.handle(process.info.clone()))
            .collect())
    }
}

impl Ports for Sim {
    fn holders(&self, _: Instant, protocol: Protocol, number: u16) -> Answer<Vec<PortHolder>> {
        let world = lock(&self.world);
        let port = Port { protocol, number };
        Ok(world
            .held
            .iter()
            .filter(|held| held.port == port)
            .map(|held| PortHolder {
                process: held
                    .pid
                    .and_then(|pid| world.processes.get(&pid))
                    .map(|process| self.handle(process.info.clone())),
                unit: held.unit.clone(),
                socket_activated: held.socket_activated,
                address: "0.0.0.0".to_owned(),
            })
            .collect())
    }
}

impl Sim {
    fn file_of<T>(&self, name: &str, get: impl FnOnce(&crate::File) -> Answer<T>) -> Answer<T> {
        let world = lock(&self.world);
        world.service.file(name)?;
        match world.files.get(name) {
            Some(file) => get(file),
            None => Err(Failure::not_found("not-there", "the file is not there")),
        }
    }

    fn content_of<T>(&self, name: &str, get: impl FnOnce(&crate::File) -> Answer<T>) -> Answer<T> {
        self.file_of(name, |file| {
            if file.exists {
                get(file)
            } else {
                Err(Failure::not_found("not-there", "the file is not there"))
            }
        })
    }
}

impl Files for Sim {
    fn stat(&self, _: Instant, name: &str) -> Answer<FileStatus> {
        self.file_of(name, |file| Ok(file_status(file)))
    }

    fn sha256(&self, _: Instant, name: &str) -> Answer<String> {
        self.content_of(name, |file| {
            if file.secret {
                return Err(Failure::denied("secret", "the file is marked secret"));
            }
            Ok(hash::sha256(&file.content))
        })
    }

    fn env_keys(&self, _: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        self.content_of(name, |file| Ok(file.env.clone()))
    }

    fn missing_keys(&self, _: Instant, name: &str) -> Answer<Vec<String>> {
        self.content_of(name, |file| {
            let is_set = |key: &String| file.env.iter().any(|set| set.name == *key && !set.empty);
            Ok(file
                .required
                .iter()
                .filter(|key| !is_set(key))
                .cloned()
                .collect())
        })
    }
}

impl Logs for Sim {
    fn tail(&self, _: Instant, query: &LogQuery) -> Answer<Vec<LogEntry>> {
        let world = lock(&self.world);
        let unit = world.find(&query.unit)?.status.name.clone();
        let all = world.logs.get(&unit).map_or(&[][..], Vec::as_slice);
        let mut newest: Vec<LogEntry> = all
            .iter()
            .rev()
            .filter(|entry| query.priority.is_none_or(|least| entry.priority <= least))
            .take(query.lines as usize)
            .cloned()
            .collect();
        newest.reverse();
        Ok(newest)
    }
}

impl Resources for Sim {
    fn memory(&self) -> Answer<Memory> {
        Ok(lock(&self.world).memory)
    }

    fn disk(&self, _: &str) -> Answer<Disk> {
        Ok(lock(&self.world).disk)
    }

    fn load(&self) -> Answer<Load> {
        Ok(lock(&self.world).load)
    }

    fn pressure(&self, _: PressureOf) -> Answer<Pressure> {
        Ok(lock(&self.world).pressure)
    }
}

impl Probes for Sim {
    fn ask(&self, _: Instant, name: &str) -> Answer<ProbeAnswer> {
        let world = lock(&self.world);
        let asked = world.service.probe(name)?.of.clone();
        let asked = asked.unwrap_or_else(|| world.service.unit.clone());
        let answering = world.find(&asked).is_ok_and(|unit| unit.status.is_up())
            && !world.mute.iter().any(|mute| mute == name);
        Ok(ProbeAnswer {
            answering,
            detail: if answering {
                format!("{asked} answers")
            } else {
                "connection refused".to_owned()
            },
            took: Duration::from_micros(200),
        })
    }
}

impl History for Sim {
    fn recent(&self, limit: u32) -> Answer<Vec<PastIncident>> {
        let world = lock(&self.world);
        Ok(world.history.iter().take(limit as usize).cloned().collect())
    }
}
