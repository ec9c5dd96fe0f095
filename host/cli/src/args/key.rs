//! `prunella key`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use prunella_core::access::Role;

/// `prunella key`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Add a key and print it, once
    #[command(
        long_about = "Add a key for the API and print it.\n\n\
            The key is printed here and nowhere else: only its hash is kept. Programs send it as \
            `X-API-Key` or `Authorization: Bearer`. A viewer reads everything; an operator also \
            heals, pauses, decides and undoes; a service asks for its own health.",
        after_help = "\
Examples:
  sudo prunella key add grafana --role viewer
  sudo prunella key add deploy --role operator --expires 90d
  sudo prunella key add shop --role service --service shop.service"
    )]
    Add(KeyAddArgs),
    /// List the keys, and when each was used last
    #[command(after_help = "\
Examples:
  sudo prunella key list
  sudo prunella key list --json")]
    List(KeyListArgs),
    /// Revoke a key at once
    #[command(after_help = "\
Examples:
  sudo prunella key revoke grafana")]
    Revoke(KeyRevokeArgs),
}

/// `prunella key add`
#[derive(Debug, Args)]
pub(crate) struct KeyAddArgs {
    /// Name of the key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What its holder may do
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: KeyRole,

    /// Unit that a key with the role service is for; `.service` is optional
    #[arg(long, value_name = "UNIT", required_if_eq("role", "service"))]
    pub(crate) service: Option<String>,

    /// Time after which it is good for nothing, such as 90d [default: until it is revoked]
    #[arg(long, value_name = "SPAN", value_parser = crate::time::parse_span)]
    pub(crate) expires: Option<Duration>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyRole {
    /// Reads everything
    Viewer,
    /// Also heals, pauses, decides and undoes
    Operator,
    /// Is one service, and asks for its own health
    Service,
}

impl KeyRole {
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Operator => Role::Operator,
            Self::Service => Role::Service,
        }
    }
}

/// `prunella key list`
#[derive(Debug, Args)]
pub(crate) struct KeyListArgs {
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella key revoke`
#[derive(Debug, Args)]
pub(crate) struct KeyRevokeArgs {
    /// Name of the key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
