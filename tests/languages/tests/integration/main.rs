//! Integration tests: one program, so that only one is linked.

mod examples;
mod from_template;
