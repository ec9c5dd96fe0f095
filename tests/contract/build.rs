//! Builds the strategy that the tests run.

use std::process::ExitCode;

use prunella_guests::{Guests, exit};

const GUESTS: Guests<'_> = Guests {
    what: "the guest of tests/contract",
    packages: &[("prunella-guest-counting", "tests/contract/guest")],
    stack: 64 << 10,
};

fn main() -> ExitCode {
    exit(GUESTS.embed())
}
