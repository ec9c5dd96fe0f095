//! Lengths of time that are serialised as plain numbers, such as
//! `#[serde(with = "crate::span::in_micros")] took: Duration`. What is shorter than
//! the unit is cut off.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

/// A length of time, or none.
pub trait Span: Sized {
    /// What it is in JSON.
    type Number: Serialize + DeserializeOwned;

    fn to_number(&self, unit: fn(&Duration) -> u128) -> Self::Number;

    fn of_number(number: Self::Number, unit: fn(u64) -> Duration) -> Self;
}

impl Span for Duration {
    type Number = u64;

    fn to_number(&self, unit: fn(&Duration) -> u128) -> u64 {
        u64::try_from(unit(self)).unwrap_or(u64::MAX)
    }

    fn of_number(number: u64, unit: fn(u64) -> Duration) -> Self {
        unit(number)
    }
}

impl Span for Option<Duration> {
    type Number = Option<u64>;

    fn to_number(&self, unit: fn(&Duration) -> u128) -> Option<u64> {
        self.map(|span| span.to_number(unit))
    }

    fn of_number(number: Option<u64>, unit: fn(u64) -> Duration) -> Self {
        number.map(unit)
    }
}

/// As a number of milliseconds.
pub mod in_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Span;

    /// # Errors
    /// The serializer's.
    pub fn serialize<T: Span, S: Serializer>(span: &T, to: S) -> Result<S::Ok, S::Error> {
        span.to_number(Duration::as_millis).serialize(to)
    }

    /// # Errors
    /// When it is no such number.
    pub fn deserialize<'de, T: Span, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let number = T::Number::deserialize(from)?;
        Ok(T::of_number(number, Duration::from_millis))
    }
}

/// As a number of microseconds.
pub mod in_micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Span;

    /// # Errors
    /// The serializer's.
    pub fn serialize<T: Span, S: Serializer>(span: &T, to: S) -> Result<S::Ok, S::Error> {
        span.to_number(Duration::as_micros).serialize(to)
    }

    /// # Errors
    /// When it is no such number.
    pub fn deserialize<'de, T: Span, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let number = T::Number::deserialize(from)?;
        Ok(T::of_number(number, Duration::from_micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Lengths {
        #[serde(with = "in_millis")]
        wait: Duration,
        #[serde(with = "in_micros")]
        took: Option<Duration>,
        #[serde(default, with = "in_micros")]
        none: Option<Duration>,
    }

    #[test]
    fn lengths_are_plain_numbers() {
        let lengths = Lengths {
            wait: Duration::from_secs(2),
            took: Some(Duration::from_micros(7)),
            none: None,
        };
        let text = serde_json::to_string(&lengths).unwrap();
        assert_eq!(text, r#"{"wait":2000,"took":7,"none":null}"#);
        assert_eq!(serde_json::from_str::<Lengths>(&text).unwrap(), lengths);
        let without = r#"{"wait":2000,"took":7}"#;
        assert_eq!(serde_json::from_str::<Lengths>(without).unwrap(), lengths);
    }
}
