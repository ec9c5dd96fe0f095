//! Integration tests: one program, so that only one is linked.

mod common;
mod notifications;
mod templates;
