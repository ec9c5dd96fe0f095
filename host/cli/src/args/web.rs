//! `prunella web …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::UnitDirectory;

#[derive(Debug, Subcommand)]
pub(crate) enum WebCommand {
    #[command(about = "Start the web pages and the API for the network")]
    Enable(WebEnableArgs),
    #[command(about = "Stop the web pages and the API for the network")]
    Disable(WebDisableArgs),
}

/// `prunella web enable`
#[derive(Debug, Args)]
#[command(
    long_about = "Start the web pages and the API for the network.\n\n\
        They run as prunella-web.service, a process of its own without rights, which is off until \
        this is run. Where it listens stands in web.toml in the configuration folder, which is \
        written with its explanations if there is none: 127.0.0.1:9780 as long as nothing else is \
        said. Run it again after a change there.",
    after_help = "\
Examples:
  sudo prunella web enable
  prunella web enable --dry-run      only show what would be done"
)]
pub(crate) struct WebEnableArgs {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The prunella-web binary, instead of the one beside this one
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}

/// `prunella web disable`
#[derive(Debug, Args)]
#[command(
    long_about = "Stop the web pages and the API for the network.\n\n\
        Removes prunella-web.service. web.toml stays, and so does the group prunella-web.",
    after_help = "\
Example:
  sudo prunella web disable"
)]
pub(crate) struct WebDisableArgs {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}
