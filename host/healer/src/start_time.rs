//! How long a service may take to become well once it was started.
//!
//! | known | how long |
//! |---|---|
//! | the operator's `[proof] timeout` | so long |
//! | how long its starts took in earlier incidents | half as long again, and some |
//! | neither | as long as systemd gives a start (TimeoutStartSec=) |
//!
//! While systemd itself is at work on the start, it is the one to end it.

use std::time::Duration;

use prunella_core::{
    UnitName,
    capability::UnitStatus,
    incident::EndingKind,
    policy::Act,
    service::Service,
    summary::{Filter, OutcomeFilter},
    trail::{Entry, Step},
};
use prunella_store::Store;

/// What every service gets.
const USUAL: Duration = Duration::from_secs(30);

/// What a service gets to which systemd gives all the time in the world.
const MOST: Duration = Duration::from_secs(15 * 60);

/// What is added to a start that was seen before, for a busy host.
const SOME_MORE: Duration = Duration::from_secs(10);

/// So many healed incidents of the service are looked at.
const PAST: u32 = 5;

/// How long a start may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartTime {
    /// When it is worth a word that it takes longer.
    pub(crate) usual: Duration,
    /// When it is not waited for any longer.
    pub(crate) most: Duration,
    /// The same while systemd is at work on the start.
    pub(crate) by_systemd: Duration,
}

impl StartTime {
    /// Of a service whose unit stands so.
    pub(crate) fn of(service: &Service, status: &UnitStatus, store: Option<&Store>) -> Self {
        let limit = status.start_rules.start_timeout.unwrap_or(MOST);
        let by_systemd = limit + SOME_MORE;
        if let Some(timeout) = service.proof.timeout {
            return Self {
                usual: timeout,
                most: timeout,
                by_systemd: by_systemd.max(timeout),
            };
        }
        let most = match longest(service, store) {
            Some(longest) => longest * 3 / 2 + SOME_MORE,
            None => limit,
        };
        Self {
            usual: USUAL,
            most: most.max(USUAL),
            by_systemd: by_systemd.max(USUAL),
        }
    }
}

/// The longest of the service's starts that earlier incidents tell of.
fn longest(service: &Service, store: Option<&Store>) -> Option<Duration> {
    let store = store?;
    let filter = Filter {
        unit: Some(service.unit.clone()),
        outcome: Some(OutcomeFilter::Ended(EndingKind::Healed)),
        limit: Some(PAST),
        ..Filter::default()
    };
    let past = store
        .incidents(&filter)
        .inspect_err(|error| tracing::debug!("how long {} takes: {error}", service.unit))
        .ok()?;
    past.iter()
        .filter_map(|incident| store.record(&incident.id).ok().flatten())
        .filter_map(|record| took(&record.steps, &service.unit))
        .max()
}

/// From the start of the unit that came last to the moment when it answered.
fn took(steps: &[Entry], unit: &UnitName) -> Option<Duration> {
    let answered = steps
        .iter()
        .rposition(|entry| matches!(entry.step, Step::Answering { .. }))?;
    let (before, from) = steps.split_at(answered);
    let started = before.iter().rfind(|entry| is_start(&entry.step, unit))?;
    from.first()?.monotonic.checked_since(started.monotonic)
}

/// Whether a step is the intention of a start or restart of the unit.
pub(crate) fn is_start(step: &Step, unit: &UnitName) -> bool {
    match step {
        Step::ActIntended {
            act,
            target,
            dry_run: false,
            ..
        } => target == unit.as_str() && Act::ALL.iter().any(|a| a.is_healing() && a.name() == act),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{Monotonic, Timestamp, incident::IncidentId};

    use super::*;

    fn entry(monotonic: u64, step: Step) -> Entry {
        Entry {
            incident: IncidentId::from_text("a"),
            number: 0,
            at: Timestamp::default(),
            monotonic: Monotonic::from_micros(monotonic),
            attempt: 1,
            step,
        }
    }

    fn start(target: &str) -> Step {
        Step::ActIntended {
            action: 1,
            strategy: "service-restart".parse().unwrap(),
            act: "unit-control.start".to_owned(),
            target: target.to_owned(),
            dry_run: false,
            plan: None,
        }
    }

    #[test]
    fn a_start_took_from_the_last_act_to_the_answer() {
        let unit = UnitName::new("web.service").unwrap();
        let answering = Step::Answering {
            evidence: Vec::new(),
            after: None,
        };
        let mut steps = vec![
            entry(1_000_000, start("web.service")),
            entry(5_000_000, start("web.service")),
            entry(6_000_000, start("db.service")),
        ];
        assert_eq!(took(&steps, &unit), None);
        steps.push(entry(50_000_000, answering));
        assert_eq!(took(&steps, &unit), Some(Duration::from_secs(45)));
        assert_eq!(took(&steps[2..], &unit), None);
    }
}
