//! Pausing and resuming, in the store.

use prunella_api::{PauseCall, PauseStatus, ResumeCall, Resumed};
use prunella_store::{Pause, Store, StoreError};

use crate::clock;

/// A pause as the API shows it.
pub(crate) fn shown(pause: &Pause) -> PauseStatus {
    PauseStatus {
        unit: pause.unit.clone(),
        reason: pause.reason.clone(),
        by: pause.by.clone(),
        since: pause.since,
        until: pause.until,
    }
}

/// Writes a pause down.
pub(crate) fn pause(store: &Store, call: &PauseCall) -> Result<PauseStatus, StoreError> {
    let pause = Pause {
        unit: call.unit.clone(),
        since: clock::now(),
        until: call.until,
        reason: call.reason.clone(),
        by: call.by.clone(),
    };
    store.pause(&pause)?;
    Ok(shown(&pause))
}

/// Ends a pause, or without a unit every one.
pub(crate) fn resume(store: &Store, call: &ResumeCall) -> Result<Resumed, StoreError> {
    let Some(unit) = &call.unit else {
        let pauses = store.pauses()?;
        for pause in &pauses {
            store.resume(pause.unit.as_ref())?;
        }
        return Ok(Resumed {
            unit: None,
            was_paused: !pauses.is_empty(),
            still: None,
        });
    };
    Ok(Resumed {
        unit: Some(unit.clone()),
        was_paused: store.resume(Some(unit))?,
        still: store.paused(unit, clock::now())?.as_ref().map(shown),
    })
}

#[cfg(test)]
mod tests {
    use prunella_core::UnitName;

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
        let resumed = resume(&store, &one).unwrap();
        assert!(resumed.was_paused);
        assert_eq!(resumed.still.unwrap().unit, None, "everything is paused");
        let resumed = resume(&store, &ResumeCall { unit: None }).unwrap();
        assert!(resumed.was_paused && resumed.still.is_none());
        assert!(store.paused(&unit, clock::now()).unwrap().is_none());
        assert!(!resume(&store, &one).unwrap().was_paused);
    }
}
