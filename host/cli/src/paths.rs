//! Where things are, as the global options say.

pub(crate) use prunella_daemon::paths::{CACHE, Paths, RUN, STATE};

use crate::args::Global;

/// The folders that `--config`, `--state-dir` and `--run-dir` name.
pub(crate) fn paths(global: &Global) -> Paths {
    Paths::new(
        global.config.clone(),
        global.state_dir.clone(),
        global.run_dir.clone(),
    )
}
