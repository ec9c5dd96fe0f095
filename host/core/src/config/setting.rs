//! Compares `[strategy.NAME.settings]` with what the strategy declares.

use std::{collections::BTreeMap, path::Path};

use super::{
    StrategySettings,
    diagnostic::{Diagnostic, Place},
    value,
};
use crate::{StrategyName, incident::SettingSpec, text::one_line};

/// Where the settings stand in `prunella.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingPlaces {
    /// The strategy's own table, if it has one.
    pub(super) section: Option<Place>,
    /// Each name, and each value.
    pub(super) each: BTreeMap<String, (Place, Place)>,
}

impl StrategySettings {
    /// The settings as the strategy gets them: those that are set, and the
    /// declared defaults of those that are not.
    ///
    /// # Errors
    /// Every mistake: names that are not declared, what is required and not
    /// set, values that are not of their kind.
    pub fn filled(
        &self,
        strategy: &StrategyName,
        declared: &[SettingSpec],
    ) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        for (name, value) in &self.settings {
            match declared.iter().find(|spec| spec.name == *name) {
                None => mistakes.push(self.unknown(strategy, name, declared)),
                Some(spec) => mistakes.extend(self.wrong_kind(spec, value)),
            }
        }
        let mut filled = self.settings.clone();
        for spec in declared {
            if filled.contains_key(&spec.name) {
                continue;
            }
            match &spec.default {
                Some(default) if fits(&spec.kind, default) == Some(true) => {
                    filled.insert(spec.name.clone(), default.clone());
                }
                Some(default) => mistakes.push(self.faulty(
                    strategy,
                    format!(
                        "declares the setting `{}` with the default `{}`, which is not {}",
                        shown(&spec.name),
                        shown(default),
                        kind_in_words(&spec.kind)
                    ),
                )),
                None if spec.required => mistakes.push(self.missing(strategy, spec)),
                None => {}
            }
        }
        if mistakes.is_empty() {
            Ok(filled)
        } else {
            Err(mistakes)
        }
    }

    fn unknown(&self, strategy: &StrategyName, name: &str, declared: &[SettingSpec]) -> Diagnostic {
        let known: Vec<String> = declared.iter().map(|spec| shown(&spec.name)).collect();
        let list = known.join(", ");
        let help = if known.is_empty() {
            "it has no settings: leave this out".to_owned()
        } else {
            match value::nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`? There are: {list}"),
                None => format!("there are: {list}"),
            }
        };
        self.at(
            self.places.each.get(name).map(|(name, _)| name),
            format!("`{strategy}` has no setting `{}`", shown(name)),
        )
        .help(help)
    }

    fn wrong_kind(&self, spec: &SettingSpec, value: &str) -> Option<Diagnostic> {
        let name = shown(&spec.name);
        let place = self.places.each.get(&spec.name).map(|(_, value)| value);
        match fits(&spec.kind, value) {
            Some(true) => None,
            Some(false) => Some(
                self.at(
                    place,
                    format!(
                        "`{name}` must be {}, and `{}` is not",
                        kind_in_words(&spec.kind),
                        shown(value)
                    ),
                )
                .help(format!("{name} is: {}", one_line(&spec.help, 200))),
            ),
            None => Some(
                self.at(
                    place,
                    format!(
                        "the component declares `{name}` as a `{}`, which is no kind of setting",
                        shown(&spec.kind)
                    ),
                )
                .help(
                    "kinds are text, number, boolean and duration: this is for its author to mend",
                ),
            ),
        }
    }

    fn missing(&self, strategy: &StrategyName, spec: &SettingSpec) -> Diagnostic {
        let name = shown(&spec.name);
        let example = match spec.kind.as_str() {
            "number" => "3",
            "boolean" => "true",
            "duration" => "\"30s\"",
            _ => "\"…\"",
        };
        self.at(
            self.places.section.as_ref(),
            format!("`{strategy}` needs the setting `{name}`, and it is not set"),
        )
        .help(format!(
            "{name} is: {}; set it:\n\n    [strategy.{strategy}.settings]\n    {name} = {example}",
            one_line(&spec.help, 200)
        ))
    }

    fn faulty(&self, strategy: &StrategyName, what: String) -> Diagnostic {
        self.at(None, format!("the component of `{strategy}` {what}"))
            .help("this is for its author to mend; set it yourself meanwhile")
    }

    fn at(&self, place: Option<&Place>, message: String) -> Diagnostic {
        Diagnostic {
            place: place.cloned(),
            ..Diagnostic::about_file(Path::new("prunella.toml"), message)
        }
    }
}

/// Whether a value is of a kind; nothing when there is no such kind.
fn fits(kind: &str, value: &str) -> Option<bool> {
    Some(match kind {
        "text" => true,
        "number" => value.parse::<u64>().is_ok(),
        "boolean" => value.parse::<bool>().is_ok(),
        "duration" => value::duration(value).is_some(),
        _ => return None,
    })
}

fn kind_in_words(kind: &str) -> &'static str {
    match kind {
        "number" => "a whole number from 0 on",
        "boolean" => "true or false",
        "duration" => "a duration such as \"30s\"",
        _ => "text",
    }
}

/// Declared by a component, so it may be anything.
fn shown(text: &str) -> String {
    one_line(text, 80)
}
