//! Builds the hostile strategy.

use std::process::ExitCode;

use prunella_guests::{Guests, exit};

const GUESTS: Guests<'_> = Guests {
    what: "the guests of tests/hostile",
    packages: &[("prunella-hostile-guest", "tests/hostile/guest")],
    stack: 128 << 10,
};

fn main() -> ExitCode {
    exit(GUESTS.embed())
}
