//! Undoing what was done in an incident, because a person orders it.

use std::sync::Arc;

use prunella_api::{Answer, Refusal, RefusalKind, UndoCall, Undone};
use prunella_healer::{Healer, HealerError};
use prunella_store::Store;

use crate::{
    Paths, access::open_store, assembly::Assembly, configuration::load_usable, incidents::find,
    loading::Wanted,
};

/// Where no daemon runs.
pub(crate) fn alone(paths: &Paths, call: &UndoCall) -> Answer<Undone> {
    let store = open_store(paths)?;
    let config = load_usable(paths).config;
    let unit = find(&store, &call.incident)?.incident.detection.unit;
    let assembly = Assembly::new(paths, config, &Wanted::Of(unit), Arc::new(()))
        .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()))?;
    undo(&store, &assembly.healer, call)
}

/// Undoes what can be undone, and says what cannot.
pub(crate) fn undo(store: &Store, healer: &Healer, call: &UndoCall) -> Answer<Undone> {
    let record = find(store, &call.incident)?;
    let acts = healer
        .undo_incident(&record, &call.by, call.dry_run)
        .map_err(|error| match error {
            HealerError::Busy(unit) => Refusal::new(
                RefusalKind::Conflict,
                format!("{unit} is being healed now, and nothing is undone meanwhile"),
            )
            .help("wait until that is over: `prunella status` shows it"),
            other => Refusal::new(RefusalKind::Failed, other.to_string()),
        })?;
    Ok(Undone {
        incident: record.incident.id,
        unit: record.incident.detection.unit,
        acts,
    })
}
