//! The channels: one try to bring one message to people, and what became of it.
//!
//! | kind | protocol | a second try of the same message |
//! |---|---|---|
//! | mail | SMTP, encrypted | has the same Message-ID; who has it already is not asked again |
//! | slack, discord, teams | an incoming webhook | cannot be told from the first: these have no means for it |
//! | pagerduty | Events API v2 | has the same `dedup_key`: the same incident |
//! | ntfy | JSON publishing | cannot be told from the first |
//! | alertmanager | API v2 | has the same labels: the same alert |
//! | webhook | JSON, signed | has the same `webhook-id` |
//!
//! What an operator can repair without the message being any different (a
//! password, a certificate, a file that is not there) is tried again; what the
//! far side says about the message itself is final.

mod alertmanager;
mod content;
mod discord;
mod fit;
mod hook;
pub(crate) mod http;
mod mail;
mod ntfy;
mod pagerduty;
mod signature;
mod slack;
mod teams;
mod webhook;

pub use self::content::wrong_with_secret;

use prunella_core::Timestamp;
use std::time::{Duration, Instant};

use prunella_config::channels::{ChannelKind, ChannelSettings};

use self::{hook::Hook, mail::Mail};
use crate::{Channel, Delivery, Message};

/// Why a channel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// What stands where an address should.
    #[error("the channel `{channel}` cannot be used: `{address}` is not a mail address")]
    Address {
        channel: String,
        /// What stands there.
        address: String,
        /// What is wrong with it.
        #[source]
        source: lettre::address::AddressError,
    },
}

/// Makes a channel ready. Nothing is read and nobody is called before the first
/// message: secrets and certificates are read anew for each try, so that they
/// can be replaced at any time.
///
/// The channel must not be used from within an asynchronous runtime: it has its
/// own, and blocks.
///
/// # Errors
/// Settings that no message could be sent with.
pub fn open(settings: &ChannelSettings) -> Result<Box<dyn Channel>, ChannelError> {
    Ok(match &settings.kind {
        ChannelKind::Mail(mail) => Box::new(Mail::open(settings, mail)?),
        _ => Box::new(Hook::new(settings)),
    })
}

/// One try: what the far side said, or why it came to nothing.
type Try = Result<String, Delivery>;

fn again(reason: impl Into<String>) -> Delivery {
    Delivery::TryAgain {
        reason: reason.into(),
        not_before: None,
    }
}

fn refused(reason: impl Into<String>) -> Delivery {
    Delivery::Refused {
        reason: reason.into(),
    }
}

fn delivery(outcome: Try) -> Delivery {
    match outcome {
        Ok(detail) => Delivery::Delivered { detail },
        Err(failed) => failed,
    }
}

/// Runs one try to its end on a runtime of its own, within `time`.
///
/// `late` says what was being waited for when the time was up.
fn run(
    time: Duration,
    attempt: impl Future<Output = Try>,
    late: impl FnOnce() -> String,
) -> Delivery {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return again(format!("cannot start a try: {error}")),
    };
    let outcome = runtime.block_on(async { tokio::time::timeout(time, attempt).await });
    // A name being looked up must not hold the thread beyond its deadline.
    runtime.shutdown_background();
    match outcome {
        Ok(outcome) => delivery(outcome),
        Err(_) => again(late()),
    }
}

/// How long a try may take: as the channel says, and not past `deadline`.
fn time_for(settings: &ChannelSettings, deadline: Instant) -> Option<Duration> {
    let left = deadline.checked_duration_since(Instant::now())?;
    (!left.is_zero()).then(|| left.min(settings.timeout))
}

/// Of a connection to one of a host's addresses; the next may be better.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `2026-11-22T02:51:27.123Z`
fn rfc3339(at: Timestamp) -> String {
    at.to_jiff()
        // What lies beyond every calendar is very late, not very early.
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

/// A sign of how it stands that is seen before a word is read.
fn mark(message: &Message) -> &'static str {
    use prunella_core::alert::Severity;
    match message.severity {
        _ if message.resolved => "✅",
        Severity::Critical => "🔴",
        Severity::Warning => "🟠",
        Severity::Info => "🔵",
    }
}

/// Where the whole story is told.
fn story(message: &Message) -> Option<String> {
    let incident = message.incidents.first()?;
    Some(format!(
        "The whole story, on {}: prunella incidents {incident}",
        message.host
    ))
}
