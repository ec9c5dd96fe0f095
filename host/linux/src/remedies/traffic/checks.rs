//! Declared checks that take the service out of rotation, and put it back: whatever is told so
//! by a command.

use std::time::Instant;

use prunella_core::{
    Failure,
    capability::Answer,
    remedy::{ChangedTraffic, Plan, Receipt, ServerState, TrafficChange, TrafficChecks, Undo},
};

use super::{did, would};
use crate::checks::LinuxChecks;

pub(super) struct ChecksHere<'a> {
    checks: &'a LinuxChecks,
}

impl<'a> ChecksHere<'a> {
    pub(super) fn new(checks: &'a LinuxChecks) -> Self {
        Self { checks }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        name: &str,
        declared: &TrafficChecks,
        to: ServerState,
    ) -> Answer<Plan> {
        let Some(does) = does(declared, to) else {
            return Ok(Plan::nothing(format!(
                "`{name}` declares no check that puts it into maintenance"
            )));
        };
        let out = to != ServerState::Ready;
        if self.is_out(deadline, declared.drained.as_deref())? == Some(out) {
            let stands = if out { "out of" } else { "in" };
            return Ok(Plan::nothing(format!(
                "`{name}` is {stands} rotation already"
            )));
        }
        let back = if out {
            &declared.undrain
        } else {
            &declared.drain
        };
        let changed = ChangedTraffic {
            name: name.to_owned(),
            change: TrafficChange::Checks {
                back: back.clone(),
                drained: declared.drained.clone(),
                out,
            },
        };
        Ok(Plan::to(format!("{}: run check `{does}`", would(name, to)))
            .undone_by(Undo::RestoreTraffic(changed)))
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        declared: &TrafficChecks,
        to: ServerState,
    ) -> Answer<Receipt> {
        let does = does(declared, to).ok_or_else(|| {
            Failure::failed(
                "changed-meanwhile",
                format!("`{name}` declares no such check any more"),
            )
        })?;
        self.checks.pass(deadline, does)?;
        self.proven(
            deadline,
            declared.drained.as_deref(),
            to != ServerState::Ready,
        )?;
        Ok(Receipt::done(did(name, to)))
    }

    /// `out`: whether the service was out of rotation afterwards.
    pub(super) fn undo(
        &self,
        deadline: Instant,
        back: &str,
        drained: Option<&str>,
        out: bool,
    ) -> Answer<String> {
        if self.is_out(deadline, drained)? == Some(!out) {
            let stands = if out { "in" } else { "out of" };
            return Ok(format!("it is {stands} rotation"));
        }
        self.checks.pass(deadline, back)?;
        self.proven(deadline, drained, !out)?;
        Ok(format!("ran check `{back}`"))
    }

    /// Whether the service is out of rotation; none where no check tells.
    fn is_out(&self, deadline: Instant, drained: Option<&str>) -> Answer<Option<bool>> {
        let Some(check) = drained else {
            return Ok(None);
        };
        Ok(Some(self.checks.run(deadline, check)?.passed))
    }

    fn proven(&self, deadline: Instant, drained: Option<&str>, out: bool) -> Answer<()> {
        match (self.is_out(deadline, drained)?, drained) {
            (Some(is_out), Some(check)) if is_out != out => {
                let says = if is_out { "passes" } else { "does not pass" };
                Err(Failure::failed(
                    "not-proven",
                    format!("check `{check}` {says} after that"),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The check that does it.
fn does(declared: &TrafficChecks, to: ServerState) -> Option<&str> {
    match to {
        ServerState::Ready => Some(&declared.undrain),
        ServerState::Drain => Some(&declared.drain),
        ServerState::Maint => declared.maintain.as_deref(),
    }
}
