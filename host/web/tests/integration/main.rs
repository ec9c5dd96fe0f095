//! The web process before a daemon that answers with samples: what pages show of what others
//! wrote, what reaches the daemon, and what does not.

mod daemon;
mod hostile;
mod orders;
mod relay;
mod samples;
mod sessions;
mod web;
