//! Integration tests: one program, so that only one is linked.

mod components;
mod strategies;
