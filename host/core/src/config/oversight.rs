//! Reads `[oversight]`: which acts wait until somebody agrees.

use std::{collections::BTreeSet, time::Duration};

use super::{
    main_file::{act_help, shown_act},
    reader::{Reader, Section},
};
use crate::{
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
            "foreign-processes",
            "expires",
            "model",
        ],
    );
    oversight.ask = acts(reader, section, "ask");
    oversight.ask_when_critical = acts(reader, section, "ask-when-critical");
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
