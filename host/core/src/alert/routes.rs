//! Which channels hear of an alert.

use serde::{Deserialize, Serialize};

use super::kind::AlertKind;
use crate::ChannelName;

/// The channels that hear of each kind of alert, by name. Absent where nothing
/// is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Routes {
    /// What hears of recoveries.
    pub recovery: Option<Vec<ChannelName>>,
    /// What hears of escalations.
    pub escalation: Option<Vec<ChannelName>>,
    /// What hears of services that are down and being healed; what hears of
    /// escalations, when absent.
    pub outage: Option<Vec<ChannelName>>,
    /// What hears of services that are degraded; what hears of escalations, when absent.
    pub degradation: Option<Vec<ChannelName>>,
    /// What hears of the rest.
    pub information: Option<Vec<ChannelName>>,
}

impl Routes {
    /// What is set for a kind.
    pub fn of(&self, kind: AlertKind) -> Option<&[ChannelName]> {
        match kind {
            AlertKind::Recovery => self.recovery.as_deref(),
            AlertKind::Escalation => self.escalation.as_deref(),
            AlertKind::Outage => self.outage.as_deref().or(self.escalation.as_deref()),
            AlertKind::Degradation => self.degradation.as_deref().or(self.escalation.as_deref()),
            AlertKind::Information => self.information.as_deref(),
        }
    }
}
