//! Declared remedies: what each would do is what the test says of it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    capability::{
        Act, Answer, UnitAct,
        filesystems::percent_used,
        remedies::{Apply, PlanOf, TakeBack},
    },
    remedy::{
        Amount, Bounds, Call, CallMethod, ChangedTraffic, Circuit, Cleanup, CleanupFolder,
        CleanupOf, ConfigFormat, ConfigUpdate, ConfigValues, EnteredMode, FailedOver, Failover,
        FileRestore, HaproxyServer, Instances, Lease, LeaseEnds, LinkChange, MemoryReclaim, Mode,
        MovedAside, MovedLimits, Offender, OpenedCircuit, Plan, Receipt, Release, ReleaseOf,
        Remedy, ReplacedContent, ServerState, SetAside, Signal, SignalName, StaleFile, StandbyIs,
        TraceKind, Traffic, TrafficChange, TrafficWay, Undo, UnitLimits, UnitProperty, Zombies,
    },
};

use crate::{build::RemedyChange, world::World};

/// For how long what has a lease is lent.
const LEASE: Duration = Duration::from_secs(30 * 60);

/// Of each limit that may be moved.
const BOUNDS: Bounds = Bounds {
    min: 100,
    max: 400,
    step: 100,
};

/// A remedy of this kind as an operator might have declared it, and how it would be undone.
/// What cannot be undone has no undo.
pub(crate) fn example(kind: &str, name: &str, about: &[String]) -> Option<(Remedy, Option<Undo>)> {
    let path = PathBuf::from(format!("/sim/{name}"));
    let unit = UnitName::new(format!("{name}.slice")).ok()?;
    Some(match kind {
        "cleanup" => (
            Remedy::Cleanup(Cleanup {
                of: CleanupOf::Folder(CleanupFolder {
                    path: path.clone(),
                    patterns: Vec::new(),
                    truncate: false,
                    mounted: None,
                }),
                older_than: Duration::ZERO,
                keep_newest: 0,
                at_most: None,
                at_least: 1 << 20,
            }),
            None,
        ),
        "config-update" => (
            Remedy::ConfigUpdate(ConfigUpdate {
                path: path.clone(),
                format: ConfigFormat::Toml,
                key: "workers".to_owned(),
                values: ConfigValues::Listed(vec!["8".to_owned(), "4".to_owned()]),
                check: "config".to_owned(),
                secret: false,
                untouched_for: Duration::from_secs(600),
                lease: Lease {
                    lasts: Duration::from_secs(7 * 86_400),
                    ends: LeaseEnds::Kept,
                    calm: Duration::ZERO,
                },
            }),
            Some(Undo::TakeContentBack(replaced(name, path))),
        ),
        "file-restore" => (
            Remedy::FileRestore(FileRestore {
                path: path.clone(),
                source: None,
                check: None,
                secret: false,
                generations: 3,
                settle: Duration::ZERO,
                keep: Duration::from_secs(7 * 86_400),
            }),
            Some(Undo::TakeContentBack(replaced(name, path))),
        ),
        "stale-file" => (
            Remedy::StaleFile(StaleFile {
                path: path.clone(),
                what: TraceKind::Pid,
                keep: Duration::from_secs(3600),
            }),
            Some(Undo::PutBack(MovedAside {
                path,
                aside: format!("{name}.stale"),
                device: 1,
                inode: 1,
            })),
        ),
        "instances" => (
            Remedy::Instances(Instances {
                template: UnitName::new(format!("{name}@.service")).ok()?,
                min: 1,
                max: 4,
                cooldown: Duration::from_secs(5 * 60),
                lease: LEASE,
                calm: LEASE,
                drain: None,
                drain_traffic: None,
            }),
            Some(Undo::StartInstance { unit, server: None }),
        ),
        "memory" => (
            Remedy::MemoryReclaim(MemoryReclaim {
                unit: None,
                at_most: 256 << 20,
            }),
            None,
        ),
        "offenders" => (
            Remedy::Offender(Offender {
                unit: unit.clone(),
                throttle: about
                    .iter()
                    .filter(|one| *one == "throttle")
                    .map(|_| (UnitProperty::CpuWeight, 10))
                    .collect(),
                freeze: about.iter().any(|one| one == "freeze"),
                lease: LEASE,
                calm: LEASE,
            }),
            Some(Undo::Thaw { unit }),
        ),
        "unit-limits" => (
            Remedy::UnitLimits(UnitLimits {
                unit: None,
                bounds: UnitProperty::ALL
                    .into_iter()
                    .filter(|property| about.iter().any(|one| one == property.as_str()))
                    .map(|property| (property, BOUNDS))
                    .collect(),
                lease: LEASE,
                calm: LEASE,
            }),
            Some(Undo::SetBack(MovedLimits {
                unit,
                limits: Vec::new(),
            })),
        ),
        "zombies" => (Remedy::Zombies(Zombies { at_least: 10 }), None),
        "call" => (
            Remedy::Call(Call {
                url: format!("http://127.0.0.1/{name}"),
                method: CallMethod::Post,
                headers: BTreeMap::new(),
                body: None,
                expect_status: Vec::new(),
                timeout: Duration::from_secs(10),
                secret: None,
            }),
            None,
        ),
        "circuit" => (
            Remedy::Circuit(Circuit {
                failures: 3,
                window: Duration::from_secs(600),
                wait: Duration::from_secs(30),
                wait_most: Duration::from_secs(300),
            }),
            Some(Undo::CloseCircuit(OpenedCircuit {
                name: name.to_owned(),
                unit: UnitName::new(format!("{name}.service")).ok()?,
                times: 1,
            })),
        ),
        "release" => (
            Remedy::Release(Release {
                of: ReleaseOf::Path(path.clone()),
                healthy_for: Duration::from_secs(600),
                within: Duration::from_secs(1_800),
            }),
            Some(Undo::Relink(LinkChange {
                path,
                from: "releases/2".to_owned(),
                to: "releases/1".to_owned(),
                temporary: format!(".{name}.new"),
            })),
        ),
        "signal" => (
            Remedy::Signal(Signal {
                signal: SignalName::Hup,
            }),
            None,
        ),
        "failover" => {
            let standby = UnitName::new(format!("{name}-standby.service")).ok()?;
            (
                Remedy::Failover(Failover {
                    standbys: vec![standby.clone()],
                    standby_is: StandbyIs::Stopped,
                    able: None,
                    fenced: None,
                    promote: None,
                    demote: None,
                    probes: Vec::new(),
                    fail_back_after: None,
                }),
                Some(Undo::FailBack(Box::new(FailedOver {
                    name: name.to_owned(),
                    primary: UnitName::new(format!("{name}.service")).ok()?,
                    standby,
                    standby_is: StandbyIs::Stopped,
                    was_up: false,
                    able: None,
                    promote: None,
                    demote: None,
                    probes: Vec::new(),
                }))),
            )
        }
        "mode" => (
            Remedy::Mode(Mode {
                stop: Vec::new(),
                start: Vec::new(),
                enter: None,
                leave: None,
                lease: Duration::from_secs(3_600),
                calm: Duration::from_secs(600),
            }),
            Some(Undo::LeaveMode(EnteredMode {
                name: name.to_owned(),
                stopped: Vec::new(),
                started: Vec::new(),
                leave: None,
            })),
        ),
        "traffic" => {
            let server = HaproxyServer {
                socket: path,
                backend: name.to_owned(),
                server: "one".to_owned(),
            };
            (
                Remedy::Traffic(Traffic {
                    way: TrafficWay::Haproxy(server.clone()),
                    wait: Duration::ZERO,
                    lease: LEASE,
                    calm: LEASE,
                }),
                Some(Undo::RestoreTraffic(ChangedTraffic {
                    name: name.to_owned(),
                    change: TrafficChange::Haproxy {
                        server,
                        from: ServerState::Ready,
                        to: ServerState::Drain,
                    },
                })),
            )
        }
        "set-aside" => (
            Remedy::SetAside(SetAside {
                path: path.clone(),
                keep: Duration::from_secs(7 * 86_400),
            }),
            Some(Undo::MoveBack(MovedAside {
                path,
                aside: format!("{name}.set-aside"),
                device: 1,
                inode: 1,
            })),
        ),
        _ => return None,
    })
}

fn replaced(name: &str, path: PathBuf) -> ReplacedContent {
    ReplacedContent {
        path,
        aside: format!("{name}.replaced"),
        before: None,
        sha256: String::new(),
        modified: Timestamp::default(),
        copies: PathBuf::from("/sim/copies"),
    }
}

impl World {
    /// The remedy as it is now: what was applied has nothing left to do, unless the test says
    /// otherwise.
    pub(super) fn plan(&self, of: &PlanOf) -> Answer<Plan> {
        self.service.remedy(of.act.interface(), &of.name)?;
        let Some(remedy) = self.remedies.get(&of.name) else {
            return Ok(Plan::nothing("it has no model"));
        };
        if let Some(because) = &remedy.nothing {
            return Ok(Plan::nothing(because));
        }
        if of.act == Act::HalfOpenCircuit {
            let unit = &self.service.unit;
            return Ok(if self.applied.contains(&of.name) {
                Plan::to(format!("start {unit} at its open circuit `{}`", of.name))
            } else {
                Plan::nothing(format!("circuit `{}` is closed", of.name))
            });
        }
        if self.applied.contains(&of.name) && !remedy.again {
            return Ok(Plan::nothing("it was applied already"));
        }
        let undo = example(&remedy.kind, &of.name, &remedy.about).and_then(|(_, undo)| undo);
        Ok(Plan {
            amount: remedy.amount,
            along: remedy.along.clone(),
            undo: undo.filter(|_| remedy.undoable),
            ..Plan::to(&remedy.does)
        })
    }

    pub(super) fn apply(&mut self, apply: &Apply) -> Answer<Receipt> {
        let plan = self.plan(&PlanOf {
            act: apply.act,
            name: apply.name.clone(),
        })?;
        if !plan.eligible {
            return Ok(Receipt::nothing(plan.summary));
        }
        self.acts.push(format!("{} {}", apply.act, apply.name));
        if let Some(failure) = self
            .remedies
            .get(&apply.name)
            .and_then(|remedy| remedy.fails.clone())
        {
            return Err(failure);
        }
        if apply.act == Act::HalfOpenCircuit {
            let unit = self.service.unit.clone();
            self.queue(&unit, UnitAct::Start)?;
            return Ok(Receipt::done(format!("started {unit}")));
        }
        self.applied.push(apply.name.clone());
        let remedy = self.remedies.get(&apply.name).cloned();
        for change in remedy.iter().flat_map(|remedy| &remedy.changes) {
            self.changed_by_remedy(change);
        }
        let gained = remedy.and_then(|remedy| remedy.gains);
        let measured = plan.amount.map(|amount| Amount {
            value: gained.unwrap_or(amount.value),
            ..amount
        });
        Ok(Receipt {
            predicted: plan.amount,
            measured,
            ..Receipt::done(plan.summary)
        })
    }

    fn changed_by_remedy(&mut self, change: &RemedyChange) {
        match change {
            RemedyChange::Answers(probe) => {
                self.mute.retain(|mute| mute != probe);
                let is_of_it = |instance: &String| instance == probe;
                self.symptoms
                    .retain(|symptom| !symptom.instance.as_ref().is_some_and(is_of_it));
            }
            RemedyChange::Disk { available } => {
                self.disk.available = *available;
                self.disk.used = self.disk.total.saturating_sub(*available);
                self.disk.used_percent = percent_used(self.disk.used, *available);
            }
            RemedyChange::Metric(subject, metric, value) => {
                let measured = self.measured.iter_mut();
                for one in measured.filter(|one| one.subject == *subject && one.metric == *metric) {
                    one.value = *value;
                    one.an_hour = 0.0;
                }
            }
        }
    }

    pub(super) fn take_back(&mut self, back: &TakeBack) -> String {
        let done = if back.discard {
            format!("discard what undoes `{}`", back.act)
        } else {
            back.undo.to_string()
        };
        self.acts.push(done.clone());
        self.applied.clear();
        done
    }
}
