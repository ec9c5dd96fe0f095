//! Goes back to the release with which the service was healthy, when it fails soon after a
//! deployment. Behind `service-restart` in the order: a start alone may be enough. Whether the
//! release is to blame is the host's to say: that is part of its plan.

use prunella_sdk::prelude::*;

struct Rollback;

impl Strategy for Rollback {
    fn describe() -> Description {
        description!(
            "Points what is declared as [[release]] back to the last target with which the \
             service was proven healthy, when it fails soon after that was changed, and starts \
             it; the link is as it was when that did not help."
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        if incident.is_restart_requested() {
            return Ok(Assessment::not_applicable("a person wants a restart"));
        }
        if unit.is_up() && recovery::silences(incident)?.is_empty() {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}, and answers",
                unit.standing()
            )));
        }
        let mut possible = Vec::new();
        let mut nothing = Vec::new();
        for release in incident.remedies("release") {
            let plan = remedies::plan_for("release.roll-back", &release)?;
            let list = if plan.eligible {
                &mut possible
            } else {
                &mut nothing
            };
            list.push(plan.summary);
        }
        Ok(if possible.is_empty() && nothing.is_empty() {
            Assessment::not_applicable("no release is declared")
        } else if possible.is_empty() {
            Assessment::not_applicable(format!("no release is to blame: {}", nothing.join(", ")))
        } else {
            Assessment::applies(
                45,
                format!(
                    "{name} fails since its release was changed: {}",
                    possible.join(", ")
                ),
            )
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let mut done = Vec::new();
        let mut nothing = Vec::new();
        for name in incident.remedies("release") {
            let receipt = release::roll_back(&name)?;
            if receipt.changed {
                done.push(receipt.summary);
            } else {
                nothing.push(receipt.summary);
            }
        }
        if done.is_empty() {
            return Ok(Outcome::not_applicable(nothing.join(", ")));
        }
        Ok(recovery::bring_up(incident)?.after(&done.join(", ")))
    }
}

prunella_sdk::export!(Rollback);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::Rollback;

    fn release() -> Remedy {
        Remedy::of("release", "point `current` back from v2 to v1").undoable()
    }

    #[test]
    fn a_broken_release_is_rolled_back() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("current", release())
            .starts_when("no such module", |host| host.was_applied("current"));
        let run = host.run::<Rollback>();
        assert_eq!(
            run.applied(),
            "web.service fails since its release was changed: point `current` back from v2 to v1"
        );
        assert_eq!(
            run.healed(),
            "point `current` back from v2 to v1; started web.service: active (running)"
        );
        assert_eq!(
            run.acts(),
            ["release.roll-back current", "start web.service"]
        );
    }

    #[test]
    fn one_that_is_up_and_does_not_answer_is_restarted() {
        let host = Host::new("web.service")
            .probe("http", ProbeKind::http("http://127.0.0.1/"))
            .mute("http")
            .remedy("current", release().answers("http"));
        let run = host.run::<Rollback>();
        run.healed();
        assert_eq!(
            run.acts(),
            ["release.roll-back current", "restart web.service"]
        );
    }

    #[test]
    fn a_release_that_is_not_to_blame_stays() {
        let because = "db.service is failed, and the service needs it: `current` is not to blame";
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("current", release().nothing(because));
        let run = host.assess::<Rollback>();
        assert_eq!(
            run.was_not_applicable(),
            format!("no release is to blame: {because}")
        );
        let well = Host::new("web.service").remedy("current", release());
        assert_eq!(
            well.assess::<Rollback>().was_not_applicable(),
            "web.service is active (running), and answers"
        );
    }
}
