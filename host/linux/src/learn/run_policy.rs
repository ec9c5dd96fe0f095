//! Which ends of a unit are failures, by what it is.

use prunella_core::{capability::UnitStatus, service::RunPolicy};

use super::{Finding, Seen};

/// The run policy that fits a unit, and why. `holds_ports` is whether it listens
/// by itself.
pub(super) fn of(status: &UnitStatus, seen: &Seen, holds_ports: bool) -> Finding<RunPolicy> {
    let on_failure = |why: String| Finding::new(RunPolicy::OnFailure, why);
    if let Some(trigger) = status.triggered_by.first() {
        return on_failure(format!(
            "{trigger} starts it when it is needed: it may end by itself"
        ));
    }
    if status.is_oneshot() {
        return on_failure("it does its work and ends (Type=oneshot)".to_owned());
    }
    if !seen.on_success.is_empty() {
        return on_failure("it has OnSuccess=: it is meant to end".to_owned());
    }
    if status.success_action != "none" {
        return on_failure("it has SuccessAction=: it is meant to end".to_owned());
    }
    if holds_ports {
        return Finding::new(
            RunPolicy::Always,
            "it holds ports: whatever ended it, it is missed",
        );
    }
    if matches!(seen.unit_file_state.as_str(), "enabled" | "enabled-runtime") {
        let kind = status.kind.as_deref().unwrap_or("simple");
        return Finding::new(
            RunPolicy::Always,
            format!("it is enabled, and goes on until it is stopped (Type={kind})"),
        );
    }
    on_failure("it is not enabled, and holds no port: it may end by itself".to_owned())
}

#[cfg(test)]
mod tests {
    use prunella_core::UnitName;
    use rstest::rstest;

    use super::*;
    use crate::learn::tests::status;

    #[rstest]
    #[case::holds_ports("simple", None, "disabled", true, RunPolicy::Always)]
    #[case::enabled("notify", None, "enabled", false, RunPolicy::Always)]
    #[case::not_enabled("simple", None, "static", false, RunPolicy::OnFailure)]
    #[case::oneshot("oneshot", None, "enabled", false, RunPolicy::OnFailure)]
    #[case::by_socket("simple", Some("web.socket"), "enabled", true, RunPolicy::OnFailure)]
    #[case::by_timer("simple", Some("web.timer"), "enabled", false, RunPolicy::OnFailure)]
    fn by_what_it_is(
        #[case] kind: &str,
        #[case] trigger: Option<&str>,
        #[case] unit_file_state: &str,
        #[case] holds_ports: bool,
        #[case] policy: RunPolicy,
    ) {
        let mut unit = status("web.service");
        unit.kind = Some(kind.to_owned());
        unit.triggered_by = trigger
            .into_iter()
            .map(|name| UnitName::new(name).unwrap())
            .collect();
        let seen = Seen {
            unit_file_state: unit_file_state.to_owned(),
            ..Seen::default()
        };
        let found = of(&unit, &seen, holds_ports);
        assert_eq!(found.what, policy, "{}", found.why);
        let ends = Seen {
            on_success: vec!["next.service".to_owned()],
            ..seen
        };
        assert_eq!(of(&unit, &ends, holds_ports).what, RunPolicy::OnFailure);
    }
}
