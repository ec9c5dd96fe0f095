//! Releases: which of them a service was proven healthy with, and when one is to blame for a
//! failure.
//!
//! A release is to blame when all of this holds:
//!
//! - the failure began soon after its link, or its packages, were changed, and not before;
//! - the service was not proven healthy since that change;
//! - what the service needs is well;
//! - it was not rolled back from before, and the last change was nobody's but a person's.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Timestamp,
    capability::{Answer, Host, health, probes, release::InForce},
    duration::written,
    health::HealthState,
    remedy::{
        KnownRelease, LinkChange, PackageChange, PackageVersion, Plan, Release, ReleaseInForce,
        ReleaseOf, Remedy, Undo,
    },
    service::Service,
    text::one_line,
};
use prunella_store::{Store, StoreError};

use crate::{HealerError, clock::wall_clock, healer::Healer, stored::unavailable};

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(10);

/// So long may lie between the change of a roll-back and what is written of it.
const OWN_CHANGE: Duration = Duration::from_secs(60);

/// It is not looked more often whether a release is proven.
const LEAST: Duration = Duration::from_secs(1);

/// The plan of a roll-back of the release `name`.
pub(crate) fn plan(
    below: &Host,
    store: &Store,
    service: &Service,
    deadline: Instant,
    name: &str,
) -> Answer<Plan> {
    let Remedy::Release(declared) = service.remedy("release", name)? else {
        return Err(Failure::invalid("not-a-release", "it is no release"));
    };
    let known = store.releases(&service.unit, name).map_err(unavailable)?;
    let look = InForce {
        name: name.to_owned(),
        others: may_be_gone_back_to(&known).map(str::to_owned).collect(),
    };
    let now = match below.ask(deadline, look) {
        Ok(now) => now,
        Err(failure) if failure.is("no-release") => return Ok(Plan::nothing(failure.message)),
        Err(failure) => return Err(failure),
    };
    let began = began(below, store, service, deadline)?;
    let case = Case {
        name,
        declared,
        known: &known,
        now: &now,
        began,
    };
    let to = match case.to() {
        Ok(to) => to,
        Err(because) => return Ok(Plan::nothing(because)),
    };
    if let Some(ails) = ailing_need(below, service, deadline)? {
        return Ok(Plan::nothing(format!("{ails}: `{name}` is not to blame")));
    }
    Ok(case.plan(&to))
}

/// Keeps that a service was rolled back from a release. Only once that is done: one that was
/// cut off before is no roll-back, and may be tried again.
pub(crate) fn left(store: &Store, service: &Service, name: &str, undo: &Undo) -> Answer<()> {
    let from = match undo {
        Undo::Relink(change) => change.from.clone(),
        Undo::Reinstall(change) => PackageVersion::all_as_text(&change.from),
        _ => return Ok(()),
    };
    store
        .leave_release(&service.unit, name, &from, wall_clock())
        .map_err(unavailable)
}

/// Those that were proven and not left since, the one that was proven last first.
fn may_be_gone_back_to(known: &[KnownRelease]) -> impl Iterator<Item = &str> {
    let may_be = |known: &&KnownRelease| known.proven.is_some() && known.left.is_none();
    known
        .iter()
        .filter(may_be)
        .map(|known| known.target.as_str())
}

/// All that decides about one failure.
struct Case<'a> {
    name: &'a str,
    declared: &'a Release,
    /// The one that was proven last first.
    known: &'a [KnownRelease],
    now: &'a ReleaseInForce,
    /// When the failure began; none when nothing has failed.
    began: Option<Timestamp>,
}

impl Case<'_> {
    /// The release to go back to; why there is none.
    fn to(&self) -> Result<String, String> {
        let (name, since) = (self.name, self.now.since);
        let Some(began) = self.began else {
            return Err("nothing has failed".to_owned());
        };
        let of_now = self.known.iter().find(|it| it.target == self.now.target);
        if of_now.is_some_and(|known| known.left.is_some()) {
            return Err(format!("`{name}` was rolled back from this release before"));
        }
        if began < since {
            return Err(format!("the failure began before `{name}` was changed"));
        }
        let after = began.since(since);
        if after > self.declared.within {
            return Err(format!(
                "the failure began {} after `{name}` was changed, and only {} count",
                written(Duration::from_secs(after.as_secs())),
                written(self.declared.within)
            ));
        }
        if of_now.is_some_and(|known| known.proven.is_some_and(|proven| proven >= since)) {
            return Err(format!(
                "the service was healthy for {} since `{name}` was changed",
                written(self.declared.healthy_for)
            ));
        }
        // What it went back to was proven before, and the link is as old as that.
        let is_own_change = |left: Timestamp| left >= since && left.since(since) <= OWN_CHANGE;
        if of_now.is_some_and(|known| known.proven.is_some())
            && self
                .known
                .iter()
                .filter_map(|known| known.left)
                .any(is_own_change)
        {
            return Err(format!("Prunella itself changed `{name}` last"));
        }
        if !may_be_gone_back_to(self.known).any(|target| target != self.now.target) {
            return Err(format!(
                "the service is not proven healthy with any release of `{name}` before this one"
            ));
        }
        self.now.there.clone().ok_or_else(|| {
            let because = self.now.not_there.as_ref();
            let because = because.map(|why| format!(": {why}")).unwrap_or_default();
            format!("no release of `{name}` that was proven healthy can be gone back to{because}")
        })
    }

    fn plan(&self, to: &str) -> Plan {
        let name = self.name;
        let (of, from) = (&self.declared.of, &self.now.target);
        let (before, after) = (of.label(from), of.label(to));
        match of {
            ReleaseOf::Path(path) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let change = LinkChange {
                    path: path.clone(),
                    from: from.clone(),
                    to: to.to_owned(),
                    // The same each time: an approval is bound to the plan.
                    temporary: format!(".{file}.prunella-new"),
                };
                Plan::to(format!("point `{name}` back from {before} to {after}"))
                    .undone_by(Undo::Relink(change))
            }
            ReleaseOf::Packages(_) => {
                let all = |text: &str| PackageVersion::parse_all(text).unwrap_or_default();
                let change = PackageChange {
                    from: all(from),
                    to: all(to),
                };
                Plan::to(format!("take `{name}` back from {before} to {after}"))
                    .details(one_line(to, 500))
                    .undone_by(Undo::Reinstall(change))
            }
        }
    }
}

/// When the failure began that the service has now; none when it is up and has no incident.
fn began(
    below: &Host,
    store: &Store,
    service: &Service,
    deadline: Instant,
) -> Answer<Option<Timestamp>> {
    let unit = &service.unit;
    if let Some(incident) = store.unfinished_of(unit).map_err(unavailable)? {
        return Ok(Some(incident.detection.at));
    }
    let status = below.unit(deadline, unit)?;
    Ok(status.since.filter(|_| !status.is_up()))
}

/// What the service needs and is not well, in a sentence.
fn ailing_need(below: &Host, service: &Service, deadline: Instant) -> Answer<Option<String>> {
    let requires = below.unit(deadline, &service.unit)?.requires;
    for needed in service.depends_on.iter().chain(&requires) {
        match below.unit(deadline, needed) {
            Ok(status) if status.is_up() => {}
            Ok(status) => {
                let state = status.active_state.as_str();
                return Ok(Some(format!(
                    "{needed} is {state}, and the service needs it"
                )));
            }
            Err(failure) => return Ok(Some(format!("how {needed} is is not known: {failure}"))),
        }
    }
    for (name, probe) in &service.probes {
        let Some(needed) = &probe.unit else {
            continue;
        };
        let ask = probes::Ask { name: name.clone() };
        match below.ask(deadline, ask) {
            Ok(answer) if answer.healthy => {}
            Ok(_) => {
                return Ok(Some(format!(
                    "the probe `{name}` of {needed} is not answered, and the service needs it"
                )));
            }
            Err(failure) => return Ok(Some(format!("how {needed} is is not known: {failure}"))),
        }
    }
    Ok(None)
}

impl Healer {
    /// Looks which services are healthy for long enough with the release that is in force, and
    /// remembers it. Answers after how long it is to be called again; `None` when no service
    /// declares a release.
    pub fn prove_releases(&self) -> Option<Duration> {
        let store = self.settings.store.as_ref()?;
        let config = self.config();
        let mut next: Option<Duration> = None;
        for unit in config.services.keys() {
            let Some(service) = self.service(unit) else {
                continue;
            };
            for (name, remedy) in &service.remedies {
                let Remedy::Release(declared) = remedy else {
                    continue;
                };
                let again = match self.steady(store, &service, name, declared) {
                    Ok(left) => left,
                    Err(because) => {
                        tracing::debug!("{} of {} is not proven: {because}", name, service.unit);
                        declared.healthy_for
                    }
                };
                let again = again.max(LEAST);
                next = Some(next.map_or(again, |next| next.min(again)));
            }
        }
        next
    }

    /// After how long it may be otherwise; why the release is not proven now.
    fn steady(
        &self,
        store: &Store,
        service: &Arc<Service>,
        name: &str,
        declared: &Release,
    ) -> Result<Duration, String> {
        let told = |failure: Failure| failure.message;
        let told_of = |error: StoreError| error.to_string();
        let host = self.host_for(service);
        let deadline = Instant::now() + LOOK;
        let now = wall_clock();
        let unit = &service.unit;
        let look = InForce {
            name: name.to_owned(),
            others: Vec::new(),
        };
        let link = host.ask(deadline, look).map_err(told)?;
        let status = host.unit(deadline, unit).map_err(told)?;
        if !status.is_up() {
            return Err("it is not up".to_owned());
        }
        let mut since = vec![link.since];
        since.extend(status.since);
        // Without a daemon nobody measures; the probes are asked either way.
        if let Ok(health) = host.ask(deadline, health::Get { unit: unit.clone() }) {
            match health.state {
                HealthState::Healthy => since.push(health.since),
                HealthState::Unknown => {}
                _ => return Err(health.evidence),
            }
        }
        if store.unfinished_of(unit).map_err(told_of)?.is_some() {
            return Err("it has an open incident".to_owned());
        }
        let ended = store.latest_end(unit).map_err(told_of)?;
        since.extend(ended.map(|ended| ended.at));
        let steady = since
            .into_iter()
            .map(|since| now.since(since))
            .min()
            .unwrap_or_default();
        if steady < declared.healthy_for {
            return Ok(declared.healthy_for - steady);
        }
        for (probe, _) in service.own_probes() {
            let ask = probes::Ask {
                name: probe.clone(),
            };
            match host.ask(Instant::now() + LOOK, ask) {
                Ok(answer) if answer.healthy => {}
                Ok(answer) => return Err(answer.detail),
                Err(failure) if failure.is(crate::NEVER_ANSWERED) => {}
                Err(failure) => return Err(failure.message),
            }
        }
        let known = store.releases(unit, name).map_err(told_of)?;
        let is_known = known.iter().any(|known| {
            known.target == link.target && known.proven.is_some_and(|proven| proven >= link.since)
        });
        let proven = store.prove_release(unit, name, &link.target, now);
        proven.map_err(told_of)?;
        if !is_known {
            tracing::info!(
                "{unit} is proven healthy with release {} (`{name}`)",
                declared.of.label(&link.target)
            );
        }
        Ok(declared.healthy_for)
    }
}

/// Has releases proven while it lives.
pub struct ReleaseKeeper {
    healer: Arc<Healer>,
}

impl ReleaseKeeper {
    /// Looks now, and whenever a release may have become a proven one.
    pub fn start(healer: &Arc<Healer>) -> Result<Self, HealerError> {
        let of = Arc::clone(healer);
        thread::Builder::new()
            .name("releases".to_owned())
            .spawn(move || {
                loop {
                    let next = of.prove_releases();
                    if !of.release_news.wait(next) {
                        return;
                    }
                }
            })
            .map_err(|source| HealerError::Thread {
                what: "the proof of releases".to_owned(),
                source,
            })?;
        Ok(Self {
            healer: Arc::clone(healer),
        })
    }
}

impl Drop for ReleaseKeeper {
    fn drop(&mut self) {
        self.healer.release_news.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis((SINCE + seconds) * 1_000)
    }

    fn known(target: &str, proven: Option<u64>, left: Option<u64>) -> KnownRelease {
        KnownRelease {
            target: target.to_owned(),
            proven: proven.map(|ago| Timestamp::from_millis((SINCE - ago) * 1_000)),
            left: left.map(|ago| Timestamp::from_millis((SINCE - ago) * 1_000)),
        }
    }

    /// The link leads to `r/3` since a moment; it failed so many seconds later.
    fn to(known: &[KnownRelease], failed_after: u64, there: &[&str]) -> Result<String, String> {
        let declared = Release {
            of: ReleaseOf::Path("/srv/web/current".into()),
            healthy_for: Duration::from_secs(600),
            within: Duration::from_secs(1_800),
        };
        let now = ReleaseInForce {
            target: "r/3".to_owned(),
            since: at(0),
            there: there.first().map(|it| (*it).to_owned()),
            not_there: None,
        };
        let case = Case {
            name: "current",
            declared: &declared,
            known,
            now: &now,
            began: Some(at(failed_after)),
        };
        case.to()
    }

    #[test]
    fn the_last_release_that_was_proven_and_is_there() {
        let proven = [
            known("r/2", Some(100), None),
            known("r/1", Some(5_000), None),
        ];
        let before: Vec<&str> = may_be_gone_back_to(&proven).collect();
        assert_eq!(before, ["r/2", "r/1"]);
        assert_eq!(to(&proven, 60, &["r/1"]).as_deref(), Ok("r/1"));
        assert_eq!(
            to(&proven, 60, &[]).unwrap_err(),
            "no release of `current` that was proven healthy can be gone back to"
        );
    }

    #[test]
    fn never_to_one_that_failed() {
        let failed = [
            known("r/2", Some(9_000), Some(8_000)),
            known("r/1", Some(9_500), None),
            known("r/0", None, None),
        ];
        let before: Vec<&str> = may_be_gone_back_to(&failed).collect();
        assert_eq!(before, ["r/1"]);
    }

    #[test]
    fn only_when_the_failure_is_tied_to_the_change() {
        let proven = [known("r/2", Some(100), None)];
        let there = ["r/2"];
        assert!(to(&proven, 1_800, &there).is_ok());
        assert_eq!(
            to(&proven, 7_200, &there).unwrap_err(),
            "the failure began 2h after `current` was changed, and only 30m count"
        );
        let declared_before = Case {
            name: "current",
            declared: &Release {
                of: ReleaseOf::Path("/srv/web/current".into()),
                healthy_for: Duration::from_secs(600),
                within: Duration::from_secs(1_800),
            },
            known: &proven,
            now: &ReleaseInForce {
                target: "r/3".to_owned(),
                since: at(60),
                there: Some("r/2".to_owned()),
                not_there: None,
            },
            began: Some(at(0)),
        };
        assert_eq!(
            declared_before.to().unwrap_err(),
            "the failure began before `current` was changed"
        );
        let mut nothing = declared_before;
        nothing.began = None;
        assert_eq!(nothing.to().unwrap_err(), "nothing has failed");
    }

    #[test]
    fn never_twice_for_one_change() {
        let left = [known("r/2", Some(100), None), known("r/3", None, Some(900))];
        assert_eq!(
            to(&left, 60, &["r/2"]).unwrap_err(),
            "`current` was rolled back from this release before"
        );
        let own = |now| {
            [
                known("r/2", Some(100), None),
                known("r/3", now, None),
                KnownRelease {
                    left: Some(at(5)),
                    ..known("r/4", None, None)
                },
            ]
        };
        assert_eq!(
            to(&own(Some(5_000)), 60, &["r/2"]).unwrap_err(),
            "Prunella itself changed `current` last"
        );
        // A person's next deployment.
        assert_eq!(to(&own(None), 60, &["r/2"]).as_deref(), Ok("r/2"));
    }

    #[test]
    fn a_release_that_was_proven_is_not_to_blame() {
        let mut proven = [known("r/3", None, None), known("r/2", Some(100), None)];
        proven[0].proven = Some(at(700));
        let because = to(&proven, 900, &["r/2"]).unwrap_err();
        assert_eq!(
            because,
            "the service was healthy for 10m since `current` was changed"
        );
        assert!(
            to(&[known("r/3", Some(4_000), None)], 60, &[])
                .unwrap_err()
                .starts_with("the service is not proven healthy with any release")
        );
    }
}
