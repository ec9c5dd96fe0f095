//! Integration tests: one program, so that only one is linked.

mod boot;
mod kernel;
mod victim;
