//! Looks whose answers are more than passed on: metered, capped, or known without
//! asking the host.

use prunella_core::{
    argument::{self, unit_name},
    capability::{LogEntry, files, logs},
    contract,
    text::one_line,
};
use wasmtime::component::Resource;

use super::{Called, File, Holder, HostState, Interrupted, Process, TEXT};
use crate::meter::Stop;

/// The most journal lines for one call. A strategy that needs more than these
/// looks for something it should ask differently.
const LINES: u32 = 1000;

/// What a line of the journal costs beside its text, in bytes.
const LINE_OVERHEAD: usize = 32;

impl HostState {
    /// A declared file: as it stands, and as it was declared.
    pub(crate) fn file(&mut self, name: String) -> Called<Resource<File>> {
        let context = self.begin()?;
        let declared = context.service.file(&name)?.clone();
        self.meter.room_for_handles(1)?;
        let status = self.ask_in(&context, files::Stat { name })?;
        self.give(File(contract::File { status, declared }))
    }

    /// The size is charged before the file is read. A secret file has none, and is
    /// denied.
    pub(crate) fn file_sha256(&mut self, name: String) -> Called<String> {
        let context = self.begin()?;
        let stat = files::Stat { name: name.clone() };
        if let Some(size) = self.ask_in(&context, stat)?.size {
            self.meter.hash(size)?;
        }
        self.ask_in(&context, files::Sha256 { name })
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

    /// The newest lines that fit what the run may still read of the journal.
    pub(crate) fn log_tail(
        &mut self,
        unit: &str,
        invocation: Option<String>,
        priority: Option<u8>,
        lines: u32,
    ) -> Called<Vec<LogEntry>> {
        let context = self.begin()?;
        let tail = logs::Tail {
            unit: unit_name(unit)?,
            invocation: invocation.map(argument::invocation).transpose()?,
            priority: priority.map(|priority| priority.min(7)),
            lines: lines.min(LINES),
        };
        let left = self.meter.journal_left()?;
        let mut entries = self.ask_in(&context, tail)?;
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

    pub(crate) fn probe_kind(&mut self, name: &str) -> Called<String> {
        let context = self.begin()?;
        Ok(context.service.probe(name)?.kind.as_str().to_owned())
    }

    pub(crate) fn probe_target(&mut self, name: &str) -> Called<Option<String>> {
        let context = self.begin()?;
        let target = context.service.probe(name)?.unit.as_ref();
        Ok(target.map(ToString::to_string))
    }
}
