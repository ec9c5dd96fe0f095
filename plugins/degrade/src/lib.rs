//! Enters a declared degraded mode: the service goes on with less, until it is well again.
//! The last of all in the order: everything that could cure it is tried before.

use prunella_sdk::prelude::*;

struct Degrade;

impl Strategy for Degrade {
    fn describe() -> Description {
        description!(
            "Enters a declared degraded mode when the service fails or is degraded, so that it \
             serves what it still can; the mode is left when the service is well."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        Ok(match remedies::first_plan(incident, "mode.enter")? {
            Ok(plan) => Assessment::applies(15, format!("it can {}", plan.summary)),
            Err(because) => Assessment::not_applicable(because),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let entered = match remedies::apply_first(incident, "mode", mode::enter)? {
            Ok(receipt) => receipt.summary,
            Err(because) => return Ok(Outcome::not_applicable(because)),
        };
        if units::get(&incident.unit())?.is_up() {
            return Ok(Outcome::healed(entered));
        }
        Ok(recovery::bring_up(incident)?.after(&entered))
    }
}

prunella_sdk::export!(Degrade);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_sdk::testing::*;

    use super::Degrade;

    fn read_only() -> Remedy {
        Remedy::of("mode", "enter mode `read-only`: stop worker.service").undoable()
    }

    #[test]
    fn a_service_that_fails_starts_without_its_worker() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("read-only", read_only())
            .starts_when("too much to do", |host| host.was_applied("read-only"));
        let run = host.run::<Degrade>();
        assert_eq!(
            run.applied(),
            "it can enter mode `read-only`: stop worker.service"
        );
        assert_eq!(run.acts(), ["mode.enter read-only", "start web.service"]);
    }

    #[test]
    fn a_slow_service_is_not_restarted_for_it() {
        let host = Host::new("web.service")
            .probe("front", ProbeKind::http("http://127.0.0.1/"))
            .slow("front", Duration::from_secs(2), Duration::from_secs(1))
            .remedy("read-only", read_only());
        let run = host.run::<Degrade>();
        run.applied();
        assert_eq!(run.acts(), ["mode.enter read-only"]);
    }

    #[test]
    fn a_mode_is_not_entered_twice() {
        let host = Host::new("web.service").failed("exit-code").remedy(
            "read-only",
            read_only().nothing("everything is as in mode `read-only` already"),
        );
        let run = host.assess::<Degrade>();
        assert_eq!(
            run.was_not_applicable(),
            "everything is as in mode `read-only` already"
        );
    }
}
