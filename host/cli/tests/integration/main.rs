//! Integration tests: one program, so that only one is linked.

mod add;
mod inspect;
mod plugin_build;
mod plugin_test;
mod tutorial;
