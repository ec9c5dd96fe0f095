//! Reads `[oversight]`: which acts wait until somebody agrees.

use std::{collections::BTreeSet, time::Duration};

use super::{
    grants::{act_help, shown_act},
    reader::{Reader, Section},
};
use prunella_core::{
    oversight::{ModelSay, Oversight},
    policy::Act,
};

/// A question that stands for less would be over before anybody read it.
const LEAST: Duration = Duration::from_secs(60);

pub(super) fn read(reader: &mut Reader<'_>, top: Section<'_>, has_model: bool) -> Oversight {
    let mut oversight = Oversight::default();
    let Some(section) = reader.section(top, "oversight", "[oversight]") else {
        return oversight;
    };
    reader.only(
        section,
        &[
            "ask",
            "ask-when-critical",
            "allow",
            "foreign-processes",
            "expires",
            "model",
        ],
    );
    oversight.ask = acts(reader, section, "ask");
    oversight.ask_when_critical = acts(reader, section, "ask-when-critical");
    oversight.allow = acts(reader, section, "allow");
    if let Some(value) = section.table.get("allow") {
        let both: Vec<&str> = oversight
            .allow
            .intersection(&oversight.ask)
            .map(|act| act.name())
            .collect();
        if !both.is_empty() {
            reader.error_help(
                value.span(),
                format!("{} stands both in `ask` and in `allow`", both.join(", ")),
                "leave it out of one of them",
            );
        }
    }
    if let Some(ask) = reader.one_of(
        section,
        "foreign-processes",
        &[("deny", false), ("ask", true)],
    ) {
        oversight.foreign_processes = ask;
    }
    if let Some(expires) = reader.duration(section, "expires", LEAST) {
        oversight.expires = expires;
    }
    if let Some(say) = reader.one_of(
        section,
        "model",
        &[
            ("nothing", ModelSay::Nothing),
            ("veto", ModelSay::Veto),
            ("allow", ModelSay::Allow),
        ],
    ) {
        if say != ModelSay::Nothing
            && !has_model
            && let Some(value) = section.table.get("model")
        {
            reader.error_help(
                value.span(),
                "there is no model to be asked",
                "declare one in `[analysis]`, or leave `model` out",
            );
        }
        oversight.model = say;
    }
    oversight
}

fn acts(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> BTreeSet<Act> {
    let mut acts = BTreeSet::new();
    for (text, span) in reader.texts(section, key, "\"unit-control.stop\"") {
        let meant = Act::matching(text);
        if meant.is_empty() {
            reader.error_help(span, shown_act(text), act_help(text));
        }
        acts.extend(meant);
    }
    acts
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::load_main;

    #[test]
    fn nobody_is_asked_unless_it_says_so() {
        assert_eq!(
            load_main("").config.unwrap().oversight,
            Oversight::default()
        );
        assert!(!Oversight::default().asks(Act::Terminate, true));
    }

    #[test]
    fn everything_set() {
        let loaded = load_main(
            "[analysis]\nurl = \"https://api.example.org/v1\"\nmodel = \"m\"\n\
             [oversight]\nask = [\"unit-control.stop\", \"file-repair\"]\n\
             ask-when-critical = [\"unit-control.restart\"]\n\
             foreign-processes = \"ask\"\nexpires = \"5m\"\nmodel = \"veto\"\n",
        );
        let oversight = loaded.config.unwrap().oversight;
        assert_eq!(oversight.ask.len(), 4, "an interface means all of it");
        assert!(oversight.foreign_processes);
        assert_eq!(oversight.expires, Duration::from_secs(300));
        assert_eq!(oversight.model, ModelSay::Veto);
        let restart = Act::Restart;
        assert!(oversight.asks(restart, true) && !oversight.asks(restart, false));
    }

    #[rstest]
    #[case::no_such_act("ask = [\"unit-control.halt\"]", "there is no act `unit-control.halt`")]
    #[case::no_such_word("foreign-processes = \"allow\"", "`foreign-processes`")]
    #[case::over_before_it_is_read("expires = \"1s\"", "`expires`")]
    #[case::nobody_to_ask("model = \"veto\"", "there is no model to be asked")]
    #[case::a_typing_error("aks = []", "`aks`")]
    fn mistakes(#[case] line: &str, #[case] says: &str) {
        let loaded = load_main(&format!("[oversight]\n{line}\n"));
        assert!(loaded.config.is_none());
        let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(says), "{}", errors[0]);
        assert!(errors[0].contains(":2:"), "its place: {}", errors[0]);
    }
}
