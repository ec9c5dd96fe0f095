//! What a strategy is, and what it says.

use std::fmt;

use crate::{Incident, IncidentKind, Result, bindings::prunella::strategy::types as raw};

/// One way of healing. Implement it, and hand it to
/// [`export!`](crate::export).
///
/// Every call gets a fresh instance: nothing is kept from one to the next.
pub trait Strategy {
    /// Who it is. May neither act nor look.
    fn describe() -> Description;

    /// Looks, and says what it would do. Act calls are denied here, but for
    /// checks that the operator declared to change nothing.
    ///
    /// # Errors
    /// Whatever kept the strategy from knowing.
    fn assess(incident: &Incident<'_>) -> Result<Assessment>;

    /// Heals. The host looks for itself afterwards whether it is true.
    ///
    /// # Errors
    /// Whatever kept the strategy from healing.
    fn heal(incident: &Incident<'_>) -> Result<Outcome>;
}

/// Who a strategy says it is; see [`description!`](crate::description).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    name: String,
    version: String,
    author: String,
    summary: String,
    settings: Vec<Setting>,
    treats: Vec<IncidentKind>,
}

impl Description {
    /// The name and version of the strategy, and what it heals and how in one
    /// sentence. [`description!`](crate::description) takes the first two from
    /// `Cargo.toml`.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            author: String::new(),
            summary: summary.into(),
            settings: Vec::new(),
            treats: Vec::new(),
        }
    }

    /// Which incidents it treats. One that does not say treats failures.
    #[must_use]
    pub fn treats(mut self, kinds: impl IntoIterator<Item = IncidentKind>) -> Self {
        self.treats = kinds.into_iter().collect();
        self
    }

    /// Who wrote it.
    #[must_use]
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = author.into();
        self
    }

    /// One more setting that it knows.
    #[must_use]
    pub fn setting(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }
}

/// The [`Description`] of the crate this stands in: name, version and authors
/// from its `Cargo.toml`.
#[macro_export]
macro_rules! description {
    ($summary:expr $(,)?) => {
        $crate::Description::new(
            ::core::env!("CARGO_PKG_NAME"),
            ::core::env!("CARGO_PKG_VERSION"),
            $summary,
        )
        .author(::core::env!("CARGO_PKG_AUTHORS"))
    };
}

/// One key of `[strategy.NAME.settings]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    name: String,
    kind: &'static str,
    default: Option<String>,
    help: String,
}

impl Setting {
    fn new(name: &str, kind: &'static str, help: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            default: None,
            help: help.to_owned(),
        }
    }

    /// Any text.
    pub fn text(name: &str, help: &str) -> Self {
        Self::new(name, "text", help)
    }

    /// A whole number.
    pub fn number(name: &str, help: &str) -> Self {
        Self::new(name, "number", help)
    }

    /// `true` or `false`.
    pub fn boolean(name: &str, help: &str) -> Self {
        Self::new(name, "boolean", help)
    }

    /// Such as `5s`.
    pub fn duration(name: &str, help: &str) -> Self {
        Self::new(name, "duration", help)
    }

    /// What it is when the operator does not set it. A setting without a
    /// default has to be set.
    #[must_use]
    pub fn or(mut self, default: impl Into<String>) -> Self {
        self.default = Some(default.into());
        self
    }
}

/// What a strategy says when it has looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assessment {
    /// It would heal it.
    Applies {
        /// 0 to 100.
        confidence: u8,
        /// The facts it saw.
        reason: String,
    },
    /// Nothing here for it.
    NotApplicable {
        /// The facts it saw.
        reason: String,
    },
    /// Another unit has to be healed first; nobody acts until then.
    BlockedBy {
        /// Which.
        unit: String,
        /// The facts it saw.
        reason: String,
    },
    /// Whatever else applies: nobody should act until this is resolved.
    Veto {
        /// The facts it saw.
        reason: String,
    },
}

impl Assessment {
    /// This strategy would heal it, with a confidence of 0 to 100 (more counts
    /// as 100).
    pub fn applies(confidence: u8, reason: impl Into<String>) -> Self {
        Self::Applies {
            confidence: confidence.min(100),
            reason: reason.into(),
        }
    }

    /// Nothing here for this strategy.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable {
            reason: reason.into(),
        }
    }

    /// Another unit has to be healed first.
    pub fn blocked_by(unit: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::BlockedBy {
            unit: unit.into(),
            reason: reason.into(),
        }
    }

    /// Nobody should act until this is resolved.
    pub fn veto(reason: impl Into<String>) -> Self {
        Self::Veto {
            reason: reason.into(),
        }
    }
}

/// What a strategy says when it has healed, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and it looks healthy. The host looks for itself.
    Healed {
        /// What was done.
        summary: String,
    },
    /// Nothing here for it after all.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// It could not.
    Failed {
        /// Why.
        reason: String,
    },
    /// Another unit has to be healed first.
    BlockedBy {
        /// Which.
        unit: String,
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Done, and it looks healthy.
    pub fn healed(summary: impl Into<String>) -> Self {
        Self::Healed {
            summary: summary.into(),
        }
    }

    /// Nothing here for this strategy after all.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable {
            reason: reason.into(),
        }
    }

    /// It could not.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.into(),
        }
    }

    /// Another unit has to be healed first.
    pub fn blocked_by(unit: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::BlockedBy {
            unit: unit.into(),
            reason: reason.into(),
        }
    }

    /// The same, told after what was done before: `repaired …; started …`.
    #[must_use]
    pub fn after(mut self, done: &str) -> Self {
        let (Self::Healed { summary: said }
        | Self::NotApplicable { reason: said }
        | Self::Failed { reason: said }
        | Self::BlockedBy { reason: said, .. }) = &mut self;
        if !done.is_empty() {
            *said = format!("{done}; {said}");
        }
        self
    }
}

impl fmt::Display for Assessment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applies { confidence, reason } => write!(f, "applies {confidence}: {reason}"),
            Self::NotApplicable { reason } => write!(f, "not-applicable: {reason}"),
            Self::BlockedBy { unit, reason } => write!(f, "blocked-by {unit}: {reason}"),
            Self::Veto { reason } => write!(f, "veto: {reason}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healed { summary } => write!(f, "healed: {summary}"),
            Self::NotApplicable { reason } => write!(f, "not-applicable: {reason}"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::BlockedBy { unit, reason } => write!(f, "blocked-by {unit}: {reason}"),
        }
    }
}

impl From<Description> for raw::Description {
    fn from(description: Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            author: description.author,
            summary: description.summary,
            settings: description
                .settings
                .into_iter()
                .map(|setting| raw::Setting {
                    name: setting.name,
                    kind: setting.kind.to_owned(),
                    required: setting.default.is_none(),
                    default: setting.default,
                    help: setting.help,
                })
                .collect(),
            treats: description
                .treats
                .iter()
                .map(|kind| kind.as_str().to_owned())
                .collect(),
        }
    }
}

impl From<Assessment> for raw::Assessment {
    fn from(assessment: Assessment) -> Self {
        match assessment {
            Assessment::Applies { confidence, reason } => {
                Self::Applies(raw::Applies { confidence, reason })
            }
            Assessment::NotApplicable { reason } => Self::NotApplicable(reason),
            Assessment::BlockedBy { unit, reason } => {
                Self::BlockedBy(raw::BlockedBy { unit, reason })
            }
            Assessment::Veto { reason } => Self::Veto(reason),
        }
    }
}

impl From<Outcome> for raw::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Healed { summary } => Self::Healed(summary),
            Outcome::NotApplicable { reason } => Self::NotApplicable(reason),
            Outcome::Failed { reason } => Self::Failed(reason),
            Outcome::BlockedBy { unit, reason } => Self::BlockedBy(raw::BlockedBy { unit, reason }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_tells_what_went_before() {
        let outcome = Outcome::failed("the start failed").after("repaired the mode of `data`");
        let told = Outcome::failed("repaired the mode of `data`; the start failed");
        assert_eq!(outcome, told);
        assert_eq!(
            Outcome::healed("started").after(""),
            Outcome::healed("started")
        );
    }

    #[test]
    fn confidence_ends_at_a_hundred() {
        assert_eq!(
            Assessment::applies(250, "sure"),
            Assessment::applies(100, "sure")
        );
    }

    #[test]
    fn a_setting_without_a_default_is_required() {
        let description = crate::description!("Does nothing.")
            .setting(Setting::text("name", "whose"))
            .setting(Setting::duration("grace", "how long").or("5s"));
        let raw = raw::Description::from(description);
        assert_eq!(raw.name, "prunella-sdk");
        let required: Vec<bool> = raw
            .settings
            .iter()
            .map(|setting| setting.required)
            .collect();
        assert_eq!(required, [true, false]);
    }
}
