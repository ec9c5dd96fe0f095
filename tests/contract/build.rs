//! Builds one strategy for each version of the contract.

use std::process::ExitCode;

use prunella_guests::{Guests, exit};

const GUESTS: Guests<'_> = Guests {
    what: "the guests of tests/contract",
    packages: &[
        ("prunella-guest-0-1-0", "tests/contract/guest-0.1.0"),
        ("prunella-guest-0-1-1", "tests/contract/guest-0.1.1"),
    ],
    stack: 64 << 10,
};

fn main() -> ExitCode {
    exit(GUESTS.embed())
}
