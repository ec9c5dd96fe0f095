//! Gives a service the processor time that it lacks. One that waits for others has them make
//! way first, and comes before them then; one that has used up its own quota may have more.

use prunella_sdk::prelude::*;
use prunella_sdk::relief::Relief;

/// It waits because others run.
const WAITS: &str = "pressure-cpu-permille";

/// It has used up what it may.
const USED_UP: [&str; 2] = ["throttled-permille", "cpu-permille"];

/// What shows that it lacks processor time.
const SYMPTOMS: [&str; 3] = [WAITS, "throttled-permille", "cpu-permille"];

struct CpuRelief;

impl Strategy for CpuRelief {
    fn describe() -> Description {
        description!(
            "When a service lacks processor time, throttles what is declared as [[offenders]], \
             raises the limits that are declared as [[unit-limits]] by a step, and freezes \
             offenders where that is allowed; all of it for a time."
        )
        .treats([IncidentKind::Degradation])
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        match Relief::of(incident, &SYMPTOMS) {
            None => Ok(Assessment::not_applicable(
                "it does not lack processor time",
            )),
            Some(relief) => relief.assess(&[
                (
                    "offenders.throttle",
                    offenders(incident, &relief, "throttle"),
                ),
                ("unit-limits.raise", limits(incident, &relief)),
                ("offenders.freeze", offenders(incident, &relief, "freeze")),
            ]),
        }
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let Some(mut relief) = Relief::of(incident, &SYMPTOMS) else {
            return Ok(Outcome::not_applicable("it does not lack processor time"));
        };
        let throttled = offenders(incident, &relief, "throttle");
        let limits = limits(incident, &relief);
        let frozen = offenders(incident, &relief, "freeze");
        if !relief.step(throttled, offenders::throttle) && !relief.step(limits, unit_limits::raise)
        {
            relief.step(frozen, offenders::freeze);
        }
        Ok(relief.outcome())
    }
}

/// Who may have to make way: nobody for a service that has used up its own quota.
fn offenders(incident: &Incident, relief: &Relief, by: &str) -> Vec<String> {
    if relief.has(WAITS) {
        incident.remedies_about("offenders", by)
    } else {
        Vec::new()
    }
}

/// The limits to raise: its weight against others, or its own quota.
fn limits(incident: &Incident, relief: &Relief) -> Vec<String> {
    let weight = relief.has(WAITS).then_some("cpu-weight");
    let is_used_up = USED_UP.iter().any(|metric| relief.has(metric));
    let quota = is_used_up.then_some("cpu-quota");
    let mut names: Vec<String> = weight
        .into_iter()
        .chain(quota)
        .flat_map(|limit| incident.remedies_about("unit-limits", limit))
        .collect();
    names.sort();
    names.dedup();
    names
}

prunella_sdk::export!(CpuRelief);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::CpuRelief;

    const WEB: &str = "web.service";
    const WAITS: &str = "pressure-cpu-permille";

    fn batch() -> Remedy {
        Remedy::of("offenders", "lower CPUWeight (`batch`)")
            .about("throttle")
            .undoable()
    }

    fn weight() -> Remedy {
        Remedy::of("unit-limits", "raise CPUWeight (`weight`)").about("cpu-weight")
    }

    fn quota() -> Remedy {
        Remedy::of("unit-limits", "raise CPUQuota (`quota`)").about("cpu-quota")
    }

    #[test]
    fn a_neighbour_makes_way_first() {
        let run = Host::new(WEB)
            .symptom(WAITS, 600, 100)
            .remedy("batch", batch().sets(WEB, WAITS, 50))
            .remedy("weight", weight())
            .run::<CpuRelief>();
        assert_eq!(run.acts(), ["offenders.throttle batch"]);
        assert_eq!(run.healed(), "lower CPUWeight (`batch`)");
    }

    #[test]
    fn one_that_still_waits_comes_before_others_and_freezing_is_the_last_step() {
        let run = Host::new(WEB)
            .symptom(WAITS, 600, 100)
            .remedy("batch", batch().about("freeze").again())
            .remedy("weight", weight())
            .run::<CpuRelief>();
        assert_eq!(
            run.acts(),
            [
                "offenders.throttle batch",
                "unit-limits.raise weight",
                "offenders.freeze batch"
            ]
        );
    }

    #[test]
    fn nobody_makes_way_for_one_that_has_used_up_its_own_quota() {
        let run = Host::new(WEB)
            .symptom("throttled-permille", 900, 300)
            .remedy("batch", batch())
            .remedy("weight", weight())
            .remedy("quota", quota())
            .run::<CpuRelief>();
        assert_eq!(run.acts(), ["unit-limits.raise quota"]);
    }

    #[test]
    fn one_that_is_short_of_memory_is_left_alone() {
        let run = Host::new(WEB)
            .symptom("memory-permille", 950, 800)
            .remedy("batch", batch())
            .assess::<CpuRelief>();
        assert_eq!(run.was_not_applicable(), "it does not lack processor time");
    }
}
