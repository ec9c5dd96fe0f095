//! `prunella pause` and `prunella resume`.

use prunella_api::{PauseCall, PauseStatus, ResumeCall, Resumed, account};
use prunella_core::{Timestamp, UnitName};

use crate::{
    args::{PauseArgs, ResumeArgs},
    exit::Exit,
    output,
    paths::Paths,
    query::Prunella,
    time,
};

/// Runs `prunella pause`.
pub(crate) fn run_pause(paths: &Paths, args: PauseArgs) -> anyhow::Result<Exit> {
    let call = PauseCall {
        unit: unit(args.unit.as_deref())?,
        until: args.span.map(|span| time::now().saturating_add(span)),
        reason: args.reason,
        by: account::own(),
    };
    // The daemon writes it down too, but it also wakes up.
    let pause = Prunella::new(paths).order(|orders| orders.pause(&call))?;
    output::print(&paused(&pause, time::now()))?;
    Ok(Exit::Ok)
}

/// Runs `prunella resume`.
pub(crate) fn run_resume(paths: &Paths, args: &ResumeArgs) -> anyhow::Result<Exit> {
    let call = ResumeCall {
        unit: unit(args.unit.as_deref())?,
    };
    let ended = Prunella::new(paths).order(|orders| orders.resume(&call))?;
    output::print(&resumed(&ended))?;
    Ok(Exit::Ok)
}

fn paused(pause: &PauseStatus, now: Timestamp) -> String {
    let what = pause
        .unit
        .as_ref()
        .map_or_else(|| "Everything".to_owned(), ToString::to_string);
    match pause.until {
        Some(until) => format!("{what} is paused until {}.\n", time::short(until, now)),
        None => format!("{what} is paused until `prunella resume`.\n"),
    }
}

/// What is paused, until when, by whom and why.
pub(crate) fn in_words(pause: &PauseStatus, now: Timestamp) -> String {
    let what = pause
        .unit
        .as_ref()
        .map_or("everything", |unit| unit.as_str());
    let until = match pause.until {
        Some(until) => format!("until {}", time::short(until, now)),
        None => "until resumed".to_owned(),
    };
    format!("{what}, {until}, by {}: {}", pause.by, pause.reason)
}

/// What ends it.
pub(crate) fn resume_command(pause: &PauseStatus) -> String {
    let what = pause.unit.as_ref().map_or("--all", |unit| unit.as_str());
    format!("sudo prunella resume {what}")
}

fn resumed(ended: &Resumed) -> String {
    let mut text = match (&ended.unit, ended.was_paused) {
        (None, true) => "Nothing is paused any longer.\n".to_owned(),
        (None, false) => "Nothing was paused.\n".to_owned(),
        (Some(unit), true) => format!("{unit} is no longer paused.\n"),
        (Some(unit), false) => format!("{unit} was not paused by itself.\n"),
    };
    if let Some(pause) = &ended.still {
        text.push_str(&format!(
            "Everything is still paused ({}): `prunella resume --all` ends that.\n",
            pause.reason
        ));
    }
    text
}

fn unit(name: Option<&str>) -> anyhow::Result<Option<UnitName>> {
    Ok(name.map(crate::unit_name).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ending_a_pause_says_what_is_still_paused() {
        let unit = UnitName::new("a.service").unwrap();
        let everything = PauseStatus {
            unit: None,
            reason: "moving".into(),
            by: "me".into(),
            since: Timestamp::from_millis(1),
            until: None,
        };
        assert_eq!(
            paused(&everything, Timestamp::from_millis(2)),
            "Everything is paused until `prunella resume`.\n"
        );
        let ended = Resumed {
            unit: Some(unit),
            was_paused: true,
            still: Some(everything),
        };
        let text = resumed(&ended);
        assert!(text.contains("no longer paused"), "{text}");
        assert!(text.contains("Everything is still paused"), "{text}");
    }
}
