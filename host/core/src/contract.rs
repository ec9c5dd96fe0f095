//! What the contract's types are in this crate's words, once: for the engine's
//! bindings, and for those of the SDK where authors test their strategies.
//!
//! Both bindings are generated from `wit/` and have the same shape, as modules of
//! two crates. So what turns one into the other is a macro, given the path to the
//! bindings' module `prunella`, or the name of a macro that defines a getter.

use crate::{capability::FileStatus, service::DeclaredFile};

/// What is behind a handle to a declared file: how it stands, and how it was
/// declared.
#[derive(Debug, Clone)]
pub struct File {
    pub status: FileStatus,
    pub declared: DeclaredFile,
}

/// Records with the same fields on both sides, enums with the same cases, and the
/// few that differ.
#[macro_export]
macro_rules! contract_conversions {
    ($($prunella:ident)::+) => {
        $crate::contract_types! { [$($prunella)::+] }

        impl From<$crate::Failure> for $($prunella)::+::base::types::Failure {
            fn from(failure: $crate::Failure) -> Self {
                Self {
                    kind: failure.kind.into(),
                    code: failure.code,
                    message: failure.message,
                }
            }
        }

        impl From<$crate::health::Symptom> for $($prunella)::+::base::incidents::Symptom {
            fn from(symptom: $crate::health::Symptom) -> Self {
                Self {
                    level: symptom.level.as_str().to_owned(),
                    metric: symptom.metric.as_str().to_owned(),
                    instance: symptom.instance,
                    value: symptom.value,
                    threshold: symptom.threshold,
                    clear: symptom.clear,
                    since: symptom.since.as_millis(),
                    evidence: symptom.evidence,
                }
            }
        }

        impl From<$crate::health::Health> for $($prunella)::+::observe::health::ServiceHealth {
            fn from(health: $crate::health::Health) -> Self {
                Self {
                    state: health.state.as_str().to_owned(),
                    since: health.since.as_millis(),
                    evidence: health.evidence,
                    symptoms: health.symptoms.into_iter().map(From::from).collect(),
                }
            }
        }

        impl From<$crate::capability::metrics::SpanSummary>
            for $($prunella)::+::observe::metrics::SpanSummary
        {
            fn from(summary: $crate::capability::metrics::SpanSummary) -> Self {
                Self {
                    instance: summary.instance,
                    first_at: summary.first_at.as_millis(),
                    last_at: summary.last_at.as_millis(),
                    points: summary.points,
                    mean: summary.mean,
                    min: summary.min,
                    max: summary.max,
                    slope: summary.slope.map(From::from),
                }
            }
        }

        impl From<$crate::remedy::Amount> for $($prunella)::+::observe::remedies::Amount {
            fn from(amount: $crate::remedy::Amount) -> Self {
                Self {
                    value: amount.value,
                    of: amount.of.as_str().to_owned(),
                }
            }
        }

        impl From<$crate::remedy::Plan> for $($prunella)::+::observe::remedies::Plan {
            fn from(plan: $crate::remedy::Plan) -> Self {
                Self {
                    eligible: plan.eligible,
                    summary: plan.summary,
                    amount: plan.amount.map(From::from),
                    undoable: plan.undo.is_some(),
                    lease_milliseconds: plan
                        .lease
                        .map(|lease| $crate::contract::milliseconds(lease.lasts)),
                }
            }
        }

        impl From<$crate::remedy::Receipt> for $($prunella)::+::act::types::Receipt {
            fn from(receipt: $crate::remedy::Receipt) -> Self {
                Self {
                    changed: receipt.changed,
                    summary: receipt.summary,
                    predicted: receipt.predicted.map(From::from),
                    measured: receipt.measured.map(From::from),
                }
            }
        }

        impl From<$crate::capability::ProbeAnswer> for $($prunella)::+::observe::probes::Answer {
            fn from(answer: $crate::capability::ProbeAnswer) -> Self {
                Self {
                    healthy: answer.healthy,
                    detail: answer.detail,
                    microseconds: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
                }
            }
        }
    };
    (@record [$($prunella:tt)+]) => {};
    (@record [$($prunella:tt)+]
        $from:path => $package:ident::$interface:ident::$into:ident {
            $($field:ident $(.$getter:ident())?),*
        }
        $($rest:tt)*
    ) => {
        impl From<$from> for $($prunella)+::$package::$interface::$into {
            fn from(from: $from) -> Self {
                Self { $($field: from.$field $(.$getter())?),* }
            }
        }
        $crate::contract_conversions! { @record [$($prunella)+] $($rest)* }
    };
    (@to [$($prunella:tt)+]) => {};
    (@to [$($prunella:tt)+]
        $from:path => $package:ident::$interface:ident::$into:ident { $($case:ident)* }
        $($rest:tt)*
    ) => {
        impl From<$from> for $($prunella)+::$package::$interface::$into {
            fn from(from: $from) -> Self {
                type Given = $from;
                match from {
                    $(Given::$case => Self::$case,)*
                }
            }
        }
        $crate::contract_conversions! { @to [$($prunella)+] $($rest)* }
    };
    (@from [$($prunella:tt)+]) => {};
    (@from [$($prunella:tt)+]
        $package:ident::$interface:ident::$from:ident => $into:path { $($case:ident)* }
        $($rest:tt)*
    ) => {
        impl From<$($prunella)+::$package::$interface::$from> for $into {
            fn from(from: $($prunella)+::$package::$interface::$from) -> Self {
                type Given = $($prunella)+::$package::$interface::$from;
                match from {
                    $(Given::$case => Self::$case,)*
                }
            }
        }
        $crate::contract_conversions! { @from [$($prunella)+] $($rest)* }
    };
}

/// The getters of `units.unit`, of a [`UnitStatus`](crate::capability::UnitStatus).
#[macro_export]
macro_rules! unit_getters {
    ($define:ident $($handle:tt)*) => {
        $define! { [$($handle)*] $crate::capability::UnitStatus;
            name -> String: |unit| unit.name.to_string();
            active_state -> ActiveState: |unit| unit.active_state.into();
            sub_state -> String: |unit| unit.sub_state.clone();
            load_state -> String: |unit| unit.load_state.clone();
            kind -> Option<String>: |unit| unit.kind.clone();
            last_result -> String: |unit| unit.result.clone();
            exit_code -> Option<i32>: |unit| unit.exit_code;
            signal -> Option<String>: |unit| unit.signal.clone();
            main_pid -> Option<u32>: |unit| unit.main_pid;
            restarts -> u32: |unit| unit.restarts;
            invocation -> Option<String>: |unit| unit.invocation.clone();
            since -> Option<u64>: |unit| unit.since.map($crate::Timestamp::as_millis);
            restart_policy -> String: |unit| unit.restart_policy.clone();
            restart_delay -> u64: |unit| $crate::contract::milliseconds(unit.restart_delay);
            start_limit_burst -> u32: |unit| unit.start_limit_burst;
            start_limit_interval -> u64: |unit| $crate::contract::milliseconds(unit.start_limit_interval);
            pending_job -> Option<String>: |unit| unit.job.as_ref().map(|job| job.kind.clone());
            requires -> Vec<String>: |unit| $crate::contract::names(&unit.requires);
            required_by -> Vec<String>: |unit| $crate::contract::names(&unit.required_by);
            triggered_by -> Vec<String>: |unit| unit.triggered_by.iter()
                .filter(|unit| unit.kind() == "socket")
                .map(ToString::to_string)
                .collect();
            can_reload -> bool: |unit| unit.can_reload;
            is_up -> bool: |unit| unit.is_up();
        }
    };
}

/// The getters of `processes.process`, but for `alive`.
#[macro_export]
macro_rules! process_getters {
    ($define:ident $($handle:tt)*) => {
        $define! { [$($handle)*] $crate::capability::Process;
            pid -> u32: |process| process.info.pid;
            executable -> Option<String>: |process| process.info.executable.clone();
            user -> String: |process| process.info.user.clone();
            unit -> Option<String>: |process| process.info.unit.as_ref().map(ToString::to_string);
            ownership -> Ownership: |process| process.info.ownership.into();
            evidence -> String: |process| process.info.evidence.clone();
            started_at -> u64: |process| process.info.started_at.as_millis();
        }
    };
}

/// The getters of `ports.holder`, but for `process`.
#[macro_export]
macro_rules! holder_getters {
    ($define:ident $($handle:tt)*) => {
        $define! { [$($handle)*] $crate::capability::PortHolder;
            unit -> Option<String>: |holder| holder.unit.as_ref().map(ToString::to_string);
            socket_activated -> bool: |holder| holder.socket_activated;
            address -> String: |holder| holder.address.clone();
            blocks -> Option<String>: |holder| holder.blocks.clone();
            free_in -> Option<u64>: |holder| holder.free_in.map($crate::contract::milliseconds);
        }
    };
}

/// The getters of `files.file`, of a [`File`].
#[macro_export]
macro_rules! file_getters {
    ($define:ident $($handle:tt)*) => {
        $define! { [$($handle)*] $crate::contract::File;
            exists -> bool: |file| file.status.kind.is_some();
            kind -> String: |file| file.status.kind.map_or("", |kind| kind.as_str()).to_owned();
            mode -> u32: |file| file.status.mode;
            owner -> String: |file| file.status.owner.clone();
            group -> String: |file| file.status.group.clone();
            size -> Option<u64>: |file| file.status.size;
            age -> u64: |file| $crate::contract::milliseconds(file.status.age);
            link_target -> Option<String>: |file| file.status.link_target.clone();
            deviations -> Vec<String>: |file| file.status.deviations.clone();
            repairable -> Vec<String>: |file| file.status.repairable.iter()
                .map(|what| what.as_str().to_owned())
                .collect();
            optional -> bool: |file| file.declared.optional;
            read_by -> String: |file| match file.declared.read_by {
                $crate::service::ReadBy::Service => "service",
                $crate::service::ReadBy::Manager => "manager",
            }.to_owned();
            role -> String: |file| file.declared.role.as_str().to_owned();
            readable -> bool: |file| file.status.readable;
        }
    };
}

/// The facts of `incidents.incident`, of what has an `incident`, a `service` and a
/// `dry_run`.
#[macro_export]
macro_rules! incident_getters {
    ($define:ident) => {
        $define! {
            id -> String: |of| of.incident.id.to_string();
            kind -> String: |of| of.incident.detection.kind().as_str().to_owned();
            symptoms -> Vec<Symptom>: |of| of.incident.detection.symptoms.iter()
                .cloned()
                .map(Symptom::from)
                .collect();
            unit -> String: |of| of.incident.detection.unit.to_string();
            detected_by -> String: |of| of.incident.detection.by.as_str().to_owned();
            detected_at -> u64: |of| of.incident.detection.at.as_millis();
            cause -> String: |of| of.incident.detection.cause.to_string();
            exit_code -> Option<i32>: |of| of.incident.detection.exit_code;
            signal -> Option<String>: |of| of.incident.detection.signal.clone();
            invocation -> Option<String>: |of| of.incident.detection.invocation.clone();
            attempt -> u32: |of| of.incident.attempt;
            dry_run -> bool: |of| of.dry_run;
            domain -> Option<String>: |of| of.service.domain.clone();
            critical -> bool: |of| of.service.critical;
            clears_start_limit -> bool: |of| {
                of.service.start_limit == $crate::service::StartLimit::Heal
            };
            ports -> Vec<Port>: |of| of.service.ports.iter().map(|port| Port {
                protocol: port.protocol.as_str().to_owned(),
                number: port.number,
            }).collect();
            files -> Vec<String>: |of| of.service.files.keys().cloned().collect();
            checks -> Vec<String>: |of| of.service.checks.keys().cloned().collect();
            config_checks -> Vec<String>: |of| of.service.checks.iter()
                .filter(|(_, check)| check.validates)
                .map(|(name, _)| name.clone())
                .collect();
            probes -> Vec<String>: |of| of.service.probes.keys().cloned().collect();
            remedies -> Vec<DeclaredRemedy>: |of| $crate::contract::mildest_first(&of.service)
                .into_iter()
                .map(|(name, remedy)| DeclaredRemedy {
                    kind: remedy.kind().to_owned(),
                    name: name.clone(),
                    about: remedy.about().into_iter().map(str::to_owned).collect(),
                })
                .collect();
            needs -> Vec<String>: |of| $crate::contract::names(&of.service.depends_on);
        }
    };
}

/// A length of time, as the contract has it.
pub fn milliseconds(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The declared remedies, those of each kind by the harm that they do and by name.
pub fn mildest_first(service: &crate::service::Service) -> Vec<(&String, &crate::remedy::Remedy)> {
    let mut remedies: Vec<_> = service.remedies.iter().collect();
    remedies.sort_by_key(|(_, remedy)| remedy.harm());
    remedies
}

/// The names of units, as the contract has them.
pub fn names<'a>(units: impl IntoIterator<Item = &'a crate::UnitName>) -> Vec<String> {
    units.into_iter().map(ToString::to_string).collect()
}
