//! A unit as it runs: its limits, its control group, and what can be changed of them while it
//! does. All of that goes with the next boot.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use prunella_core::{
    Failure, UnitName,
    capability::Answer,
    remedy::{NO_LIMIT, UnitProperty},
};
use zbus::Variant;

use crate::{
    bus::{PROPERTIES, unit_path},
    cgroup::{Cgroups, unit_of},
    runtime::Shared,
    status::{Bag, Facts as _},
};

/// Units, as systemd and the kernel have them now.
pub(crate) struct LiveUnits {
    shared: Arc<Shared>,
    groups: Arc<Cgroups>,
}

/// One of them.
pub(super) struct LiveUnit {
    /// Its canonical name.
    pub(super) name: UnitName,
    pub(super) is_active: bool,
    pub(super) group: Option<String>,
    pub(super) limits: HashMap<UnitProperty, u64>,
    /// What its processes hold, in bytes; none where that is not counted.
    pub(super) memory: Option<u64>,
    pub(super) can_freeze: bool,
    /// Whether it was frozen, or is about to be.
    pub(super) is_frozen: bool,
}

impl LiveUnits {
    pub(crate) fn new(shared: Arc<Shared>, groups: Arc<Cgroups>) -> Self {
        Self { shared, groups }
    }

    pub(super) fn groups(&self) -> &Cgroups {
        &self.groups
    }

    /// A declared unit. An alias is none: what is protected goes by canonical names.
    ///
    /// # Errors
    /// `not-found`; `denied` when it is an alias.
    pub(super) fn declared(&self, deadline: Instant, unit: &UnitName) -> Answer<LiveUnit> {
        let live = self.get(deadline, unit)?;
        if live.name != *unit {
            return Err(Failure::denied(
                "alias",
                format!("{unit} is another name of {}: declare that", live.name),
            ));
        }
        Ok(live)
    }

    /// How a unit stands now.
    pub(super) fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<LiveUnit> {
        let cannot = || format!("the limits of {unit} cannot be read");
        self.shared.block_on_deadline(deadline, async {
            let path = unit_path(unit.as_str());
            let bus = self.shared.bus();
            let body = bus
                .call(&path, PROPERTIES, "GetAll", &"")
                .await
                .map_err(|error| error.failure(&cannot()))?;
            let bag = Bag(body
                .deserialize::<HashMap<&str, Variant<'_>>>()
                .map_err(|error| {
                    Failure::unavailable("bad-reply", format!("{}: {error}", cannot()))
                })?);
            if bag.text("LoadState").as_deref() == Some("not-found") {
                return Err(Failure::not_found(
                    "no-such-unit",
                    format!("there is no {unit}"),
                ));
            }
            let name = bag
                .text("Id")
                .and_then(|id| UnitName::new(id).ok())
                .unwrap_or_else(|| unit.clone());
            let limits = UnitProperty::ALL
                .into_iter()
                .filter_map(|limit| Some((limit, bag.number(limit.on_bus())?)))
                .collect();
            let freezer = bag.text("FreezerState");
            Ok(LiveUnit {
                name,
                is_active: bag.text("ActiveState").as_deref() == Some("active"),
                group: bag.text("ControlGroup"),
                limits,
                memory: bag.number("MemoryCurrent").filter(|held| *held != NO_LIMIT),
                can_freeze: bag.flag("CanFreeze"),
                is_frozen: matches!(freezer.as_deref(), Some("frozen" | "freezing")),
            })
        })
    }

    /// Sets limits of a unit, all of them or none, until the next boot.
    pub(super) fn set(
        &self,
        deadline: Instant,
        unit: &UnitName,
        limits: &[(UnitProperty, u64)],
    ) -> Answer<()> {
        let properties: Vec<(&str, Variant<'_>)> = limits
            .iter()
            .map(|(limit, value)| (limit.on_bus(), Variant::from(*value)))
            .collect();
        let only_until_boot = true;
        self.manager(
            deadline,
            "SetUnitProperties",
            &(unit.as_str(), only_until_boot, properties),
            &format!("the limits of {unit} cannot be set"),
        )
    }

    /// Has all processes of a unit stand still.
    pub(super) fn freeze(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let what = format!("{unit} cannot be frozen");
        self.manager(deadline, "FreezeUnit", &unit.as_str(), &what)
    }

    /// Lets them go on.
    pub(super) fn thaw(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let what = format!("{unit} cannot be thawed");
        self.manager(deadline, "ThawUnit", &unit.as_str(), &what)
    }

    fn manager<B>(&self, deadline: Instant, method: &str, arguments: &B, what: &str) -> Answer<()>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.shared.block_on_deadline(deadline, async {
            let called = self.shared.bus().manager(method, arguments).await;
            called.map(drop).map_err(|error| error.failure(what))
        })
    }

    /// The units that run in a slice; none of anything else.
    pub(super) fn within(&self, live: &LiveUnit) -> BTreeSet<UnitName> {
        let Some(slice) = live.group.as_ref().filter(|_| live.name.kind() == "slice") else {
            return BTreeSet::new();
        };
        let processes = self.groups.processes(slice).into_iter();
        processes
            .filter_map(|pid| unit_of(&self.groups.of_process(pid).ok()?))
            .collect()
    }
}
