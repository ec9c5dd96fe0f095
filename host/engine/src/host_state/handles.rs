//! What is behind the handles that a strategy holds.

// They stand in generated code, which is public inside this crate.
#![allow(
    unreachable_pub,
    reason = "the generated bindings re-export these types"
)]

use prunella_core::{
    capability::{Job as HostJob, PortHolder, Process as HostProcess, UnitStatus},
    contract,
};

/// A unit as it was at one moment.
pub struct Unit(pub(crate) UnitStatus);

pub struct Process(pub(crate) HostProcess);

/// One holder of one port.
pub struct Holder(pub(crate) PortHolder);

/// A declared file: as it stands, and as it was declared.
pub struct File(pub(crate) contract::File);

/// A job that systemd has accepted.
pub struct Job(pub(crate) HostJob);

/// The incident of the run; what there is to know stands in its context.
pub struct Incident;
