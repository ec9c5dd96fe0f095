//! What every strategy has: clock, log, settings.

use std::time::Duration;

use prunella_core::text::one_line;

use super::{Called, PanicNote, Seam, TEXT, say};
use crate::Level;

/// The longest file name kept of a panic, in characters.
const FILE: usize = 200;

impl Seam {
    /// Milliseconds since 1970; 0 while describing.
    pub(crate) fn now(&mut self) -> wasmtime::Result<u64> {
        self.count()?;
        Ok(self.context.as_ref().map_or(0, |c| c.host.clock.now()))
    }

    /// Nanoseconds since some moment; 0 while describing.
    pub(crate) fn monotonic(&mut self) -> wasmtime::Result<u64> {
        self.count()?;
        Ok(self
            .context
            .as_ref()
            .map_or(0, |c| c.host.clock.monotonic()))
    }

    pub(crate) fn sleep(&mut self, milliseconds: u64) -> Called<()> {
        let context = self.observe()?;
        let deadline = self.meter.deadline();
        let wanted = Duration::from_millis(milliseconds);
        let time = self.meter.at_most_left(wanted);
        context.host.clock.sleep(deadline, time)?;
        if time < wanted {
            return Err(prunella_core::Failure::timed_out(
                "deadline",
                "the run's deadline came before the end of the sleep",
            )
            .into());
        }
        Ok(())
    }

    /// Takes a line; drops it, and says so once, when there were too many.
    pub(crate) fn write(&mut self, level: Level, message: &str) -> wasmtime::Result<()> {
        self.count()?;
        let Some(context) = self.context.clone() else {
            return Ok(());
        };
        let line = one_line(message, TEXT);
        if self.meter.log(line.len()) {
            say(&context, level, &line);
        } else if self.meter.first_line_dropped() {
            say(
                &context,
                Level::Warn,
                "(further lines are dropped: `log-bytes` is used up)",
            );
        }
        Ok(())
    }

    /// Keeps what a panicking guest says of itself; the first word counts.
    pub(crate) fn panicked(
        &mut self,
        message: &str,
        file: &str,
        line: u32,
    ) -> wasmtime::Result<()> {
        self.count()?;
        if self.panic.is_none() {
            self.panic = Some(PanicNote {
                message: one_line(message, TEXT),
                file: one_line(file, FILE),
                line,
            });
        }
        Ok(())
    }

    pub(crate) fn setting_keys(&mut self) -> wasmtime::Result<Vec<String>> {
        self.count()?;
        Ok(self
            .context
            .as_ref()
            .map(|c| c.settings.keys().cloned().collect())
            .unwrap_or_default())
    }

    pub(crate) fn setting(&mut self, key: &str) -> wasmtime::Result<Option<String>> {
        self.count()?;
        Ok(self
            .context
            .as_ref()
            .and_then(|c| c.settings.get(key).cloned()))
    }
}
