//! The web process before a daemon that answers with samples: what pages show of what others
//! wrote, what reaches the daemon, and what does not.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod daemon;
mod hostile;
mod orders;
mod relay;
mod samples;
mod sessions;
mod web;
