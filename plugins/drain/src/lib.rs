//! A restart that nobody's request notices: the service is taken out of rotation first, and
//! restarted or started then. The host puts it back when it is well. Before `service-restart`
//! in the order, and only where a proxy still sends the service requests.

use prunella_sdk::prelude::*;

/// What is measured and is the same of every run: no restart changes it.
const NOT_OF_THE_RUN: [&str; 2] = ["certificate-hours", "error-budget-permille"];

struct Drain;

impl Strategy for Drain {
    fn describe() -> Description {
        description!(
            "Takes the service out of rotation as [[traffic]] declares, then starts it when it is \
             down, and restarts it when it does not answer, or is degraded and `heal-degraded` \
             lists this. It is put back when it is well."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        if incident.is_restart_requested() {
            return Ok(Assessment::not_applicable("a person wants a restart"));
        }
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        let ails = match incident.kind() {
            IncidentKind::Degradation => symptom(incident),
            IncidentKind::Failure if unit.is_down() => Some("it is down".to_owned()),
            IncidentKind::Failure => recovery::silences(incident)?.into_iter().next(),
        };
        let Some(ails) = ails else {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}, and nothing is known that a restart would mend",
                unit.standing()
            )));
        };
        Ok(match remedies::first_plan(incident, "traffic.drain")? {
            Ok(plan) => Assessment::applies(
                62,
                format!(
                    "{ails}, and {name} is in rotation; it can {}, and bring it up then",
                    plan.summary
                ),
            ),
            Err(because) => Assessment::not_applicable(because),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        recovery::bring_up_with(incident, "traffic", traffic::drain)
    }
}

/// The worst of what is measured that another run may be rid of.
fn symptom(incident: &Incident) -> Option<String> {
    let symptoms = incident.symptoms().into_iter();
    symptoms
        .filter(|symptom| !NOT_OF_THE_RUN.contains(&symptom.metric.as_str()))
        .map(|symptom| symptom.evidence)
        .next()
}

prunella_sdk::export!(Drain);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_sdk::testing::*;

    use super::Drain;

    const LAST: &str = "`front` is the last server of its backend that gets requests";

    fn front() -> Remedy {
        Remedy::of("traffic", "drain `front`")
            .amount(AmountOf::Sessions, 2)
            .undoable()
    }

    fn silent() -> Host {
        Host::new("web.service")
            .probe("http", ProbeKind::http("http://127.0.0.1/"))
            .mute("http")
    }

    #[test]
    fn a_service_that_does_not_answer_is_drained_and_restarted() {
        let run = silent().remedy("front", front()).run::<Drain>();
        assert_eq!(
            run.applied(),
            "its probe `http` is not answered: connection refused, and web.service is in \
             rotation; it can drain `front`, and bring it up then"
        );
        assert_eq!(run.acts(), ["traffic.drain front", "restart web.service"]);
    }

    #[test]
    fn a_service_that_is_down_is_drained_and_started() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("front", front());
        let run = host.run::<Drain>();
        assert!(run.applied().starts_with("it is down, and"));
        assert_eq!(run.acts(), ["traffic.drain front", "start web.service"]);
    }

    #[test]
    fn a_slow_service_is_drained_and_restarted() {
        let host = Host::new("web.service")
            .probe("http", ProbeKind::http("http://127.0.0.1/"))
            .slow("http", Duration::from_secs(2), Duration::from_secs(1))
            .remedy("front", front());
        let run = host.run::<Drain>();
        run.applied();
        assert_eq!(run.acts(), ["traffic.drain front", "restart web.service"]);
    }

    #[test]
    fn where_nobody_else_serves_nothing_is_done() {
        let host = silent().remedy("front", front().nothing(LAST));
        assert_eq!(host.assess::<Drain>().was_not_applicable(), LAST);
        assert_eq!(
            silent().assess::<Drain>().was_not_applicable(),
            "no traffic is declared"
        );
    }

    #[test]
    fn a_service_that_is_well_stays_in_rotation() {
        let well = Host::new("web.service").remedy("front", front());
        assert_eq!(
            well.assess::<Drain>().was_not_applicable(),
            "web.service is active (running), and nothing is known that a restart would mend"
        );
    }
}
