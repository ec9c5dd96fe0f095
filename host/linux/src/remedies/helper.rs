//! What a remedy does to files is done by this binary again, in a transient unit with what
//! that takes and nothing else: `prunella internal remedy REQUEST`. Request and answer are
//! JSON; the answer is the last line of the output.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::Answer,
    remedy::{Plan, Receipt},
    text::one_line,
};
use serde::{Deserialize, Serialize};

use super::{
    call, cleanup, config_update, failover, file_restore, memory, release, set_aside, stale_file,
    traffic,
};
use crate::{
    answer::answer,
    own_program::own_program,
    runs_as::RunsAs,
    transient::{Credential, Runner, Sandbox, Task},
};

/// In the names of the transient units.
const PURPOSE: &str = "remedy";

/// What the transient unit is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Request {
    Cleanup(cleanup::Request),
    ConfigUpdate(config_update::Request),
    Memory(memory::Request),
    Call(call::Request),
    Failover(failover::Request),
    FileRestore(file_restore::Request),
    Release(release::Request),
    SetAside(set_aside::Request),
    StaleFile(stale_file::Request),
    Traffic(traffic::Request),
}

/// What a helper process answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Planned(Plan),
    /// Whether a copy was taken.
    Kept(bool),
    Applied(Receipt),
    TakenBack(String),
    /// Which release can be gone back to.
    Found(release::Found),
    Failed(Failure),
}

impl Outcome {
    pub(super) fn planned(self) -> Answer<Plan> {
        match self {
            Self::Planned(plan) => Ok(plan),
            _ => Err(wrong_answer()),
        }
    }

    pub(super) fn kept(self) -> Answer<bool> {
        match self {
            Self::Kept(kept) => Ok(kept),
            _ => Err(wrong_answer()),
        }
    }

    pub(super) fn applied(self) -> Answer<Receipt> {
        match self {
            Self::Applied(receipt) => Ok(receipt),
            _ => Err(wrong_answer()),
        }
    }

    pub(super) fn found(self) -> Answer<release::Found> {
        match self {
            Self::Found(found) => Ok(found),
            _ => Err(wrong_answer()),
        }
    }

    pub(super) fn taken_back(self) -> Answer<String> {
        match self {
            Self::TakenBack(done) => Ok(done),
            _ => Err(wrong_answer()),
        }
    }
}

/// Has requests of one service carried out.
pub(super) struct Helper {
    unit: UnitName,
    runner: Arc<dyn Runner>,
}

impl Helper {
    pub(super) fn new(unit: UnitName, runner: Arc<dyn Runner>) -> Self {
        Self { unit, runner }
    }

    /// Stops helpers of a process that was killed, before something of it is undone.
    pub(super) fn stop_orphans(&self, deadline: Instant) -> Answer<()> {
        self.runner.stop_orphans(deadline, PURPOSE)
    }

    /// Has a request carried out. `what` tells people what the unit does: `plan of cleanup
    /// \`uploads\``.
    pub(super) fn run(
        &self,
        deadline: Instant,
        what: &str,
        request: &Request,
        sandbox: Sandbox,
        timeout: Duration,
    ) -> Answer<Outcome> {
        self.run_with(deadline, what, request, sandbox, Vec::new(), timeout)
    }

    /// The same, with secrets of systemd's that are handed on.
    pub(super) fn run_with(
        &self,
        deadline: Instant,
        what: &str,
        request: &Request,
        sandbox: Sandbox,
        credentials: Vec<Credential>,
        timeout: Duration,
    ) -> Answer<Outcome> {
        let broken = |error: &dyn std::fmt::Display| {
            Failure::failed("remedy-broken", format!("the {what} broke off: {error}"))
        };
        let argument = serde_json::to_string(request).map_err(|error| broken(&error))?;
        let task = Task {
            purpose: PURPOSE,
            description: format!("{what} for {}", self.unit),
            command: vec![
                own_program()?.to_string_lossy().into_owned(),
                "internal".to_owned(),
                "remedy".to_owned(),
                argument,
            ],
            runs_as: RunsAs::default(),
            sandbox,
            credentials,
            shown: Vec::new(),
            timeout,
        };
        let ended = self.runner.run(deadline, &task)?;
        if ended.timed_out {
            return Err(Failure::timed_out(
                "deadline",
                format!("the {what} took too long"),
            ));
        }
        let said = String::from_utf8_lossy(&ended.output);
        let last = said.lines().next_back().unwrap_or_default();
        match serde_json::from_str(last) {
            Ok(Outcome::Failed(failure)) => Err(failure),
            Ok(outcome) => Ok(outcome),
            Err(_) => Err(broken(&format!(
                "it ended with exit code {:?} and said `{}`",
                ended.exit_code,
                one_line(last, 200)
            ))),
        }
    }
}

/// The answer to another request.
fn wrong_answer() -> Failure {
    Failure::failed(
        "remedy-broken",
        "Prunella's own helper answered another question",
    )
}

/// `internal remedy REQUEST`: the part that runs in the transient unit.
pub(crate) fn main(request: &str) -> ExitCode {
    let outcome = serde_json::from_str::<Request>(request)
        .map_err(|error| Failure::invalid("bad-request", format!("not a remedy: {error}")))
        .and_then(|request| match request {
            Request::Cleanup(request) => cleanup::carry_out(&request),
            Request::ConfigUpdate(request) => config_update::carry_out(&request),
            Request::Memory(request) => memory::carry_out(&request),
            Request::FileRestore(request) => file_restore::carry_out(&request),
            Request::StaleFile(request) => stale_file::carry_out(&request),
            Request::Call(request) => call::carry_out(&request),
            Request::Failover(request) => failover::carry_out(&request),
            Request::Release(request) => release::carry_out(&request),
            Request::SetAside(request) => set_aside::carry_out(&request),
            Request::Traffic(request) => traffic::carry_out(&request),
        });
    match outcome {
        Ok(outcome) => answer(&outcome, ExitCode::SUCCESS),
        Err(failure) => answer(&Outcome::Failed(failure), ExitCode::FAILURE),
    }
}
