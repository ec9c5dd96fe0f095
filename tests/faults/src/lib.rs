//! The open fault benchmark: how often, how fast and how rightly do services
//! heal, by whom?
//!
//! `catalogue/` has the faults, a TOML file for each; [`healers`] has those that
//! are held against them. A [run](run::run) boots a throw-away machine with a real
//! systemd and Debian's software, has one healer look after its services, makes one
//! fault, and looks on with eyes of its own (the `witness`, which runs in the
//! machine). [`judge`] says what came of it, and [`report`] shows it.
//!
//! `cargo xtask bench faults` is the command; `docs/faults.md` explains method and
//! limits.

pub mod catalogue;
pub mod healers;
pub mod judge;
pub mod plan;
pub mod report;
pub mod run;
pub mod witness;
