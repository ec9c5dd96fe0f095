//! Moves a declared cache aside when the service fails by itself and a start did not bring it
//! back: what is damaged in it, the service makes anew. Behind `service-restart` in the
//! order, so that a start alone is tried first.

use prunella_sdk::prelude::*;

struct CacheReset;

impl Strategy for CacheReset {
    fn describe() -> Description {
        description!(
            "Moves what is declared as [[set-aside]] aside when the service ends by itself with a \
             failure, and starts it; it comes back when that did not help."
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
        // A signal came from elsewhere: no cache is to blame.
        if !matches!(unit.last_result().as_str(), "exit-code" | "start-limit-hit")
            && incident.cause() != "exit-code"
        {
            return Ok(Assessment::not_applicable(format!(
                "{name} has not ended by itself with a failure"
            )));
        }
        let (movable, nothing) = remedies::eligible(incident, "set-aside.run")?;
        Ok(if movable.is_empty() && nothing.is_empty() {
            Assessment::not_applicable("nothing is declared that could be moved aside")
        } else if movable.is_empty() {
            Assessment::not_applicable(format!(
                "there is nothing to move aside: {}",
                nothing.join(", ")
            ))
        } else {
            Assessment::applies(
                40,
                format!(
                    "{name} fails by itself, and makes {} anew when it is missing",
                    movable.join(", ")
                ),
            )
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        recovery::bring_up_with(incident, "set-aside", set_aside::run)
    }
}

prunella_sdk::export!(CacheReset);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::CacheReset;

    fn cache() -> Remedy {
        Remedy::of("set-aside", "move `cache` aside").undoable()
    }

    #[test]
    fn a_damaged_cache_is_moved_aside() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("cache", cache())
            .starts_when("damaged", |host| host.was_applied("cache"));
        let run = host.run::<CacheReset>();
        assert_eq!(
            run.applied(),
            "web.service fails by itself, and makes `cache` anew when it is missing"
        );
        assert_eq!(
            run.healed(),
            "move `cache` aside; started web.service: active (running)"
        );
        assert_eq!(run.acts(), ["set-aside.run cache", "start web.service"]);
    }

    #[test]
    fn a_killed_service_keeps_its_cache() {
        let host = Host::new("web.service")
            .failed("signal")
            .remedy("cache", cache());
        let run = host.assess::<CacheReset>();
        assert_eq!(
            run.was_not_applicable(),
            "web.service has not ended by itself with a failure"
        );
    }

    #[test]
    fn an_empty_cache_is_not_to_blame() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("cache", cache().nothing("`cache` is empty"));
        let run = host.assess::<CacheReset>();
        assert_eq!(
            run.was_not_applicable(),
            "there is nothing to move aside: `cache` is empty"
        );
    }
}
