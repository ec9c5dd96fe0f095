//! Relieves a service that is short of memory: the kernel takes back what it can first, then
//! the service may have more. A restart is `service-restart`'s.

use prunella_sdk::prelude::*;
use prunella_sdk::relief::Relief;

/// What shows that it is short of memory.
const SYMPTOMS: [&str; 4] = [
    "memory-permille",
    "memory-bytes",
    "pressure-memory-permille",
    SWAPPED,
];

/// Reclaiming would swap out more.
const SWAPPED: &str = "swap-bytes";

/// The limits that may be raised.
const LIMITS: [&str; 2] = ["memory-high", "memory-max"];

struct MemoryRelief;

impl Strategy for MemoryRelief {
    fn describe() -> Description {
        description!(
            "When a service is short of memory, reclaims what is declared as [[memory]], and then \
             raises the limits that are declared as [[unit-limits]] by a step, for a time."
        )
        .treats([IncidentKind::Degradation])
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        match Relief::of(incident, &SYMPTOMS) {
            None => Ok(Assessment::not_applicable("it is not short of memory")),
            Some(relief) => relief.assess(&[
                ("memory.reclaim", reclaimable(incident, &relief)),
                ("unit-limits.raise", limits(incident)),
            ]),
        }
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let Some(mut relief) = Relief::of(incident, &SYMPTOMS) else {
            return Ok(Outcome::not_applicable("it is not short of memory"));
        };
        let reclaimable = reclaimable(incident, &relief);
        if !relief.step(reclaimable, memory::reclaim) {
            relief.step(limits(incident), unit_limits::raise);
        }
        Ok(relief.outcome())
    }
}

fn reclaimable(incident: &Incident, relief: &Relief) -> Vec<String> {
    if relief.has(SWAPPED) {
        return Vec::new();
    }
    incident.remedies("memory")
}

/// Those that move limits of memory, each once.
fn limits(incident: &Incident) -> Vec<String> {
    let mut names: Vec<String> = LIMITS
        .iter()
        .flat_map(|limit| incident.remedies_about("unit-limits", limit))
        .collect();
    names.sort();
    names.dedup();
    names
}

prunella_sdk::export!(MemoryRelief);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::MemoryRelief;

    const WEB: &str = "web.service";

    fn cache() -> Remedy {
        Remedy::of("memory", "reclaim memory of web.service (`cache`)")
    }

    fn limits() -> Remedy {
        Remedy::of("unit-limits", "raise MemoryHigh (`limits`)")
            .about("memory-high")
            .undoable()
    }

    fn short_of_memory() -> Host {
        Host::new(WEB)
            .symptom("memory-permille", 950, 800)
            .remedy("limits", limits())
    }

    #[test]
    fn what_the_kernel_takes_back_may_be_enough() {
        let cache = cache().sets(WEB, "memory-permille", 600);
        let run = short_of_memory()
            .remedy("cache", cache)
            .run::<MemoryRelief>();
        assert_eq!(
            run.applied(),
            "its memory share is 95 %; it is possible to reclaim memory of web.service (`cache`), \
             then raise MemoryHigh (`limits`)"
        );
        assert_eq!(run.acts(), ["memory.reclaim cache"]);
        assert_eq!(run.healed(), "reclaim memory of web.service (`cache`)");
    }

    #[test]
    fn it_may_have_more_when_that_was_not_enough() {
        let cache = cache().sets(WEB, "memory-permille", 900);
        let run = short_of_memory()
            .remedy("cache", cache)
            .run::<MemoryRelief>();
        assert_eq!(
            run.acts(),
            ["memory.reclaim cache", "unit-limits.raise limits"]
        );
    }

    #[test]
    fn nothing_is_reclaimed_of_what_is_swapped_out() {
        let run = Host::new(WEB)
            .symptom("swap-bytes", 200 << 20, 100 << 20)
            .remedy("cache", cache())
            .remedy("limits", limits())
            .run::<MemoryRelief>();
        assert_eq!(run.acts(), ["unit-limits.raise limits"]);
    }

    #[test]
    fn a_limit_of_something_else_is_left_alone() {
        let run = Host::new(WEB)
            .symptom("memory-permille", 950, 800)
            .remedy(
                "tasks",
                Remedy::of("unit-limits", "raise").about("tasks-max"),
            )
            .assess::<MemoryRelief>();
        assert_eq!(
            run.was_not_applicable(),
            "its memory share is 95 %, and nothing is declared that could be done about it"
        );
    }

    #[test]
    fn a_slow_service_is_not_short_of_memory() {
        let run = Host::new(WEB)
            .symptom("cpu-permille", 950, 800)
            .remedy("limits", limits())
            .assess::<MemoryRelief>();
        assert_eq!(run.was_not_applicable(), "it is not short of memory");
    }
}
