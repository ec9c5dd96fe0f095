//! One message on its way through one channel, and how far it has got.

use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::{ChannelName, Timestamp, incident::IncidentId};

/// One message on its way through one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dispatch {
    /// The channel's name.
    pub channel: ChannelName,
    /// How far it has got.
    pub state: DispatchState,
    /// When it was written down.
    pub created: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// When it was tried last.
    pub tried: Option<Timestamp>,
    /// When it is tried next; absent when it is not.
    pub next: Option<Timestamp>,
    /// What came of the last try, in a sentence.
    pub detail: Option<String>,
    /// The message; its [`id`](Message::id) is the dispatch's name too.
    pub message: Message,
}

/// How far a message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DispatchState {
    /// It is to be tried.
    Waiting,
    /// It is being tried, or was when Prunella was killed: then it is tried
    /// again under the same id.
    Sending,
    /// The far side has it.
    Delivered,
    /// The far side does not take it.
    Refused,
    /// It was tried for as long as the configuration says, in vain.
    Failed,
    /// It was not true any more when it was to be sent.
    Withdrawn,
}

impl DispatchState {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Sending,
        Self::Delivered,
        Self::Refused,
        Self::Failed,
        Self::Withdrawn,
    ];

    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Which dispatches. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DispatchFilter {
    /// Only those in one of these states; any, when empty.
    pub states: Vec<DispatchState>,
    /// Only this channel's.
    pub channel: Option<ChannelName>,
    /// Only those that tell of this incident.
    pub incident: Option<IncidentId>,
    /// At most so many.
    pub limit: Option<u32>,
}
