//! Makes room for processes of a service: those that have ended are asked about first, then
//! the service may have more. A restart is `service-restart`'s.

use prunella_sdk::prelude::*;
use prunella_sdk::relief::Relief;

/// What shows that it has too many.
const SYMPTOMS: [&str; 3] = ["tasks-permille", "tasks", "processes"];

struct ProcessRelief;

impl Strategy for ProcessRelief {
    fn describe() -> Description {
        description!(
            "When a service has too many processes, tells parents of zombies where that is \
             declared as [[zombies]], and then raises the TasksMax that is declared as \
             [[unit-limits]] by a step, for a time. It ends no process."
        )
        .treats([IncidentKind::Degradation])
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        match Relief::of(incident, &SYMPTOMS) {
            None => Ok(Assessment::not_applicable(
                "it does not have too many processes",
            )),
            Some(relief) => relief.assess(&[
                ("zombies.reap", incident.remedies("zombies")),
                ("unit-limits.raise", limits(incident)),
            ]),
        }
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let Some(mut relief) = Relief::of(incident, &SYMPTOMS) else {
            return Ok(Outcome::not_applicable(
                "it does not have too many processes",
            ));
        };
        if !relief.step(incident.remedies("zombies"), zombies::reap) {
            relief.step(limits(incident), unit_limits::raise);
        }
        Ok(relief.outcome())
    }
}

fn limits(incident: &Incident) -> Vec<String> {
    incident.remedies_about("unit-limits", "tasks-max")
}

prunella_sdk::export!(ProcessRelief);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::ProcessRelief;

    const WEB: &str = "web.service";
    const TASKS: &str = "tasks-permille";

    fn zombies() -> Remedy {
        Remedy::of("zombies", "tell web (7) that children have ended")
            .amount(AmountOf::Processes, 40)
    }

    fn limits() -> Remedy {
        Remedy::of("unit-limits", "raise TasksMax (`tasks`)")
            .about("tasks-max")
            .undoable()
    }

    #[test]
    fn parents_are_told_first() {
        let run = Host::new(WEB)
            .symptom(TASKS, 950, 700)
            .remedy("children", zombies().sets(WEB, TASKS, 100))
            .remedy("tasks", limits())
            .run::<ProcessRelief>();
        assert_eq!(run.acts(), ["zombies.reap children"]);
        assert_eq!(
            run.healed(),
            "tell web (7) that children have ended (40 processes)"
        );
    }

    #[test]
    fn it_may_have_more_when_there_are_no_zombies() {
        let run = Host::new(WEB)
            .symptom(TASKS, 950, 700)
            .remedy("children", zombies().nothing("web.service has 0 zombies"))
            .remedy("tasks", limits())
            .run::<ProcessRelief>();
        assert_eq!(run.acts(), ["unit-limits.raise tasks"]);
    }

    #[test]
    fn without_a_declared_remedy_nothing_is_done() {
        let run = Host::new(WEB)
            .symptom(TASKS, 950, 700)
            .assess::<ProcessRelief>();
        assert_eq!(
            run.was_not_applicable(),
            "its task share is 95 %, and nothing is declared that could be done about it"
        );
    }
}
