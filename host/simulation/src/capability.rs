//! Everything that can be asked of the simulated host: a file for each capability,
//! and all of them put together here. Everything is allowed, and acts are written
//! down.

mod checks;
mod clock;
mod file_repair;
mod files;
mod filesystems;
mod health;
mod history;
mod logs;
pub(crate) mod metrics;
mod ports;
mod probes;
mod process_control;
mod processes;
pub(crate) mod remedies;
pub(crate) mod resources;
mod state;
mod unit_control;
mod units;

use std::time::Instant;

use prunella_core::{
    Failure,
    capability::{Answer, Call, HostCalls, Operation as _, Reply},
};

use crate::{Sim, world::lock};

impl HostCalls for Sim {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        if let Call::ClockSleep(sleep) = call {
            return sleep.reply(clock::sleep(&self.world, deadline, sleep.time));
        }
        let world = &mut *lock(&self.world);
        match call {
            Call::ClockNow(now) => now.reply(Ok(world.timestamp())),
            Call::ClockMonotonic(monotonic) => monotonic.reply(Ok(world.monotonic_nanos())),
            Call::ClockSleep(sleep) => sleep.reply(Ok(())),
            Call::UnitGet(get) => get.reply(world.unit(&get)),
            Call::UnitWait(wait) => wait.reply(world.wait_for_unit(&wait)),
            Call::ProcessesOfUnit(of) => of.reply(world.processes_of(&of)),
            Call::ProcessAlive(alive) => alive.reply(Ok(world.is_alive(&alive))),
            Call::PortHolders(holders) => holders.reply(Ok(world.holders(holders))),
            Call::FileStat(stat) => stat.reply(world.stat(&stat)),
            Call::FileSha256(sha256) => sha256.reply(world.sha256(&sha256)),
            Call::FileEnvKeys(keys) => keys.reply(world.env_keys(&keys)),
            Call::FileMissingKeys(keys) => keys.reply(world.missing_keys(&keys)),
            Call::LogTail(tail) => tail.reply(world.tail(&tail)),
            Call::MemoryUse(memory) => memory.reply(Ok(world.memory)),
            Call::FileSystemList(list) => list.reply(Ok(world.file_systems())),
            Call::FileSystemBelow(below) => below.reply(world.file_system_below(&below)),
            Call::LoadAverage(load) => load.reply(Ok(world.load)),
            Call::PressureShare(pressure) => pressure.reply(Ok(world.pressure)),
            Call::ProbeAsk(ask) => ask.reply(world.probe(&ask)),
            Call::HealthGet(get) => get.reply(world.health(&get)),
            Call::MetricLatest(latest) => latest.reply(world.latest_of(&latest)),
            Call::MetricOver(over) => over.reply(world.over(&over)),
            Call::HistoryRecent(recent) => recent.reply(Ok(world.recent(recent))),
            Call::StateGet(get) => get.reply(world.kept(&get)),
            Call::StateSet(set) => set.reply(world.keep(&set)),
            Call::StateRemove(remove) => remove.reply(world.forget(&remove)),
            Call::StateKeys(keys) => keys.reply(world.kept_keys(&keys)),
            Call::UnitSubmit(submit) => submit.reply(world.submit(&submit)),
            Call::UnitResetFailed(reset) => reset.reply(world.reset_failed(&reset)),
            Call::JobWait(wait) => wait.reply(world.wait_for_job(&wait)),
            Call::ProcessTerminate(end) => end.reply(Ok(world.terminate(&end))),
            Call::FileRepair(repair) => repair.reply(world.repair(&repair)),
            Call::RemedyPlan(of) => of.reply(world.plan(&of)),
            Call::RemedyApply(apply) => apply.reply(world.apply(&apply)),
            // Which release is in force is no matter here: a test says what its plan is.
            Call::ReleaseInForce(look) => look.reply(Err(Failure::not_found(
                "no-release",
                format!("`{}` has no model", look.name),
            ))),
            // Nothing is lost here.
            Call::ProcessLastFacts(of) => of.reply(Ok(Vec::new())),
            Call::RemedyKeep(keep) => keep.reply(Ok(false)),
            Call::RemedyTakeBack(back) => back.reply(Ok(world.take_back(&back))),
            Call::CheckRun(run) => run.reply(world.check(&run)),
        }
    }
}
