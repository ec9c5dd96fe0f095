//! Gives a declared configuration value the next of its declared values, and has the service
//! read it. Late in the order: what changes nothing that people wrote is tried before. One step
//! in each healing: whether it helped is known only then.

use prunella_sdk::{prelude::*, unit_control::JobResult};

struct Reconfigure;

impl Strategy for Reconfigure {
    fn describe() -> Description {
        description!(
            "Gives what is declared as [[config-update]] the next of its values, once its check \
             passes with that, and reloads or starts the service; the former content comes back \
             when that did not help."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        if incident.is_restart_requested() {
            return Ok(Assessment::not_applicable("a person wants a restart"));
        }
        let unit = units::get(&incident.unit())?;
        let is_failure = incident.kind() == IncidentKind::Failure;
        if is_failure && unit.is_up() && recovery::silences(incident)?.is_empty() {
            return Ok(Assessment::not_applicable(format!(
                "{} is {}, and answers",
                unit.name(),
                unit.standing()
            )));
        }
        if let Some(ails) = ailing_need(incident)? {
            return Ok(Assessment::not_applicable(format!(
                "{ails}: its configuration is not to blame"
            )));
        }
        Ok(match remedies::first_plan(incident, "config-update.run")? {
            Ok(plan) => Assessment::applies(30, format!("it is possible to {}", plan.summary)),
            Err(because) => Assessment::not_applicable(because),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        Ok(
            match remedies::apply_first(incident, "config-update", config_update::run)? {
                Ok(receipt) => put_in_force(incident)?.after(&receipt.summary),
                Err(because) => Outcome::not_applicable(because),
            },
        )
    }
}

/// What the service needs and is not up.
fn ailing_need(incident: &Incident) -> Result<Option<String>> {
    for needed in incident.needs() {
        let unit = units::get(&needed)?;
        if !unit.is_up() {
            return Ok(Some(format!(
                "{} is {}, and the service needs it",
                unit.name(),
                unit.standing()
            )));
        }
    }
    Ok(None)
}

/// A service that answers is reloaded, where systemd can do that. One that does not is started
/// anew: it would not answer a reload, either.
fn put_in_force(incident: &Incident) -> Result<Outcome> {
    let unit = units::get(&incident.unit())?;
    let is_degraded = incident.kind() == IncidentKind::Degradation;
    if !(is_degraded && unit.is_up() && unit.can_reload()) {
        return recovery::bring_up(incident);
    }
    let name = unit.name();
    let timeout = settings::duration("timeout", recovery::TIMEOUT)?;
    Ok(match unit_control::reload(&name)?.wait(timeout)? {
        JobResult::Done => Outcome::healed(format!("reloaded {name}")),
        _ => Outcome::failed(format!("systemd could not reload {name}")),
    })
}

prunella_sdk::export!(Reconfigure);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_sdk::testing::*;

    use super::Reconfigure;

    const CHANGE: &str = "change workers in `web` from 8 to 4";

    fn workers() -> Remedy {
        Remedy::of("config-update", CHANGE).undoable()
    }

    fn slow() -> Host {
        Host::new("web.service")
            .probe("front", ProbeKind::http("http://127.0.0.1/"))
            .slow("front", Duration::from_secs(2), Duration::from_secs(1))
            .remedy("web", workers())
    }

    #[test]
    fn a_service_starts_with_the_next_value() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("web", workers())
            .starts_when("no memory", |host| host.was_applied("web"));
        let run = host.run::<Reconfigure>();
        assert_eq!(run.applied(), format!("it is possible to {CHANGE}"));
        assert_eq!(
            run.healed(),
            format!("{CHANGE}; started web.service: active (running)")
        );
        assert_eq!(run.acts(), ["config-update.run web", "start web.service"]);
    }

    #[test]
    fn a_degraded_service_is_reloaded_where_it_can_be() {
        let run = slow()
            .with(|unit| unit.can_reload = true)
            .run::<Reconfigure>();
        assert_eq!(run.healed(), format!("{CHANGE}; reloaded web.service"));
        assert_eq!(run.acts(), ["config-update.run web", "reload web.service"]);
        let run = slow().run::<Reconfigure>();
        assert_eq!(run.acts(), ["config-update.run web", "restart web.service"]);
    }

    #[test]
    fn one_step_is_taken() {
        let run = slow().remedy("zweb", workers()).run::<Reconfigure>();
        run.healed();
        assert_eq!(run.acts(), ["config-update.run web", "restart web.service"]);
    }

    #[test]
    fn what_has_no_next_value_is_left_alone() {
        let because = "`web` is left alone: workers is 6, which is no declared value";
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("web", workers().nothing(because));
        assert_eq!(host.assess::<Reconfigure>().was_not_applicable(), because);
    }

    #[test]
    fn a_service_that_is_well_keeps_its_configuration() {
        let host = Host::new("web.service").remedy("web", workers());
        assert_eq!(
            host.assess::<Reconfigure>().was_not_applicable(),
            "web.service is active (running), and answers"
        );
    }
}
