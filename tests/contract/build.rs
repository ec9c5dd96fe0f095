//! Builds the strategies that the tests run.

use std::process::ExitCode;

use prunella_guests::{Guests, exit};

const GUESTS: Guests<'_> = Guests {
    what: "the guests of tests/contract",
    packages: &[
        ("prunella-guest-counting", "tests/contract/guest"),
        ("prunella-guest-measuring", "tests/contract/measuring"),
    ],
    stack: 64 << 10,
};

fn main() -> ExitCode {
    exit(GUESTS.embed())
}
