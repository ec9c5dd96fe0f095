//! `[[instances]]`: a template unit of which more or fewer instances may run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DeclaredRemedy, HaproxyServer};
use crate::UnitName;

/// How many instances of a template may run: `app@1.service` to `app@4.service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// Such as `app@.service`.
    pub template: UnitName,
    /// At least one.
    pub min: u32,
    pub max: u32,
    /// Between one change and the next.
    #[serde(rename = "cooldown_milliseconds", with = "crate::span::in_millis")]
    pub cooldown: Duration,
    /// For how long one that was added runs.
    #[serde(rename = "lease_milliseconds", with = "crate::span::in_millis")]
    pub lease: Duration,
    /// Before that, once the service was well for so long.
    #[serde(rename = "calm_milliseconds", with = "crate::span::in_millis")]
    pub calm: Duration,
    /// The declared check that has to pass before one is stopped: it drains the last one.
    pub drain: Option<String>,
    /// The declared traffic by which HAProxy drains the server of one before it is stopped.
    pub drain_traffic: Option<String>,
}

impl Instances {
    /// The names that its instances have, in the order in which they are started.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = UnitName> {
        let stem = self.template.stem().to_owned();
        let kind = self.template.kind().to_owned();
        (1..=self.max)
            .filter_map(move |number| UnitName::new(format!("{stem}{number}.{kind}")).ok())
    }
}

/// An instance that was started, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedInstance {
    pub unit: UnitName,
    /// As [`Instances::drain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<String>,
    /// The server that HAProxy drains before it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Box<InstanceServer>>,
}

/// The server of HAProxy that an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceServer {
    pub server: HaproxyServer,
    /// As [`Traffic::wait`](super::Traffic::wait).
    #[serde(rename = "wait_milliseconds", with = "crate::span::in_millis")]
    pub wait: Duration,
}

impl InstanceServer {
    /// That of one instance.
    #[must_use]
    pub fn of(&self, unit: &UnitName) -> Self {
        Self {
            server: self.server.of_instance(unit.instance().unwrap_or_default()),
            wait: self.wait,
        }
    }
}

impl DeclaredRemedy for Instances {
    fn checks(&self) -> Vec<&str> {
        self.drain.iter().map(String::as_str).collect()
    }

    fn units(&self) -> Vec<&UnitName> {
        vec![&self.template]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_have_numbers() {
        let declared = Instances {
            template: UnitName::new("app@.service").unwrap(),
            min: 1,
            max: 3,
            cooldown: Duration::ZERO,
            lease: Duration::ZERO,
            calm: Duration::ZERO,
            drain: None,
            drain_traffic: None,
        };
        let names: Vec<String> = declared.names().map(|name| name.to_string()).collect();
        assert_eq!(names, ["app@1.service", "app@2.service", "app@3.service"]);
    }
}
