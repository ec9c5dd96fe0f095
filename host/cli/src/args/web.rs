//! `prunella web …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use prunella_core::access::Role;

use super::UnitDirectory;

#[derive(Debug, Subcommand)]
pub(crate) enum WebCommand {
    #[command(about = "Start the web pages and the API for the network")]
    Enable(WebEnableArgs),
    #[command(about = "Stop the web pages and the API for the network")]
    Disable(WebDisableArgs),
    /// Print a link to log in by, once
    #[command(
        long_about = "Print a link to log in by.\n\n\
            The link is good for five minutes and for one browser. There are no passwords. What \
            is ordered in that browser is written down under the name of whoever made the link.",
        after_help = "\
Examples:
  sudo prunella web login
  sudo prunella web login --role viewer
  sudo prunella web login --url https://host.example.org"
    )]
    Login(WebLoginArgs),
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
Examples:
  sudo prunella web disable"
)]
pub(crate) struct WebDisableArgs {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}

/// `prunella web login`
#[derive(Debug, Args)]
pub(crate) struct WebLoginArgs {
    /// What the browser may do
    #[arg(long, value_name = "ROLE", default_value = "operator")]
    pub(crate) role: BrowserRole,

    /// Address by which the browser reaches the web process
    /// (default: as web.toml has it)
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a browser may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrowserRole {
    /// Reads everything
    Viewer,
    /// Also heals, pauses, decides and undoes
    Operator,
}

impl BrowserRole {
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Operator => Role::Operator,
        }
    }
}
