//! Finding one incident.

use prunella_api::{Answer, Refusal, RefusalKind};
use prunella_core::{incident::IncidentId, text::one_line, trail::Record};
use prunella_store::{Found, Store, StoreError};

/// One incident, by its id or the beginning or end of it.
pub(crate) fn find(store: &Store, id: &str) -> Answer<Record> {
    let failed = |error: StoreError| Refusal::new(RefusalKind::Failed, error.to_string());
    let found = match store.find(id).map_err(failed)? {
        Found::None => return Err(missing(id).into()),
        Found::One(found) => found,
        Found::Many(ids) => {
            let ids: Vec<&str> = ids.iter().map(IncidentId::as_str).collect();
            return Err(Refusal::new(
                RefusalKind::NotFound,
                format!("`{}` is ambiguous", one_line(id, 60)),
            )
            .help(format!("say which: {}", ids.join(", ")))
            .into());
        }
    };
    Ok(store
        .record(&found)
        .map_err(failed)?
        .ok_or_else(|| missing(id))?)
}

/// For an incident that is not there.
pub(crate) fn missing(id: &str) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!("there is no incident `{}`", one_line(id, 60)),
    )
    .help(
        "list them with `prunella incidents`; those of one service with `prunella incidents --unit \
         UNIT`",
    )
}
