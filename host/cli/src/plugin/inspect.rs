//! `prunella plugin inspect`: what can be known of a file before it is trusted.

use prunella_engine::LoadError;

use super::{
    candidate::read,
    engine,
    portrait::{Portrait, is_large},
};
use crate::{
    args::PluginInspectArgs,
    exit::{Exit, Problem},
    loading::MAX_COMPONENT,
    output::{self, QUIET},
};

/// Runs the command. All that runs of the component is `describe`, under all
/// limits and without a host, so anybody's file may be looked at.
pub(super) fn run(args: &PluginInspectArgs) -> anyhow::Result<Exit> {
    let path = &args.file;
    let bytes = read(path, MAX_COMPONENT)?;
    if is_large(&bytes) {
        output::remark(
            "note",
            QUIET,
            "it is large, and is compiled to be asked who it is: that takes a moment",
        );
    }
    let portrait = Portrait::of(&engine()?, path, &bytes).map_err(|error| {
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
