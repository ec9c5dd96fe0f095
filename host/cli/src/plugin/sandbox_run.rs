//! A component that is tried away from any host: loaded from anybody's file, and
//! run within the usual limits.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use prunella_core::{
    StrategyName,
    incident::Description,
    policy::{Act, Grants, Limits},
};
use prunella_daemon::plugins::component::MAX_COMPONENT;
use prunella_engine::{Level, Lines, Strategy};

use super::{candidate::read, engine};
use crate::exit::{Exit, Problem};

/// A strategy that was loaded to be tried, and who it says it is.
pub(super) struct SandboxRun {
    pub(super) strategy: Strategy,
    pub(super) description: Description,
}

impl SandboxRun {
    /// Loads a component. It may import whatever it likes: what it was granted is
    /// the business of what it is tried on.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let bytes = read(path, MAX_COMPONENT)?;
        let not_a_strategy =
            || Problem::new(Exit::Trouble, format!("{} cannot be tried", path.display()));
        let strategy = engine()?
            .load(&name_of(path), &bytes, &Grants::on_self(Act::ALL))
            .map_err(|error| not_a_strategy().because(error))?;
        let description = strategy
            .describe(&Limits::default())
            .result
            .map_err(|error| not_a_strategy().because(error))?
            .map_err(|failure| not_a_strategy().because(failure))?;
        Ok(Self {
            strategy,
            description,
        })
    }
}

/// The name that a file's strategy has where nothing else is configured.
fn name_of(path: &Path) -> StrategyName {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().replace('_', "-"))
        .and_then(|stem| StrategyName::new(stem).ok())
        .unwrap_or_else(StrategyName::unnamed)
}

/// The text of a file of anybody's; `what` it should be, such as `a scenario`.
pub(super) fn text(path: &Path, max: u64, what: &str) -> anyhow::Result<String> {
    String::from_utf8(read(path, max)?).map_err(|error| {
        let message = format!("{} is not {what}: it is not text", path.display());
        Problem::new(Exit::Usage, message).because(error).into()
    })
}

/// Keeps the lines that a strategy logs.
#[derive(Default)]
pub(super) struct Kept(Mutex<Vec<String>>);

impl Kept {
    /// The lines so far: `info: …`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Lines for Kept {
    fn line(&self, level: Level, message: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{level}: {message}"));
    }
}
