//! Integration tests: one program, so that only one is linked.

mod access;
mod approvals;
mod common;
mod events;
mod health;
mod incidents;
mod ledger;
mod notices;
mod outbox;
mod retention;
mod samples;
mod state;
mod statistics;
mod totals;
mod trouble;
