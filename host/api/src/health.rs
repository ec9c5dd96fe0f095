//! How services and the host are: what `prunella health` shows.

use prunella_core::{
    Timestamp,
    health::{Health, Transition},
};
use serde::{Deserialize, Serialize};

/// Every service in care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// When it was put together.
    pub at: Timestamp,
    /// Whether no daemon watches, and this is what the last one knew.
    pub last_known: bool,
    /// The host itself; absent where none was ever measured.
    pub host: Option<SeenHealth>,
    /// The worst first, and by name where they are alike.
    pub services: Vec<SeenHealth>,
}

/// How a service or the host is, and when it was seen so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenHealth {
    #[serde(flatten)]
    pub health: Health,
    /// When a daemon knew that last; absent when none ever did.
    pub seen_at: Option<Timestamp>,
}

/// How one service, or the host, is, and how its state has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthDetail {
    /// When it was put together.
    pub at: Timestamp,
    /// Whether no daemon watches, and this is what the last one knew.
    pub last_known: bool,
    /// The service, or the host.
    pub service: SeenHealth,
    /// Newest first.
    pub transitions: Vec<Transition>,
}
