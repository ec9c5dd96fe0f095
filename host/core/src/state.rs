//! How much a strategy may keep between incidents: the quotas of
//! `prunella:base/state`, as arithmetic for every place that keeps it.
//!
//! | what | at most |
//! |---|---|
//! | keys | 64 |
//! | a key | 64 bytes, at least one, no control characters |
//! | a value | 4 KiB |
//! | all keys and values together | 64 KiB |
//!
//! They hold for one strategy at one service. So the most that a host keeps is
//! known beforehand: strategies × services × 64 KiB.

use crate::Failure;

/// The most keys.
pub const MAX_KEYS: usize = 64;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 64;

/// The longest value, in bytes.
pub const MAX_VALUE: usize = 4 << 10;

/// The most that keys and values come to together, in bytes.
pub const MAX_TOTAL: usize = 64 << 10;

/// Whether this can be a key at all.
///
/// # Errors
/// `invalid` with the code `state-key`.
pub fn check_key(key: &str) -> Result<(), Failure> {
    if key.is_empty() || key.len() > MAX_KEY || key.chars().any(char::is_control) {
        return Err(Failure::invalid(
            "state-key",
            format!("a key of the state has 1 to {MAX_KEY} bytes and no control characters"),
        ));
    }
    Ok(())
}

/// What is kept besides the key that is about to be set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// How many keys.
    pub keys: usize,
    /// What keys and values come to, in bytes.
    pub bytes: usize,
}

impl Others {
    /// Of these keys and values, without `key`.
    pub fn of<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>, key: &str) -> Self {
        all.into_iter().filter(|(other, _)| *other != key).fold(
            Self::default(),
            |sum, (key, value)| Self {
                keys: sum.keys + 1,
                bytes: sum.bytes + key.len() + value.len(),
            },
        )
    }

    /// Whether there is room for `key` with this value beside them.
    ///
    /// # Errors
    /// `invalid` for what cannot be a key, `quota` with the code `state-value`,
    /// `state-keys` or `state-bytes` for what is too much.
    pub fn have_room_for(self, key: &str, value: &str) -> Result<(), Failure> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(Failure::quota(
                "state-value",
                format!(
                    "a value of the state has at most {MAX_VALUE} bytes, and this one has {}",
                    value.len()
                ),
            ));
        }
        if self.keys >= MAX_KEYS {
            return Err(Failure::quota(
                "state-keys",
                format!("the state has {MAX_KEYS} keys already, which is the most: remove one"),
            ));
        }
        if self.bytes.saturating_add(key.len() + value.len()) > MAX_TOTAL {
            return Err(Failure::quota(
                "state-bytes",
                format!(
                    "the state holds {} bytes besides this, and {MAX_TOTAL} are the most: remove \
                     something",
                    self.bytes
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("last-restart", true)]
    #[case::any_script("Zähler", true)]
    #[case::longest(&"k".repeat(64), true)]
    #[case::too_long(&"k".repeat(65), false)]
    #[case::too_long_in_bytes(&"ä".repeat(33), false)]
    #[case::nothing("", false)]
    #[case::two_lines("a\nb", false)]
    fn a_key(#[case] key: &str, #[case] is_one: bool) {
        assert_eq!(check_key(key).is_ok(), is_one);
    }

    #[rstest]
    #[case::the_first(Others::default(), 10, None)]
    #[case::the_longest(Others::default(), MAX_VALUE, None)]
    #[case::longer(Others::default(), MAX_VALUE + 1, Some("state-value"))]
    #[case::the_last_key(Others { keys: 63, bytes: 63 }, 1, None)]
    #[case::one_key_too_many(Others { keys: 64, bytes: 64 }, 1, Some("state-keys"))]
    #[case::just_full(Others { keys: 20, bytes: MAX_TOTAL - 11 }, 10, None)]
    #[case::overfull(Others { keys: 20, bytes: MAX_TOTAL - 10 }, 10, Some("state-bytes"))]
    fn room(#[case] others: Others, #[case] length: usize, #[case] refused: Option<&str>) {
        let came = others.have_room_for("k", &"v".repeat(length));
        assert_eq!(
            came.err().and_then(|failure| failure.code).as_deref(),
            refused
        );
    }

    #[test]
    fn an_earlier_value_of_the_key_does_not_count() {
        let all = [("a", "1234"), ("b", "12")];
        assert_eq!(Others::of(all, "a"), Others { keys: 1, bytes: 3 });
        assert_eq!(Others::of(all, "c"), Others { keys: 2, bytes: 8 });
    }
}
