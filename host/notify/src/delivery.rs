//! The seam to the channels: one try to deliver one message, and what became of
//! it.

use std::time::{Duration, Instant};

use crate::Message;

/// What became of one try to deliver a message.
///
/// The sentences are shown to people and kept in the store: no secret is in
/// them, and neither is an address that holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The far side has taken it over.
    Delivered {
        /// What it said, such as `250 2.0.0 Ok: queued as 4Xq1`.
        detail: String,
    },
    /// Not this time: no connection, no answer, too busy.
    TryAgain {
        reason: String,
        /// The far side asks not to be tried again sooner (Retry-After).
        not_before: Option<Duration>,
    },
    /// It will not take this message, however often it is tried.
    Refused {
        /// Why, and what to do about it.
        reason: String,
    },
}

/// A way to reach people.
pub trait Channel: Send + Sync {
    /// Tries once to deliver `message`, and has an answer by `deadline`: no
    /// answer from the far side by then is [`Delivery::TryAgain`].
    ///
    /// Called on a thread that may block. The same message may come again: it
    /// may have been delivered before by a process that was killed before it
    /// could say so. Whatever the protocol has to tell a second try from a
    /// second message is made from [`Message::id`].
    fn send(&self, message: &Message, deadline: Instant) -> Delivery;
}
