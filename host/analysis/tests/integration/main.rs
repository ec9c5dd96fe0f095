//! Integration tests: one program, so that only one is linked.

mod common;
mod lines;
mod model;
mod programs;
