//! What the author of a unit says against a start of it.

use prunella_core::{
    capability::UnitStatus,
    cause::Cause,
    incident::{DetectedBy, Detection, LeftAlone},
};

/// Why the unit must not be started, in the words of its own file. `detection`
/// is how it failed, where the unit itself does not know that any more.
pub(crate) fn against_a_start(
    status: &UnitStatus,
    detection: &Detection,
) -> Option<(LeftAlone, String)> {
    let rules = &status.start_rules;
    if rules.refuses_manual_start {
        return Some((
            LeftAlone::RefusesStart,
            "systemd would refuse the start".to_owned(),
        ));
    }
    if status.result == "exec-condition" {
        return Some((
            LeftAlone::ConditionUnmet,
            "its ExecCondition= ended so that the start is skipped".to_owned(),
        ));
    }
    if rules.unmet {
        return Some((
            LeftAlone::ConditionUnmet,
            if rules.unmet_lines.is_empty() {
                "systemd skipped its last start".to_owned()
            } else {
                rules.unmet_lines.join(", ")
            },
        ));
    }
    // systemd itself lets a person start it. And where a required unit failed,
    // there was no run that ended.
    if detection.by == DetectedBy::Operator || detection.cause == Cause::Dependency {
        return None;
    }
    let (exit_code, signal) = if status.exit_code.is_some() || status.signal.is_some() {
        (status.exit_code, status.signal.as_deref())
    } else {
        (detection.exit_code, detection.signal.as_deref())
    };
    let ended = rules.prevents(exit_code, signal)?;
    Some((
        LeftAlone::RestartPrevented,
        format!("after {ended} (RestartPreventExitStatus=)"),
    ))
}
