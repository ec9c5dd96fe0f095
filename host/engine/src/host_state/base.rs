//! What every strategy has: clock, log, settings, state.

use prunella_core::{
    Failure, StrategyName, Timestamp,
    capability::{Operation, clock},
    state::check_key,
    text::one_line,
};

use super::{HostState, PanicNote, TEXT, say};
use crate::Level;

/// The longest file name kept of a panic, in characters.
const FILE: usize = 200;

impl HostState {
    /// 1970 while describing.
    pub(crate) fn now(&mut self) -> wasmtime::Result<Timestamp> {
        self.clock(clock::Now {})
    }

    /// Nanoseconds since some moment; 0 while describing.
    pub(crate) fn monotonic(&mut self) -> wasmtime::Result<u64> {
        self.clock(clock::Monotonic {})
    }

    /// A clock cannot fail.
    fn clock<T: Default>(&mut self, clock: impl Operation<Answer = T>) -> wasmtime::Result<T> {
        self.count()?;
        let deadline = self.meter.deadline();
        Ok(self
            .context
            .as_ref()
            .and_then(|context| context.host.ask(deadline, clock).ok())
            .unwrap_or_default())
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

    /// The key of something that the strategy keeps, and whose it is.
    pub(crate) fn own_key(&self, key: String) -> Result<(StrategyName, String), Failure> {
        check_key(&key)?;
        Ok((self.meter.strategy().clone(), key))
    }
}
