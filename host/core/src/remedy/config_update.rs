//! `[[config-update]]`: one value in a configuration file, which may take the next of its
//! declared values.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{DeclaredRemedy, Lease};
use crate::text::redact;

/// A value that may be changed, one step at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigUpdate {
    /// The file. Absolute.
    pub path: PathBuf,
    pub format: ConfigFormat,
    /// Where the value stands in the file: names joined by dots, from the outermost table to
    /// the value's own.
    pub key: String,
    pub values: ConfigValues,
    /// The declared check that passes with the new content, before that is in force.
    pub check: String,
    /// Whether it is declared that nothing of the content may be shown: see
    /// [`is_secret`](Self::is_secret).
    pub secret: bool,
    /// Whoever has changed the file less long ago may still be at work on it.
    #[serde(rename = "untouched_for_milliseconds", with = "crate::span::in_millis")]
    pub untouched_for: Duration,
    /// What becomes of the change with time.
    pub lease: Lease,
}

impl ConfigUpdate {
    /// Whether nobody may see the value: it is declared so, or its key says so.
    pub fn is_secret(&self) -> bool {
        let last = self.key.rsplit('.').next().unwrap_or(&self.key);
        // As it stands in a file, with what stands for any value.
        let lines = [
            format!("{last}=x7Kq2mVd9"),
            format!("{last}: \"x7Kq2mVd9\""),
        ];
        self.secret || lines.iter().any(|line| redact(line) != *line)
    }
}

/// How a configuration file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigFormat {
    /// `NAME=value` lines, as systemd reads them.
    Env,
    Ini,
    Json,
    Toml,
    Yaml,
}

impl ConfigFormat {
    /// All there are, with the operator's word for each.
    pub const ALL: [(&'static str, Self); 5] = [
        ("env", Self::Env),
        ("ini", Self::Ini),
        ("json", Self::Json),
        ("toml", Self::Toml),
        ("yaml", Self::Yaml),
    ];

    /// The format that the end of a file's name tells.
    pub fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "env" => Self::Env,
            "ini" => Self::Ini,
            "json" => Self::Json,
            "toml" => Self::Toml,
            "yaml" | "yml" => Self::Yaml,
            _ => return None,
        })
    }
}

/// What the value may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigValues {
    /// One after the other, as they stand in the file without quotes. Each is there once.
    Listed(Vec<String>),
    /// Whole numbers from `min` to `max`; each step adds `step`, which may be negative.
    Range { min: i64, max: i64, step: i64 },
}

/// Why there is no next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoNextValue {
    /// The value is none of those that are declared.
    NotDeclared,
    /// It is the last of them.
    Last,
}

impl ConfigValues {
    /// The value that follows `current`.
    ///
    /// # Errors
    /// [`NoNextValue`] says why nothing follows it.
    pub fn next(&self, current: &str) -> Result<String, NoNextValue> {
        match self {
            Self::Listed(values) => {
                let mut rest = values.iter().skip_while(|value| *value != current);
                rest.next().ok_or(NoNextValue::NotDeclared)?;
                rest.next().cloned().ok_or(NoNextValue::Last)
            }
            Self::Range { min, max, step } => {
                let current: i64 = current.parse().map_err(|_| NoNextValue::NotDeclared)?;
                if !(*min..=*max).contains(&current) {
                    return Err(NoNextValue::NotDeclared);
                }
                let next = current.saturating_add(*step).clamp(*min, *max);
                if next == current {
                    return Err(NoNextValue::Last);
                }
                Ok(next.to_string())
            }
        }
    }
}

impl fmt::Display for ConfigValues {
    /// `8, 4, 2`, or `2 to 8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(values) => f.write_str(&values.join(", ")),
            Self::Range { min, max, .. } => write!(f, "{min} to {max}"),
        }
    }
}

impl DeclaredRemedy for ConfigUpdate {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn checks(&self) -> Vec<&str> {
        vec![&self.check]
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn listed() -> ConfigValues {
        ConfigValues::Listed(vec!["8".to_owned(), "4".to_owned(), "2".to_owned()])
    }

    fn range(step: i64) -> ConfigValues {
        ConfigValues::Range {
            min: 2,
            max: 8,
            step,
        }
    }

    #[rstest]
    #[case::first(listed(), "8", Ok("4"))]
    #[case::last(listed(), "2", Err(NoNextValue::Last))]
    #[case::other(listed(), "6", Err(NoNextValue::NotDeclared))]
    #[case::down(range(-4), "8", Ok("4"))]
    #[case::no_further_than_declared(range(-4), "4", Ok("2"))]
    #[case::at_the_end(range(-4), "2", Err(NoNextValue::Last))]
    #[case::up(range(5), "2", Ok("7"))]
    #[case::outside(range(5), "9", Err(NoNextValue::NotDeclared))]
    #[case::no_number(range(5), "auto", Err(NoNextValue::NotDeclared))]
    fn one_step_at_a_time(
        #[case] values: ConfigValues,
        #[case] current: &str,
        #[case] next: Result<&str, NoNextValue>,
    ) {
        assert_eq!(values.next(current), next.map(str::to_owned));
    }
}
