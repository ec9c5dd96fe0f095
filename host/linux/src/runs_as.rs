//! As whom a unit's program runs.

use std::{collections::HashMap, sync::Arc, time::Instant};

use prunella_core::{UnitName, capability::Answer};
use zbus::OwnedVariant;

use crate::{
    accounts::{Accounts, Identity},
    bus::{PROPERTIES, unit_path},
    error::BusError,
    runtime::Shared,
    units::Units,
};

/// What the unit says about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunsAs {
    /// User=, empty for root.
    pub(crate) user: String,
    /// Group=, empty for the user's own.
    pub(crate) group: String,
    /// SupplementaryGroups=.
    pub(crate) more_groups: Vec<String>,
    /// DynamicUser=: the user exists only while a unit runs as it.
    pub(crate) dynamic: bool,
}

impl RunsAs {
    /// What the kernel compares.
    pub(crate) fn identity(&self, accounts: &Accounts) -> Identity {
        accounts.identity(&self.user, &self.group, &self.more_groups)
    }
}

/// Tells as whom the service's program runs.
pub(crate) trait Who: Send + Sync {
    fn runs_as(&self, deadline: Instant) -> Answer<RunsAs>;
}

pub(crate) struct UnitWho {
    shared: Arc<Shared>,
    units: Arc<dyn Units>,
    unit: UnitName,
}

impl UnitWho {
    pub(crate) fn new(shared: Arc<Shared>, units: Arc<dyn Units>, unit: UnitName) -> Self {
        Self {
            shared,
            units,
            unit,
        }
    }
}

impl Who for UnitWho {
    fn runs_as(&self, deadline: Instant) -> Answer<RunsAs> {
        let properties = self.shared.block_on_deadline(deadline, async {
            Ok(all_properties(&self.shared, &self.unit, SERVICE_INTERFACE).await)
        })?;
        match properties {
            Ok(properties) => Ok(RunsAs {
                user: text(&properties, "User"),
                group: text(&properties, "Group"),
                more_groups: texts(&properties, "SupplementaryGroups"),
                dynamic: typed(&properties, "DynamicUser").unwrap_or_default(),
            }),
            // Without a bus, what can still be had: not the supplementary groups
            // that only the unit names, nor whether its user is a dynamic one.
            Err(error) if error.is_down() => {
                let status = self.units.get(deadline, &self.unit)?;
                Ok(RunsAs {
                    user: status.user,
                    group: status.group,
                    ..RunsAs::default()
                })
            }
            Err(error) => Err(error.failure(&format!("cannot ask as whom {} runs", self.unit))),
        }
    }
}

/// The interface of a service.
pub(crate) const SERVICE_INTERFACE: &str = "org.freedesktop.systemd1.Service";

/// All properties of one interface of a unit.
pub(crate) async fn all_properties(
    shared: &Shared,
    unit: &UnitName,
    interface: &str,
) -> Result<HashMap<String, OwnedVariant>, BusError> {
    let body = shared
        .bus()
        .call(
            &unit_path(unit.as_str()),
            PROPERTIES,
            "GetAll",
            &(interface,),
        )
        .await?;
    body.deserialize()
        .map_err(|error| BusError::Odd(error.to_string()))
}

/// A property of type `s`; empty when it is absent.
pub(crate) fn text(properties: &HashMap<String, OwnedVariant>, name: &str) -> String {
    typed(properties, name).unwrap_or_default()
}

/// A property of type `as`; empty when it is absent.
pub(crate) fn texts(properties: &HashMap<String, OwnedVariant>, name: &str) -> Vec<String> {
    typed(properties, name).unwrap_or_default()
}

/// A property, when it is there and has this type.
pub(crate) fn typed<T>(properties: &HashMap<String, OwnedVariant>, name: &str) -> Option<T>
where
    T: TryFrom<OwnedVariant>,
{
    let value = properties.get(name)?.try_clone().ok()?;
    T::try_from(value).ok()
}
