//! One journal line for each step.

use prunella_core::{
    StrategyName,
    incident::Incident,
    trail::{Entry, Step},
};
use prunella_report::{Importance, StepText, describe};

/// One journal line for a step, with fields. OBJECT_SYSTEMD_UNIT makes it show
/// in `journalctl -u UNIT` beside the unit's own lines (journalctl(1), `-u`).
pub(crate) fn to_journal(incident: &Incident, entry: &Entry, dry_run: bool) {
    let unit = &incident.detection.unit;
    let id = &incident.id;
    let StepText {
        importance,
        strategy,
        act,
        text,
        ..
    } = describe(&entry.step);
    let dry_run = if dry_run { "dry run: " } else { "" };
    let more = match &entry.step {
        Step::Detected { .. } | Step::Ended { .. } => format!("; incident {id}"),
        Step::Proposed { approval, .. } => format!("; prunella approve {approval}"),
        _ => String::new(),
    };
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                object_systemd_unit = %unit,
                prunella_incident = %id,
                prunella_unit = %unit,
                prunella_strategy = strategy.map_or("", StrategyName::as_str),
                prunella_action = act.unwrap_or_default(),
                "{unit}: {dry_run}{text}{more}"
            )
        };
    }
    match importance {
        Importance::Record | Importance::Detail => line!(debug),
        Importance::Info => line!(info),
        Importance::Warning => line!(warn),
        Importance::Error => line!(error),
    }
}
