//! `prunella web …`: the pages, and who may log in to them.

use crate::{args::WebCommand, exit::Exit, paths::Paths, web_service};

/// Runs the command.
pub(crate) fn run(paths: &Paths, command: WebCommand) -> anyhow::Result<Exit> {
    match command {
        WebCommand::Enable(args) => web_service::enable(paths, &args),
        WebCommand::Disable(args) => web_service::disable(&args),
    }
}
