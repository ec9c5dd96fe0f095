//! Names and ports as a test writes them.

use prunella_core::{StrategyName, UnitName, service::Port};

/// A unit's name; anything else is a mistake in the test.
#[track_caller]
pub(crate) fn name(text: &str) -> UnitName {
    UnitName::new(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A strategy's name; anything else is a mistake in the test.
#[track_caller]
pub(crate) fn strategy_name(text: &str) -> StrategyName {
    StrategyName::new(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A port, such as `tcp/80`; anything else is a mistake in the test.
#[track_caller]
pub(crate) fn port(text: &str) -> Port {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}
