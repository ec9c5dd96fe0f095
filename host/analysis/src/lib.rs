//! Root-cause analysis: by rules always, and by a language model where the
//! operator wants one.
//!
//! The rules ([`rules`]) know the classic causes, ask nobody, and name what made
//! them think so. The model is asked by a thread of its own, by a deadline, with
//! secrets and addresses taken out, and with everything that a log line could
//! say marked as data. What it answers is checked, and is an opinion.

pub mod rules;
