//! Integration tests: one program, so that only one is linked.

mod scenarios;
mod world;
