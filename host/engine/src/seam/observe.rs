//! Looking.

use std::time::Duration;

use prunella_core::{
    argument::{self, unit_name},
    capability::{
        Disk, EnvKey, Goal, Load, LogEntry, LogQuery, Memory, PastIncident, Pressure, ProbeAnswer,
    },
    text::one_line,
};
use wasmtime::component::Resource;

use super::{Called, File, Holder, Interrupted, Process, Seam, TEXT, Unit};
use crate::meter::Stop;

/// The most journal lines for one call. A strategy that needs more than these
/// looks for something it should ask differently.
const LINES: u32 = 1000;

/// The most earlier incidents for one call.
const INCIDENTS: u32 = 100;

/// What a line of the journal costs beside its text, in bytes.
const LINE_OVERHEAD: usize = 32;

impl Seam {
    pub(crate) fn unit(&mut self, name: &str) -> Called<Resource<Unit>> {
        let context = self.observe()?;
        let unit = unit_name(name)?;
        self.meter.room_for_handles(1)?;
        self.meter.bus_call()?;
        let status = context.host.units.get(self.meter.deadline(), &unit)?;
        self.give(Unit(status))
    }

    pub(crate) fn wait_for_unit(
        &mut self,
        name: &str,
        goal: Goal,
        milliseconds: u64,
    ) -> Called<Resource<Unit>> {
        let context = self.observe()?;
        let unit = unit_name(name)?;
        self.meter.room_for_handles(1)?;
        self.meter.bus_call()?;
        let timeout = self.meter.at_most_left(Duration::from_millis(milliseconds));
        let status = context
            .host
            .units
            .wait(self.meter.deadline(), &unit, goal, timeout)?;
        self.give(Unit(status))
    }

    pub(crate) fn processes_of(&mut self, unit: &str) -> Called<Vec<Resource<Process>>> {
        let context = self.observe()?;
        let unit = unit_name(unit)?;
        self.meter.room_for_handles(1)?;
        let processes = context
            .host
            .processes
            .of_unit(self.meter.deadline(), &unit)?;
        self.give_all(processes.into_iter().map(Process).collect())
    }

    pub(crate) fn process_alive(&mut self, process: &Resource<Process>) -> wasmtime::Result<bool> {
        self.count()?;
        Ok(self.at(process)?.0.alive())
    }

    pub(crate) fn port_holders(
        &mut self,
        protocol: &str,
        number: u16,
    ) -> Called<Vec<Resource<Holder>>> {
        let context = self.observe()?;
        let protocol = argument::protocol(protocol)?;
        self.meter.room_for_handles(1)?;
        let holders = context
            .host
            .ports
            .holders(self.meter.deadline(), protocol, number)?;
        self.give_all(holders.into_iter().map(Holder).collect())
    }

    /// The process behind a holder: a handle of its own. When there is no more
    /// room for it the run ends, for this call has no other way to say so.
    pub(crate) fn holder_process(
        &mut self,
        holder: &Resource<Holder>,
    ) -> wasmtime::Result<Option<Resource<Process>>> {
        self.count()?;
        let Some(process) = self.at(holder)?.0.process.clone() else {
            return Ok(None);
        };
        match self.give(Process(process)) {
            Ok(handle) => Ok(Some(handle)),
            Err(Interrupted::Failed(_)) => Err(Stop::Handles.into()),
            Err(Interrupted::Ended(error)) => Err(error),
        }
    }

    pub(crate) fn file(&mut self, name: &str) -> Called<Resource<File>> {
        let context = self.observe()?;
        let declared = context.service.file(name)?.clone();
        self.meter.room_for_handles(1)?;
        let status = context.host.files.stat(self.meter.deadline(), name)?;
        self.give(File { status, declared })
    }

    pub(crate) fn file_sha256(&mut self, name: &str) -> Called<String> {
        let context = self.observe()?;
        context.service.file(name)?;
        let deadline = self.meter.deadline();
        // The size is charged before the file is read. A secret file has none,
        // and is denied.
        if let Some(size) = context.host.files.stat(deadline, name)?.size {
            self.meter.hash(size)?;
        }
        Ok(context.host.files.sha256(deadline, name)?)
    }

    pub(crate) fn env_keys(&mut self, name: &str) -> Called<Vec<EnvKey>> {
        let context = self.observe()?;
        context.service.file(name)?;
        Ok(context.host.files.env_keys(self.meter.deadline(), name)?)
    }

    pub(crate) fn missing_keys(&mut self, name: &str) -> Called<Vec<String>> {
        let context = self.observe()?;
        context.service.file(name)?;
        Ok(context
            .host
            .files
            .missing_keys(self.meter.deadline(), name)?)
    }

    /// The newest lines that fit what the run may still read of the journal.
    pub(crate) fn log_tail(
        &mut self,
        unit: &str,
        invocation: Option<String>,
        priority: Option<u8>,
        lines: u32,
    ) -> Called<Vec<LogEntry>> {
        let context = self.observe()?;
        let unit = unit_name(unit)?;
        let invocation = invocation.map(argument::invocation).transpose()?;
        let left = self.meter.journal_left()?;
        let query = LogQuery {
            unit,
            invocation,
            priority: priority.map(|priority| priority.min(7)),
            lines: lines.min(LINES),
        };
        let mut entries = context.host.logs.tail(self.meter.deadline(), &query)?;
        let mut bytes = 0_usize;
        let mut kept = 0;
        for entry in entries.iter_mut().rev() {
            entry.message = one_line(&entry.message, TEXT);
            let cost = entry.message.len() + LINE_OVERHEAD;
            if bytes + cost > left || kept == LINES as usize {
                break;
            }
            bytes += cost;
            kept += 1;
        }
        self.meter.journal_read(bytes);
        if kept == 0 && !entries.is_empty() {
            // What is left is too little for a single line: used up.
            self.meter.journal_read(left);
            self.meter.journal_left()?;
        }
        entries.drain(..entries.len() - kept);
        Ok(entries)
    }

    pub(crate) fn memory(&mut self) -> Called<Memory> {
        Ok(self.observe()?.host.resources.memory()?)
    }

    pub(crate) fn disk(&mut self, place: &str) -> Called<Disk> {
        let context = self.observe()?;
        argument::place(place, &context.service)?;
        Ok(context.host.resources.disk(place)?)
    }

    pub(crate) fn load(&mut self) -> Called<Load> {
        Ok(self.observe()?.host.resources.load()?)
    }

    pub(crate) fn pressure(&mut self, of: &str) -> Called<Pressure> {
        let context = self.observe()?;
        let of = argument::pressure(of)?;
        Ok(context.host.resources.pressure(of)?)
    }

    pub(crate) fn ask_probe(&mut self, name: &str) -> Called<ProbeAnswer> {
        let context = self.observe()?;
        context.service.probe(name)?;
        Ok(context.host.probes.ask(self.meter.deadline(), name)?)
    }

    pub(crate) fn probe_kind(&mut self, name: &str) -> Called<String> {
        let context = self.observe()?;
        Ok(context.service.probe(name)?.kind.word().to_owned())
    }

    pub(crate) fn probe_target(&mut self, name: &str) -> Called<Option<String>> {
        let context = self.observe()?;
        let target = context.service.probe(name)?.of.as_ref();
        Ok(target.map(ToString::to_string))
    }

    pub(crate) fn past_incidents(&mut self, limit: u32) -> Called<Vec<PastIncident>> {
        let context = self.observe()?;
        Ok(context.host.history.recent(limit.min(INCIDENTS))?)
    }
}
