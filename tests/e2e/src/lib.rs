//! What end-to-end tests are made of: a machine, services that misbehave in
//! it, and Prunella, which is to notice and heal them, or rightly not to.
//!
//! Everything here panics when it cannot do what it is asked: then the machine
//! prints the end of its journal. Nothing waits for a time to pass where it
//! can wait for an event, and no test asserts that something is quick.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test code: a panic is the report"
)]

mod health;
mod incident;
mod place;
mod scene;

pub use incident::{Incident, Record};
pub use prunella_machine::{Machine, Software, Systemd, TIMEOUT};
pub use scene::{Builder, Scene};

/// Where the misbehaving service is inside a machine; see its own
/// documentation for what it can be told.
pub const VICTIM: &str = "/opt/test/victim";

/// A unit file for the misbehaving service, which tells systemd when it is
/// ready.
///
/// `service` are further lines of `[Service]`, `options` are the victim's.
pub fn victim(service: &str, options: &str) -> String {
    format!("[Service]\nType=notify\n{service}\nExecStart={VICTIM} --notify {options}\n")
}

/// [`victim`] with lines of `[Unit]` before it.
pub fn victim_with(unit: &str, service: &str, options: &str) -> String {
    format!("[Unit]\n{unit}\n{}", victim(service, options))
}

/// A unit file for a service that runs, and that ends at each start while `file` is there:
/// with the commands `end` of a shell. `service` are further lines of `[Service]`.
pub fn ends_while(file: &str, end: &str, service: &str) -> String {
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\n{service}\nExecStart=/bin/sh -c 'test ! -e \
         {file} || {{ {end}; }}; exec sleep infinity'\n"
    )
}

/// A text without the breaks of a terminal's lines.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
