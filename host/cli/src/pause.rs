//! `prunella pause` and `prunella resume`.

use std::time::Duration;

use prunella_api::{Client, ClientError, PauseCall, ResumeCall};
use prunella_core::UnitName;
use prunella_store::{Pause, Store, StoreError};

use crate::{
    args::{PauseArgs, ResumeArgs},
    exit::{Exit, Problem},
    output,
    paths::Paths,
    time,
};

/// Runs `prunella pause`.
pub(crate) fn run_pause(paths: &Paths, args: PauseArgs) -> anyhow::Result<Exit> {
    let call = PauseCall {
        unit: unit(args.unit.as_deref())?,
        until: args.span.map(|span| time::now() + milliseconds(span)),
        reason: args.reason,
        by: who(),
    };
    // The daemon writes it down too, but it also wakes up.
    let notes = match Client::new(&paths.run).pause(call.clone()) {
        Err(ClientError::NotListening(_)) => pause(&store(paths)?, &call)?,
        other => other?,
    };
    say(&notes)
}

/// Runs `prunella resume`.
pub(crate) fn run_resume(paths: &Paths, args: &ResumeArgs) -> anyhow::Result<Exit> {
    let call = ResumeCall {
        unit: unit(args.unit.as_deref())?,
    };
    let notes = match Client::new(&paths.run).resume(call.clone()) {
        Err(ClientError::NotListening(_)) => resume(&store(paths)?, &call)?,
        other => other?,
    };
    say(&notes)
}

/// Writes a pause down; answers with what to tell whoever asked.
pub(crate) fn pause(store: &Store, call: &PauseCall) -> Result<Vec<String>, StoreError> {
    let now = time::now();
    store.pause(&Pause {
        unit: call.unit.clone(),
        since: now,
        until: call.until,
        reason: call.reason.clone(),
        by: call.by.clone(),
    })?;
    let what = name(call.unit.as_ref());
    Ok(vec![match call.until {
        Some(until) => format!("{what} is left alone until {}.", time::short(until, now)),
        None => format!("{what} is left alone until `prunella resume`."),
    }])
}

/// Ends a pause, or without a unit every one; answers with what to tell whoever
/// asked.
pub(crate) fn resume(store: &Store, call: &ResumeCall) -> Result<Vec<String>, StoreError> {
    let Some(unit) = &call.unit else {
        let pauses = store.pauses()?;
        for pause in &pauses {
            store.resume(pause.unit.as_ref())?;
        }
        return Ok(vec![if pauses.is_empty() {
            "Nothing was paused.".to_owned()
        } else {
            "Nothing is paused any longer.".to_owned()
        }]);
    };
    let mut notes = vec![if store.resume(Some(unit))? {
        format!("{unit} is no longer paused.")
    } else {
        format!("{unit} was not paused by itself.")
    }];
    if let Some(pause) = store.paused(unit, time::now())? {
        notes.push(format!(
            "Everything is still paused ({}): `prunella resume --all` ends that.",
            pause.reason
        ));
    }
    Ok(notes)
}

fn say(notes: &[String]) -> anyhow::Result<Exit> {
    for note in notes {
        output::print(&format!("{note}\n"))?;
    }
    Ok(Exit::Ok)
}

fn unit(name: Option<&str>) -> anyhow::Result<Option<UnitName>> {
    Ok(name.map(crate::unit_name).transpose()?)
}

fn name(unit: Option<&UnitName>) -> String {
    unit.map_or_else(|| "Everything".to_owned(), ToString::to_string)
}

/// The store, to be written by a command of root's.
pub(crate) fn store(paths: &Paths) -> Result<Store, Problem> {
    use rustix::fs::{Access, access};
    let needed = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    match access(&paths.state, needed) {
        Err(rustix::io::Errno::ACCESS) => {
            return Err(
                Problem::new(Exit::NoPermission, "only root may do this").help("run it with sudo")
            );
        }
        Err(rustix::io::Errno::NOENT) if !rustix::process::geteuid().is_root() => {
            return Err(
                Problem::new(Exit::NoPermission, "Prunella is not set up on this host")
                    .help("run `sudo prunella setup` first"),
            );
        }
        _ => {}
    }
    Store::open(&paths.store()).map_err(|error| {
        Problem::new(Exit::Trouble, "the incident store cannot be opened").because(error)
    })
}

/// Who asks: the user behind sudo, where that is known.
pub(crate) fn who() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .map_or_else(
            || format!("uid {}", rustix::process::getuid().as_raw()),
            |name| prunella_core::text::one_line(&name, 64),
        )
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_kept_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("prunella.db")).unwrap();
        let unit = UnitName::new("a.service").unwrap();
        let call = |unit| PauseCall {
            unit,
            until: None,
            reason: "moving".into(),
            by: "me".into(),
        };
        pause(&store, &call(Some(unit.clone()))).unwrap();
        pause(&store, &call(None)).unwrap();
        let one = ResumeCall {
            unit: Some(unit.clone()),
        };
        let notes = resume(&store, &one).unwrap();
        assert!(notes[0].contains("no longer paused"), "{notes:?}");
        assert!(notes[1].contains("Everything is still paused"), "{notes:?}");
        let notes = resume(&store, &ResumeCall { unit: None }).unwrap();
        assert_eq!(notes, ["Nothing is paused any longer."]);
        assert!(store.paused(&unit, time::now()).unwrap().is_none());
    }
}
