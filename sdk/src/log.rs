//! Lines for the operator, kept with the incident: [`info!`](crate::info) and
//! its sisters.

use crate::contract::base::log as raw;

pub use raw::Level;

/// Writes one line. The macros are shorter.
pub fn write(level: Level, message: &str) {
    raw::write(level, message);
}

/// Writes a line for whoever debugs this strategy, formatted as by `format!`.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($message)+)) };
}

/// Writes a line that tells what is done and seen, formatted as by `format!`.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($message)+)) };
}

/// Writes a line about something that is not as it should be, formatted as by
/// `format!`.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($message)+)) };
}

/// Writes a line about something that went wrong, formatted as by `format!`.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($message)+)) };
}

/// From here on a panic tells the host its message and place before it traps;
/// the trap itself cannot carry them.
#[cfg(target_family = "wasm")]
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without words");
        let (file, line, column) = panic
            .location()
            .map_or(("", 0, 0), |at| (at.file(), at.line(), at.column()));
        raw::panicked(message, file, line, column);
    }));
}
