//! Starts one more instance of a service that has too much to do. It is stopped when its lease
//! is over.

use prunella_sdk::prelude::*;
use prunella_sdk::relief::Relief;

/// What shows that it has too much to do.
const SYMPTOMS: [&str; 6] = [
    "cpu-permille",
    "cpu-core-permille",
    "throttled-permille",
    "pressure-cpu-permille",
    "latency-ms",
    "request-latency-ms",
];

struct Scale;

impl Strategy for Scale {
    fn describe() -> Description {
        description!(
            "When a service is slow or lacks processor time, starts one more instance of the \
             template that is declared as [[instances]], for a time."
        )
        .treats([IncidentKind::Degradation])
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        match Relief::of(incident, &SYMPTOMS) {
            None => Ok(Assessment::not_applicable(
                "it does not have too much to do",
            )),
            Some(relief) => relief.assess(&[("instances.up", incident.remedies("instances"))]),
        }
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let Some(mut relief) = Relief::of(incident, &SYMPTOMS) else {
            return Ok(Outcome::not_applicable("it does not have too much to do"));
        };
        relief.step(incident.remedies("instances"), instances::up);
        Ok(relief.outcome())
    }
}

prunella_sdk::export!(Scale);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::Scale;

    const WEB: &str = "web.service";

    fn app() -> Remedy {
        Remedy::of("instances", "start app@2.service (`app`)")
            .amount(AmountOf::Instances, 1)
            .undoable()
    }

    #[test]
    fn a_busy_service_gets_one_more_instance() {
        let run = Host::new(WEB)
            .symptom("cpu-permille", 950, 700)
            .remedy("app", app().sets(WEB, "cpu-permille", 500))
            .run::<Scale>();
        assert_eq!(
            run.applied(),
            "its CPU is 95 %; it is possible to start app@2.service (`app`)"
        );
        assert_eq!(run.acts(), ["instances.up app"]);
        assert_eq!(run.healed(), "start app@2.service (`app`) (1 instance)");
    }

    #[test]
    fn the_most_that_may_run_is_not_exceeded() {
        let most = "3 of app@.service run, the most that may";
        let run = Host::new(WEB)
            .symptom("latency-ms", 950, 700)
            .remedy("app", app().nothing(most))
            .assess::<Scale>();
        assert_eq!(
            run.was_not_applicable(),
            format!("there is nothing to do: {most}")
        );
    }

    #[test]
    fn memory_is_no_reason_to_scale() {
        let run = Host::new(WEB)
            .symptom("memory-permille", 950, 700)
            .remedy("app", app())
            .assess::<Scale>();
        assert_eq!(run.was_not_applicable(), "it does not have too much to do");
    }
}
