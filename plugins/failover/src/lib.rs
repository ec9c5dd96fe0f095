//! Has a declared standby take the place of a service that nothing gentler brought back. Which
//! standby is able, and that the two never serve at once, is the host's to see to.

use prunella_sdk::prelude::*;

struct Failover;

impl Strategy for Failover {
    fn describe() -> Description {
        description!(
            "Stops the service, proves it down, and has the first standby that is declared as \
             [[failover]] and able take its place, when nothing gentler brought the service \
             back; when it is degraded, only where `heal-degraded` lists this."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        if incident.is_restart_requested() {
            return Ok(Assessment::not_applicable("a person wants a restart"));
        }
        let is_degradation = incident.kind() == IncidentKind::Degradation;
        if unit.is_up() && !is_degradation && recovery::silences(incident)?.is_empty() {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}, and answers",
                unit.standing()
            )));
        }
        let how = if is_degradation {
            "is only degraded, and listed to be failed over all the same"
        } else {
            "does not serve"
        };
        Ok(match remedies::first_plan(incident, "failover.switch")? {
            Ok(plan) => Assessment::applies(20, format!("{name} {how}: it can {}", plan.summary)),
            Err(because) => Assessment::not_applicable(because),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let switched = remedies::apply_first(incident, "failover", failover::switch)?;
        Ok(match switched {
            Ok(receipt) => Outcome::healed(receipt.summary),
            Err(because) => Outcome::not_applicable(because),
        })
    }
}

prunella_sdk::export!(Failover);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_sdk::testing::*;

    use super::Failover;

    fn group() -> Remedy {
        Remedy::of("failover", "fail `web` over to b.service").undoable()
    }

    #[test]
    fn the_standby_takes_over_from_what_is_down() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("web", group());
        let run = host.run::<Failover>();
        assert_eq!(
            run.applied(),
            "web.service does not serve: it can fail `web` over to b.service"
        );
        assert_eq!(run.healed(), "fail `web` over to b.service");
        assert_eq!(run.acts(), ["failover.switch web"]);
    }

    #[test]
    fn what_answers_is_left_alone() {
        let host = Host::new("web.service")
            .probe("front", ProbeKind::http("http://127.0.0.1/"))
            .remedy("web", group());
        let run = host.assess::<Failover>();
        assert_eq!(
            run.was_not_applicable(),
            "web.service is active (running), and answers"
        );
    }

    #[test]
    fn nothing_is_done_without_an_able_standby() {
        let because = "b.service is not able: check `able` does not pass";
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("web", group().nothing(because));
        assert_eq!(host.assess::<Failover>().was_not_applicable(), because);
    }

    #[test]
    fn of_a_slow_service_the_plan_says_so() {
        let host = Host::new("web.service")
            .probe("front", ProbeKind::http("http://127.0.0.1/"))
            .slow("front", Duration::from_secs(2), Duration::from_secs(1))
            .remedy("web", group());
        let run = host.run::<Failover>();
        assert_eq!(
            run.applied(),
            "web.service is only degraded, and listed to be failed over all the same: it can \
             fail `web` over to b.service"
        );
    }
}
