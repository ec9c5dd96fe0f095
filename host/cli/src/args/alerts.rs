//! `prunella alerts`.

use clap::{Args, Subcommand, ValueEnum};
use prunella_core::alert::DispatchState;

/// `prunella alerts`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Show alert messages and test channels.\n\n\
        Lists messages about incidents, newest first: the channel, the state, the next try, and \
        why a message did not get through. A message is retried until it is delivered, for as \
        long as `give-up-after` says. Messages that were refused or given up stay listed, and can \
        be retried.",
    after_help = "\
Examples:
  prunella alerts
  prunella alerts --state failed --state refused
  prunella alerts show 9f3ac2d4
  sudo prunella alerts retry --all
  sudo prunella alerts test pager"
)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AlertsCommand>,

    #[command(flatten)]
    pub(crate) list: AlertsListArgs,
}

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct AlertsListArgs {
    /// Show only messages in this state; may be repeated
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<AlertState>,

    /// Show only this channel
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    /// Maximum number to show [default: 50]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// How far a message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlertState {
    /// Not sent yet
    Waiting,
    /// Being sent
    Sending,
    /// Accepted by the receiver
    Delivered,
    /// Rejected by the receiver
    Refused,
    /// Given up after all retries
    Failed,
    /// No longer true when it was to be sent
    Withdrawn,
}

impl AlertState {
    pub(crate) fn state(self) -> DispatchState {
        match self {
            Self::Waiting => DispatchState::Waiting,
            Self::Sending => DispatchState::Sending,
            Self::Delivered => DispatchState::Delivered,
            Self::Refused => DispatchState::Refused,
            Self::Failed => DispatchState::Failed,
            Self::Withdrawn => DispatchState::Withdrawn,
        }
    }
}

/// Other things to do with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Show one message and its delivery
    #[command(after_help = "\
Examples:
  prunella alerts show 20261122-030000Z-9f3ac2d4
  prunella alerts show 9f3ac2d4 --json")]
    Show(AlertsShowArgs),
    /// Retry messages now
    #[command(after_help = "\
Examples:
  sudo prunella alerts retry 9f3ac2d4
  sudo prunella alerts retry --all      every message that was not delivered")]
    Retry(AlertsRetryArgs),
    /// Send a test message through a channel
    #[command(
        long_about = "Send a test message through a channel.\n\n\
            Exits with 0 if the receiver accepted the message, and with 1 if not. If the daemon is \
            running, it sends the message, with the same credentials and sandbox as real alerts.",
        after_help = "\
Examples:
  sudo prunella alerts test mail"
    )]
    Test(AlertsTestArgs),
}

/// `prunella alerts show`
#[derive(Debug, Args)]
pub(crate) struct AlertsShowArgs {
    /// Message ID, or its beginning or end
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella alerts retry`
#[derive(Debug, Args)]
pub(crate) struct AlertsRetryArgs {
    /// Message ID, or its beginning or end
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) id: Option<String>,

    /// Retry every message that was not delivered
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
}

/// `prunella alerts test`
#[derive(Debug, Args)]
pub(crate) struct AlertsTestArgs {
    /// Channel name
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: String,
}
