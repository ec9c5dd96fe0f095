//! Drop-ins of units whose services files are gone: systemd would go on calling the hook for
//! units that are in nobody's care.

use std::path::{Path, PathBuf};

use prunella_config::Config;
use prunella_core::UnitName;
use prunella_daemon::drop_ins;

use crate::{args::TidyArgs, exit::Exit, output, paths::Paths, systemctl};

/// Runs `prunella tidy`: Prunella's units do, outside of their sandbox, before they begin.
pub(crate) fn run(paths: &Paths, args: &TidyArgs) -> anyhow::Result<Exit> {
    let orphans = orphans(paths, &args.place.unit_dir)?;
    for (unit, path) in &orphans {
        drop_ins::remove(path)?;
        output::print(&format!(
            "removed {}: {unit} is in nobody's care\n",
            path.display()
        ))?;
    }
    if !orphans.is_empty() && systemctl::booted() {
        systemctl::run(&["daemon-reload"])?;
    }
    Ok(Exit::Ok)
}

/// The drop-ins to remove. With a mistake in the configuration none: its file declares a
/// service, too.
fn orphans(paths: &Paths, unit_dir: &Path) -> anyhow::Result<Vec<(UnitName, PathBuf)>> {
    match Config::load(&paths.config).config {
        Some(config) => Ok(drop_ins::orphans(unit_dir, &config)?),
        None => Ok(Vec::new()),
    }
}
