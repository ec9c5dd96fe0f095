//! Integration tests: one program, so that only one is linked.

mod common;
mod letters;
mod templates;
