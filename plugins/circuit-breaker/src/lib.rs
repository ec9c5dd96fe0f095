//! Isolates a service that fails again and again, as a declared circuit says, and tries it when
//! the circuit was open for long enough. In front of `service-restart` in the order: one more
//! start is what it prevents. It applies only after as many failures as the operator declared,
//! and by then the strategies behind it have had their turns. What is declared as traffic is
//! drained first: a service that is tried gets requests again once it is proven well.

use prunella_sdk::prelude::*;

struct CircuitBreaker;

impl Strategy for CircuitBreaker {
    fn describe() -> Description {
        description!(
            "Opens what is declared as [[circuit]] when the service has failed as often as that \
             says: it is taken out of rotation, stopped and kept down, and tried after a time \
             that grows."
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
            let plan = remedies::plan_for("circuit.open", &name)?;
            if plan.eligible {
                // It is isolated, and not healed.
                return Ok(Outcome::failed(isolate(incident, &name)?));
            }
            nothing.push(plan.summary);
        }
        Ok(Outcome::not_applicable(nothing.join(", ")))
    }
}

/// Has the service get no requests, and opens its circuit. A proxy that cannot be told keeps
/// nothing from being isolated.
fn isolate(incident: &Incident, name: &str) -> Result<String> {
    let drained = match remedies::apply_first(incident, "traffic", traffic::drain) {
        Ok(drained) => drained.ok(),
        Err(failure) => {
            warn!("it stays in rotation: {failure}");
            None
        }
    };
    let opened = circuit::open(name)?;
    let done = drained.into_iter().chain([opened]);
    Ok(done.map(|one| one.summary).collect::<Vec<_>>().join(", "))
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
    fn what_a_proxy_sends_requests_to_is_drained_first() {
        let front = Remedy::of("traffic", "drain `front`").undoable();
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("front", front)
            .remedy("shop", circuit());
        let run = host.run::<CircuitBreaker>();
        run.applied();
        assert_eq!(run.acts(), ["traffic.drain front", "circuit.open shop"]);
    }

    #[test]
    fn where_nobody_else_serves_it_is_isolated_all_the_same() {
        let last = "`front` is the last server of its backend that gets requests";
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy(
                "front",
                Remedy::of("traffic", "drain `front`").nothing(last),
            )
            .remedy("shop", circuit());
        let run = host.run::<CircuitBreaker>();
        run.applied();
        assert_eq!(run.acts(), ["circuit.open shop"]);
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
