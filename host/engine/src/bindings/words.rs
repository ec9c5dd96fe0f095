//! Words of the contract from and to those of core. What comes from a guest is
//! made fit to show: one line, capped.

use prunella_core::{
    incident::{Assessment, Description, IncidentKind, Outcome, SettingSpec},
    text::one_line,
};

use super::prunella::{base::log, strategy::types as strategy};
use crate::{Level, host_state::TEXT};

/// The longest word or name that a guest may give, in characters.
pub(super) const WORD: usize = 200;

/// The most kinds of incidents that it may name.
const KINDS: usize = 16;

/// The most settings a strategy may describe.
const SETTINGS: usize = 100;

prunella_core::contract_conversions!(crate::bindings::prunella);

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

impl From<strategy::Description> for Description {
    fn from(said: strategy::Description) -> Self {
        Self {
            name: one_line(&said.name, WORD),
            version: one_line(&said.version, WORD),
            author: one_line(&said.author, WORD),
            summary: one_line(&said.summary, TEXT),
            settings: said
                .settings
                .into_iter()
                .take(SETTINGS)
                .map(SettingSpec::from)
                .collect(),
            // One that this version does not know is none that it has.
            treats: (!said.treats.is_empty()).then(|| {
                let words = said.treats.iter().take(KINDS);
                words
                    .filter_map(|word| IncidentKind::from_word(word))
                    .collect()
            }),
        }
    }
}

impl From<strategy::Setting> for SettingSpec {
    fn from(said: strategy::Setting) -> Self {
        Self {
            name: one_line(&said.name, WORD),
            kind: one_line(&said.kind, WORD),
            required: said.required,
            default: said.default.map(|text| one_line(&text, TEXT)),
            help: one_line(&said.help, TEXT),
        }
    }
}

impl From<strategy::Assessment> for Assessment {
    fn from(said: strategy::Assessment) -> Self {
        match said {
            strategy::Assessment::Applies(said) => Self::Applies {
                confidence: said.confidence.min(100),
                reason: one_line(&said.reason, TEXT),
            },
            strategy::Assessment::NotApplicable(reason) => Self::NotApplicable {
                reason: one_line(&reason, TEXT),
            },
            strategy::Assessment::BlockedBy(said) => Self::BlockedBy {
                unit: one_line(&said.unit, WORD),
                reason: one_line(&said.reason, TEXT),
            },
            strategy::Assessment::Veto(reason) => Self::Veto {
                reason: one_line(&reason, TEXT),
            },
        }
    }
}

impl From<strategy::Outcome> for Outcome {
    fn from(said: strategy::Outcome) -> Self {
        match said {
            strategy::Outcome::Healed(summary) => Self::Healed {
                summary: one_line(&summary, TEXT),
            },
            strategy::Outcome::NotApplicable(reason) => Self::NotApplicable {
                reason: one_line(&reason, TEXT),
            },
            strategy::Outcome::Failed(reason) => Self::Failed {
                reason: one_line(&reason, TEXT),
            },
            strategy::Outcome::BlockedBy(said) => Self::BlockedBy {
                unit: one_line(&said.unit, WORD),
                reason: one_line(&said.reason, TEXT),
            },
        }
    }
}
