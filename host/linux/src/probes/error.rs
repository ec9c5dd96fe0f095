//! Why a probe got no answer.

use std::io;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    /// The declaration itself is wrong.
    #[error("{0}")]
    BadAddress(String),
    #[error("`{0}` has no address: {1}")]
    NoAddress(String, String),
    #[error("nobody listens there")]
    Refused,
    #[error("there is no socket")]
    NoSocket,
    /// What did not happen in time.
    #[error("{0} in time")]
    TimedOut(&'static str),
    #[error("it closed the connection without an answer")]
    Closed,
    /// More came than so many bytes.
    #[error("its answer is longer than {} KiB", .0 / 1024)]
    TooLong(usize),
    #[error("it does not speak {0}")]
    OtherProtocol(&'static str),
    #[error("{0} failed: {1}")]
    Failed(&'static str, io::Error),
}
