//! What every strategy has: clock, log, settings, state.

use std::{sync::Arc, time::Duration};

use prunella_core::{Failure, argument, state::check_key, text::one_line};

use super::{Called, Context, PanicNote, Seam, TEXT, say};
use crate::{Call, Level};

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
            return Err(Failure::timed_out(
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

    /// What the strategy keeps under a key.
    pub(crate) fn kept(&mut self, key: &str) -> Called<Option<String>> {
        let context = self.observe()?;
        check_key(key)?;
        Ok(context.host.state.get(self.meter.strategy(), key)?)
    }

    pub(crate) fn keep(&mut self, key: &str, value: &str) -> Called<()> {
        let context = self.may_change_state()?;
        check_key(key)?;
        Ok(context.host.state.set(self.meter.strategy(), key, value)?)
    }

    /// Whether there was anything to forget.
    pub(crate) fn forget(&mut self, key: &str) -> Called<bool> {
        let context = self.may_change_state()?;
        check_key(key)?;
        Ok(context.host.state.remove(self.meter.strategy(), key)?)
    }

    pub(crate) fn kept_keys(&mut self) -> Called<Vec<String>> {
        let context = self.observe()?;
        Ok(context.host.state.keys(self.meter.strategy())?)
    }

    /// To assess is to look only: whoever asks for an opinion twice gets the
    /// same one.
    fn may_change_state(&mut self) -> Called<Arc<Context>> {
        let context = self.observe()?;
        if self.call != Call::Heal {
            return Err(argument::not_kept_in_assess().into());
        }
        Ok(context)
    }
}
