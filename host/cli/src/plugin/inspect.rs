//! `prunella plugin inspect`: what can be known of a file before it is trusted.

use prunella_config::Config;
use prunella_engine::LoadError;

use super::{
    candidate::Candidate,
    engine,
    info::{PluginInfo, is_large},
};
use crate::{
    args::PluginInspectArgs,
    exit::{Exit, Problem},
    output::{self, QUIET},
    paths::Paths,
};

/// Runs the command. All that runs of the component is `describe`, under all
/// limits and without a host, so anybody's file may be looked at.
pub(super) fn run(paths: &Paths, args: &PluginInspectArgs) -> anyhow::Result<Exit> {
    let candidate = Candidate::read(&args.file, None)?;
    let (path, bytes) = (&candidate.path, &candidate.bytes);
    if is_large(bytes) {
        output::remark(
            "note",
            QUIET,
            "it is large, and is compiled to be asked who it is: that takes a moment",
        );
    }
    let mut info = PluginInfo::of(&engine()?, path, bytes).map_err(|error| {
        match error.downcast::<LoadError>() {
            Ok(error) => Problem::new(
                Exit::Trouble,
                format!("{} is not a strategy", path.display()),
            )
            .because(error)
            .into(),
            Err(error) => error,
        }
    })?;
    // A configuration that cannot be read trusts nobody.
    let config = Config::load(&paths.config).config.unwrap_or_default();
    info.look_at_signature(&config, bytes, candidate.signature.as_deref());
    if args.json {
        output::print_json(&info)?;
    } else {
        output::print(&info.show(output::width()))?;
    }
    Ok(if info.is_good() {
        Exit::Ok
    } else {
        Exit::Trouble
    })
}
