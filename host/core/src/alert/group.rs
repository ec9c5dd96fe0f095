//! One alert group: everything that is told about one cause, from the first
//! escalation until all is well.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Alert, kind::AlertKind, severity::Severity};
use crate::{ChannelName, Timestamp, UnitName, incident::IncidentId};

/// One alert group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlertGroup {
    /// Its name: [`Message::alert_group`](super::Message::alert_group).
    pub key: String,
    /// When it was first told.
    pub opened: Timestamp,
    /// When it was told last.
    pub told: Timestamp,
    /// When all was well again.
    pub closed: Option<Timestamp>,
    /// The channels that were told: they are told of its end, too.
    pub channels: BTreeSet<ChannelName>,
    /// The units it is about.
    pub members: BTreeMap<UnitName, GroupMember>,
}

/// What is known of one unit of an alert group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupMember {
    /// Its incident; absent for a cause that is not in care.
    pub incident: Option<IncidentId>,
    /// Whether the alert group goes on for it.
    pub open: bool,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened to it last, in one line.
    pub headline: String,
    /// The unit that it waits for.
    pub cause: Option<UnitName>,
    /// Whether its incident will say by itself how it goes on.
    pub will_report: bool,
    /// What was told of it: see [`Alert::content_key`].
    pub announced: BTreeSet<String>,
    /// Whether people know no worse of it than that it is degraded.
    pub degraded: bool,
    /// Whether it left Prunella's care while the alert group went on for it, and people
    /// were told so. Nobody sees then when it is well.
    pub left_care: bool,
}

impl AlertGroup {
    /// Whether it goes on for any unit.
    pub fn is_open(&self) -> bool {
        self.members.values().any(|member| member.open)
    }

    /// The units it goes on for.
    pub fn open_members(&self) -> impl Iterator<Item = (&UnitName, &GroupMember)> {
        self.members.iter().filter(|(_, member)| member.open)
    }
}

impl GroupMember {
    /// What an alert says of its unit.
    pub fn of(alert: &Alert) -> Self {
        Self {
            incident: Some(alert.incident.clone()),
            open: !alert.resolved,
            severity: alert.severity,
            headline: alert.headline.clone(),
            cause: alert.cause.clone(),
            will_report: alert.will_retry,
            announced: BTreeSet::from([alert.content_key()]),
            degraded: alert.kind == AlertKind::Degradation,
            left_care: false,
        }
    }
}
