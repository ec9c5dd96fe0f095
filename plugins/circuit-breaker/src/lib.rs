//! Isolates a service that fails again and again, as a declared circuit says, and tries it when
//! the circuit was open for long enough. In front of `service-restart` in the order: one more
//! start is what it prevents. It applies only after as many failures as the operator declared,
//! and by then the strategies behind it have had their turns.

use prunella_sdk::prelude::*;

struct CircuitBreaker;

impl Strategy for CircuitBreaker {
    fn describe() -> Description {
        description!(
            "Opens what is declared as [[circuit]] when the service has failed as often as that \
             says: it is stopped and kept down, and tried after a time that grows."
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        if incident.is_restart_requested() {
            return Ok(Assessment::not_applicable("a person wants a restart"));
        }
        let mut nothing = Vec::new();
        for name in incident.remedies("circuit") {
            if circuit::is_tried_now(&name)? {
                return Ok(Assessment::applies(
                    50,
                    format!("circuit `{name}` is open, and the service is tried now"),
                ));
            }
            let plan = remedies::plan_for("circuit.open", &name)?;
            if plan.eligible {
                return Ok(Assessment::applies(50, format!("it can {}", plan.summary)));
            }
            nothing.push(plan.summary);
        }
        Ok(Assessment::not_applicable(if nothing.is_empty() {
            "no circuit is declared".to_owned()
        } else {
            nothing.join(", ")
        }))
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let mut nothing = Vec::new();
        for name in incident.remedies("circuit") {
            if circuit::is_tried_now(&name)? {
                return half_open(incident, &name);
            }
            let receipt = circuit::open(&name)?;
            if receipt.changed {
                // It is isolated, and not healed.
                return Ok(Outcome::failed(receipt.summary));
            }
            nothing.push(receipt.summary);
        }
        Ok(Outcome::not_applicable(nothing.join(", ")))
    }
}

/// Starts the service, and waits until it is up.
fn half_open(incident: &Incident, name: &str) -> Result<Outcome> {
    let receipt = circuit::half_open(name)?;
    let timeout = settings::duration("timeout", recovery::TIMEOUT)?;
    Ok(match units::wait_up(&incident.unit(), timeout) {
        Ok(unit) => Outcome::healed(format!("{}: {}", receipt.summary, unit.standing())),
        Err(failure) if failure.kind() == FailureKind::Failed || failure.is_timed_out() => {
            let standing = units::get(&incident.unit())?.standing();
            Outcome::failed(format!(
                "{}, and it did not come up: {standing}",
                receipt.summary
            ))
        }
        Err(failure) => return Err(failure),
    })
}

prunella_sdk::export!(CircuitBreaker);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::CircuitBreaker;

    fn circuit() -> Remedy {
        Remedy::of(
            "circuit",
            "open circuit `shop`: stop web.service, and try it after 30s",
        )
        .undoable()
    }

    #[test]
    fn a_service_that_failed_often_enough_is_isolated_and_not_started() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("shop", circuit());
        let run = host.run::<CircuitBreaker>();
        assert_eq!(
            run.applied(),
            "it can open circuit `shop`: stop web.service, and try it after 30s"
        );
        assert_eq!(run.acts(), ["circuit.open shop"]);
        assert_eq!(
            run.failed(),
            "open circuit `shop`: stop web.service, and try it after 30s"
        );
    }

    #[test]
    fn at_its_open_circuit_the_service_is_started_once() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("shop", circuit().applied());
        let run = host.run::<CircuitBreaker>();
        assert_eq!(
            run.applied(),
            "circuit `shop` is open, and the service is tried now"
        );
        // The host starts it.
        assert_eq!(run.acts(), ["circuit.half-open shop", "start web.service"]);
        assert_eq!(run.healed(), "started web.service: active (running)");
    }

    #[test]
    fn one_that_still_fails_is_no_success() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("shop", circuit().applied())
            .starts_when("no such module", |_| false);
        let run = host.run::<CircuitBreaker>();
        assert!(run.failed().contains("did not come up"), "{}", run.failed());
        assert_eq!(run.acts(), ["circuit.half-open shop", "start web.service"]);
    }

    #[test]
    fn one_failure_opens_nothing() {
        let because = "it has failed once in 10m, and circuit `shop` opens at 3";
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("shop", circuit().nothing(because));
        assert_eq!(
            host.assess::<CircuitBreaker>().was_not_applicable(),
            because
        );
    }
}
