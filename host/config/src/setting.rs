//! Compares `[strategy.NAME.settings]` with what the strategy declares.

use std::{collections::BTreeMap, path::Path};

use super::{
    StrategySettings,
    diagnostic::{Diagnostic, Place},
    value,
};
use prunella_core::{StrategyName, duration, incident::SettingSpec, text::one_line};

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
    /// declared defaults of those that are not; durations in the form `1m30s`.
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
        // A component reads durations in their plainest form only.
        for spec in declared.iter().filter(|spec| spec.kind == "duration") {
            if let Some(value) = filled.get_mut(&spec.name)
                && let Ok(read) = duration::parse(value)
            {
                *value = duration::written(read);
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
        "duration" => duration::parse(value).is_ok(),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;
    use crate::Config;

    fn spec(name: &str, kind: &str, default: Option<&str>) -> SettingSpec {
        SettingSpec {
            name: name.to_owned(),
            kind: kind.to_owned(),
            required: default.is_none(),
            default: default.map(str::to_owned),
            help: "What it is.".to_owned(),
        }
    }

    fn declared() -> Vec<SettingSpec> {
        vec![
            spec("grace", "duration", Some("5s")),
            spec("depth", "number", Some("3")),
            spec("loud", "boolean", Some("false")),
            spec("queue", "text", None),
        ]
    }

    /// What becomes of the settings of `[strategy.a]`.
    fn filled(
        settings: &str,
        declared: &[SettingSpec],
    ) -> Result<BTreeMap<String, String>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[strategy.a]\n[strategy.a.settings]\n{settings}\n");
        fs::write(folder.path().join("prunella.toml"), text).unwrap();
        let config = Config::load(folder.path()).config.unwrap();
        let (name, set) = config.strategies.first_key_value().unwrap();
        set.filled(name, declared)
            .map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_absent_setting_has_its_default() {
        let filled = filled("queue = \"mail\"\ngrace = \"1.5 minutes\"", &declared()).unwrap();
        let filled: Vec<(&str, &str)> = filled
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            filled,
            [
                ("depth", "3"),
                ("grace", "1m30s"),
                ("loud", "false"),
                ("queue", "mail")
            ]
        );
    }

    #[rstest]
    #[case::unknown("quue = \"x\"\nqueue = \"x\"", &["`a` has no setting `quue`", "prunella.toml:3:1", "did you mean `queue`?"])]
    #[case::required("depth = 1", &["`a` needs the setting `queue`", "prunella.toml:1:11", "queue = \"…\""])]
    #[case::number("queue = \"x\"\ndepth = \"deep\"", &["`depth` must be a whole number", "prunella.toml:4:9", "What it is."])]
    #[case::fraction("queue = \"x\"\ndepth = 1.5", &["`depth` must be a whole number"])]
    #[case::negative("queue = \"x\"\ndepth = -1", &["`depth` must be a whole number"])]
    #[case::boolean("queue = \"x\"\nloud = \"yes\"", &["`loud` must be true or false"])]
    #[case::duration("queue = \"x\"\ngrace = 10", &["`grace` must be a duration such as \"30s\", and `10` is not"])]
    fn mistakes(#[case] settings: &str, #[case] said: &[&str]) {
        let mistakes = filled(settings, &declared()).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        for part in said {
            assert!(
                mistakes.iter().any(|text| text.contains(part)),
                "{part} in {mistakes:#?}"
            );
        }
    }

    #[test]
    fn all_of_them_are_told() {
        let mistakes = filled("depth = \"x\"\nx = 1", &declared()).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    }

    #[rstest]
    #[case::kind(spec("x", "colour", None), "x = 1", "no kind of setting")]
    #[case::default(spec("x", "number", Some("many")), "", "with the default `many`")]
    fn its_author_can_be_wrong_too(
        #[case] spec: SettingSpec,
        #[case] settings: &str,
        #[case] said: &str,
    ) {
        let mistakes = filled(settings, &[spec]).unwrap_err();
        assert!(
            mistakes.iter().all(|text| text.contains(said)),
            "{mistakes:#?}"
        );
    }
}
