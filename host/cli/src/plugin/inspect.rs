//! `prunella plugin inspect`: what can be known of a file before it is trusted.

use prunella_core::config::Config;
use prunella_engine::LoadError;

use super::{
    candidate::Candidate,
    engine,
    portrait::{Portrait, is_large},
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
    let mut portrait = Portrait::of(&engine()?, path, bytes).map_err(|error| {
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
    portrait.look_at_signature(&config, bytes, candidate.signature.as_deref());
    if args.json {
        output::print_json(&portrait)?;
    } else {
        output::print(&portrait.show(output::width()))?;
    }
    Ok(if portrait.is_good() {
        Exit::Ok
    } else {
        Exit::Trouble
    })
}
