//! What happens, one event at a time, for whoever follows it live.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp, UnitName, alert::AlertKind, health::Transition, incident::IncidentId,
    oversight::Approval, summary::Summary, trail::Entry,
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the order of all events. Grows, also over the loss of the store.
    pub id: u64,
    pub what: EventKind,
}

/// What happened. Things are told as they are when they are read, which may be later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// An incident was opened, has ended, or is handed to people.
    Incident(Box<Summary>),
    /// A step was taken in one.
    Step(Box<StepEvent>),
    /// The health of a service or the host has changed.
    Health(Box<Transition>),
    /// People are to hear of something.
    Alert(AlertEvent),
    /// An act was asked for, decided about, or its question is over.
    Approval(Box<Approval>),
    /// A pause has begun or ended.
    Pause(PauseEvent),
}

impl EventKind {
    /// Its stable word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Incident(_) => "incident",
            Self::Step(_) => "step",
            Self::Health(_) => "health",
            Self::Alert(_) => "alert",
            Self::Approval(_) => "approval",
            Self::Pause(_) => "pause",
        }
    }
}

/// A step of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    pub incident: IncidentId,
    /// The unit that the incident is about.
    pub unit: UnitName,
    pub entry: Entry,
}

/// That people are to hear of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Its place in the order of alerts.
    pub seq: u64,
    pub incident: IncidentId,
    pub unit: UnitName,
    pub at: Timestamp,
    pub kind: AlertKind,
    /// What happened to what, in one line.
    pub headline: String,
}

/// That a pause has begun or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseEvent {
    /// The unit; everything, when absent.
    pub unit: Option<UnitName>,
    pub paused: bool,
}

/// A part of what has happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// What happened, the oldest first.
    pub events: Vec<Event>,
    /// The latest event that was looked at: the next part comes after it.
    pub upto: u64,
    /// Whether more has happened since `upto`.
    pub more: bool,
    /// Whether something before them is not known any more.
    pub missed: bool,
}
