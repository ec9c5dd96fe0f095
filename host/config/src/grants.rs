//! Reads `[[strategy.NAME.allow]]`: what a strategy may do, and on what.

use std::ops::Range;

use prunella_core::{
    UnitName,
    capability::ActsOn,
    name::is_plain,
    policy::{Act, Grant, Observe, Permission, Scope},
};

use super::{
    reader::{Reader, Section},
    value,
};

/// One `allow`, which begins at `at`.
pub fn read_grant(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Grant> {
    reader.only(section, &["act", "observe", "on"]);
    let permission = match (
        section.table.contains_key("act"),
        section.table.contains_key("observe"),
    ) {
        (true, false) => read_act(reader, section),
        (false, true) => reader
            .one_of(
                section,
                "observe",
                &Observe::ALL.map(|observe| (observe.name(), observe)),
            )
            .map(Permission::Observe),
        _ => {
            reader.error_help(
                at.clone(),
                "a grant allows either one act or one way to observe",
                "write `act = \"unit-control.restart\"` or `observe = \"logs\"`",
            );
            None
        }
    };
    let on = read_scopes(reader, section, permission.as_ref());
    Some(Grant {
        permission: permission?,
        on,
    })
}

fn read_act(reader: &mut Reader<'_>, section: Section<'_>) -> Option<Permission> {
    let (text, span) = reader.text(section, "act", "unit-control.restart")?;
    let acts = Act::matching(text);
    if !acts.is_empty() {
        return Some(Permission::Act(acts));
    }
    reader.error_help(span, shown_act(text), act_help(text));
    None
}

/// That there is no such act.
pub(super) fn shown_act(text: &str) -> String {
    format!(
        "there is no act `{}`",
        prunella_core::text::one_line(text, 60)
    )
}

/// Which there are, and which was likely meant.
pub(super) fn act_help(text: &str) -> String {
    let mut known: Vec<&str> = Act::ALL.iter().map(|act| act.name()).collect();
    let list = known.join(", ");
    known.extend(Act::ALL.iter().map(|act| act.interface()));
    match value::nearest(text, known) {
        Some(meant) => format!("did you mean `{meant}`? There are: {list}"),
        None => format!("there are: {list}; an interface's name alone means all of its functions"),
    }
}

fn read_scopes(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    permission: Option<&Permission>,
) -> Vec<Scope> {
    let Some(value) = section.table.get("on") else {
        return vec![Scope::Itself];
    };
    let texts = match value.get_ref().as_str() {
        // One alone needs no list.
        Some(text) => vec![(text, value.span())],
        None => reader.texts(section, "on", "\"self\""),
    };
    if texts.is_empty() && value.get_ref().as_array().is_some_and(|on| on.is_empty()) {
        reader.error_help(
            value.span(),
            "a grant on nothing allows nothing",
            "leave `on` out for the service itself, or leave the grant out",
        );
    }
    // Files and checks have names; everything else is about units.
    let declared = matches!(permission, Some(Permission::Act(acts))
        if acts.iter().all(|act| act.consequence().on == ActsOn::Declared));
    let mut scopes = Vec::new();
    for (text, span) in texts {
        let scope = match text {
            "self" => Some(Scope::Itself),
            "depends-on" => Some(Scope::Dependencies),
            _ if is_plain(text) && declared => Some(Scope::Declared(text.to_owned())),
            _ => match UnitName::new(text) {
                Ok(_) if declared => {
                    reader.error_help(
                        span,
                        "this act is on declared files and checks, not on units",
                        "write \"self\" for all of the service's, or a declared name",
                    );
                    None
                }
                Ok(unit) if !matches!(unit.kind(), "service" | "socket") => {
                    reader.error_help(
                        span,
                        format!("{unit} is a {}", unit.kind()),
                        "only services and sockets can be acted on",
                    );
                    None
                }
                Ok(_) => reader.unit((text, span)).map(Scope::Unit),
                Err(_) => {
                    let shown = prunella_core::text::one_line(text, 60);
                    let help = if is_plain(text) {
                        format!("write the unit's full name, such as \"{text}.service\"")
                    } else {
                        "valid are \"self\", \"depends-on\", and full names of units".to_owned()
                    };
                    reader.error_help(
                        span,
                        format!("`{shown}` is nothing a grant can be on"),
                        help,
                    );
                    None
                }
            },
        };
        scopes.extend(scope);
    }
    scopes
}
