//! Names: of units, of strategies, of channels, and of the things an operator
//! declared.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A unit name without one of systemd's suffixes, or with a character
    /// systemd does not allow.
    #[error("`{0}` is not the name of a unit: {1}")]
    Unit(String, &'static str),
    /// Not a name for a strategy, a channel or a declared thing.
    #[error(
        "`{0}` is not a name: use lower-case letters, digits and `-`, beginning with a letter, at most 64"
    )]
    Plain(String),
}

/// systemd's unit types (systemd.unit(5)).
const UNIT_SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];

/// The longest unit name systemd accepts (`UNIT_NAME_MAX`).
const UNIT_NAME_MAX: usize = 255;

/// The name of a systemd unit, such as `nginx.service` or `worker@1.service`.
///
/// Valid by construction. It may still be an alias: what is compared with a
/// grant or a protected unit is always the *canonical* name, which only systemd
/// can tell ([`units::Get`](crate::capability::units::Get)).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

impl UnitName {
    /// Checks a full unit name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let Some((stem, suffix)) = name.rsplit_once('.') else {
            return Err(NameError::Unit(
                name,
                "it has no suffix, such as `.service`",
            ));
        };
        if !UNIT_SUFFIXES.contains(&suffix) {
            return Err(NameError::Unit(
                name,
                "its suffix is not a unit type, such as `.service` or `.socket`",
            ));
        }
        if stem.is_empty() || stem.starts_with('@') {
            return Err(NameError::Unit(name, "nothing stands before the suffix"));
        }
        if name.len() > UNIT_NAME_MAX {
            return Err(NameError::Unit(name, "it is longer than 255 bytes"));
        }
        if !stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
        {
            return Err(NameError::Unit(
                name,
                "only letters, digits and `:-_.\\@` may stand in it",
            ));
        }
        Ok(Self(name))
    }

    /// Like [`new`](Self::new), but takes `nginx` for `nginx.service`, as
    /// systemctl does.
    pub fn from_user(name: &str) -> Result<Self, NameError> {
        let known = name
            .rsplit_once('.')
            .is_some_and(|(_, suffix)| UNIT_SUFFIXES.contains(&suffix));
        if known {
            Self::new(name)
        } else {
            Self::new(format!("{name}.service"))
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type, such as `service`.
    pub fn kind(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(_, suffix)| suffix)
    }

    /// The name without its type.
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(stem, _)| stem)
    }

    /// For `worker@1.service` its template, `worker@.service`.
    pub fn template(&self) -> Option<String> {
        let (prefix, instance) = self.stem().split_once('@')?;
        (!instance.is_empty()).then(|| format!("{prefix}@.{}", self.kind()))
    }

    /// For `worker@1.service` its instance, `1`.
    pub fn instance(&self) -> Option<&str> {
        let (_, instance) = self.stem().split_once('@')?;
        (!instance.is_empty()).then_some(instance)
    }

    /// Whether this is a template without an instance, such as `worker@.service`.
    pub fn is_template(&self) -> bool {
        self.stem().ends_with('@')
    }
}

/// The operator's name for a strategy: its config key or its file's stem.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StrategyName(String);

impl StrategyName {
    /// For a strategy that is only tried, and whose file has no name that could
    /// be one.
    pub fn unnamed() -> Self {
        Self("unnamed".to_owned())
    }

    /// Checks a name: lower-case letters, digits and `-`, beginning with a
    /// letter, at most 64 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if is_plain(&name) {
            Ok(Self(name))
        } else {
            Err(NameError::Plain(name))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The operator's name for a way to reach people: the key of `[channel.NAME]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

impl ChannelName {
    /// Checks a name: lower-case letters, digits and `-`, beginning with a
    /// letter, at most 64 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if is_plain(&name) {
            Ok(Self(name))
        } else {
            Err(NameError::Plain(name))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name` can name a strategy, channel, file, check or probe.
pub fn is_plain(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

macro_rules! string_newtype {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    };
}

string_newtype!(UnitName);
string_newtype!(StrategyName);
string_newtype!(ChannelName);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("nginx.service")]
    #[case::instance("postgresql@15-main.service")]
    #[case::escaped("dev-disk-by\\x2duuid.mount")]
    #[case::dots("a.b.socket")]
    fn a_unit_name(#[case] name: &str) {
        assert_eq!(UnitName::new(name).unwrap().as_str(), name);
    }

    #[rstest]
    #[case::no_suffix("nginx")]
    #[case::unknown_suffix("nginx.conf")]
    #[case::nothing_before(".service")]
    #[case::slash("../etc/passwd.service")]
    #[case::space("a b.service")]
    #[case::newline("a\nb.service")]
    fn not_a_unit_name(#[case] name: &str) {
        assert!(UnitName::new(name).is_err());
    }

    #[test]
    fn a_user_may_leave_out_service() {
        assert_eq!(UnitName::from_user("nginx").unwrap(), "nginx.service");
        assert_eq!(UnitName::from_user("a.socket").unwrap(), "a.socket");
        assert_eq!(
            UnitName::from_user("php8.2-fpm").unwrap(),
            "php8.2-fpm.service"
        );
    }

    #[test]
    fn template_of_an_instance() {
        let unit = UnitName::new("worker@1.service").unwrap();
        assert_eq!(unit.template().unwrap(), "worker@.service");
        assert!(!unit.is_template());
        assert!(UnitName::new("worker@.service").unwrap().is_template());
    }
}
