//! Removes the pid files, locks and sockets that a service left behind when it was killed, and
//! starts it. Before `service-restart` in the order: many services do not start where they find
//! such a trace, and what is proven stale is of no use to anybody.

use prunella_sdk::prelude::*;

struct StaleFiles;

impl Strategy for StaleFiles {
    fn describe() -> Description {
        description!(
            "Removes what is declared as [[stale-file]] when it is proven stale and the service \
             is down, and starts the service."
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        if unit.is_up() {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}",
                unit.standing()
            )));
        }
        let (stale, others) = remedies::eligible(incident, "stale-file.remove")?;
        Ok(if !stale.is_empty() {
            Assessment::applies(
                80,
                format!("{name} is down, and has left {} behind", stale.join(", ")),
            )
        } else if others.is_empty() {
            Assessment::not_applicable("nothing is declared that could be stale")
        } else {
            Assessment::not_applicable(format!("nothing is proven stale: {}", others.join(", ")))
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        recovery::bring_up_with(incident, "stale-file", stale_file::remove)
    }
}

prunella_sdk::export!(StaleFiles);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::StaleFiles;

    fn pid_file() -> Remedy {
        Remedy::of("stale-file", "remove the stale pid file `pid`").undoable()
    }

    #[test]
    fn what_a_killed_service_left_behind_is_removed() {
        let host = Host::new("web.service")
            .failed("signal")
            .remedy("pid", pid_file())
            .starts_when("found a pid file", |host| host.was_applied("pid"));
        let run = host.run::<StaleFiles>();
        assert_eq!(
            run.applied(),
            "web.service is down, and has left `pid` behind"
        );
        assert_eq!(
            run.healed(),
            "remove the stale pid file `pid`; started web.service: active (running)"
        );
        assert_eq!(run.acts(), ["stale-file.remove pid", "start web.service"]);
    }

    #[test]
    fn what_is_not_proven_stale_stays() {
        let host = Host::new("web.service")
            .failed("signal")
            .remedy("pid", pid_file().nothing("process 7 may be its daemon"));
        let run = host.assess::<StaleFiles>();
        assert_eq!(
            run.was_not_applicable(),
            "nothing is proven stale: process 7 may be its daemon"
        );
    }

    #[test]
    fn what_is_up_needs_its_traces() {
        let host = Host::new("web.service").remedy("pid", pid_file());
        let run = host.assess::<StaleFiles>();
        assert_eq!(run.was_not_applicable(), "web.service is active (running)");
    }
}
