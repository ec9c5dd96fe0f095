//! Strategies, and how they stand.

use serde::{Deserialize, Serialize};

/// One strategy, as `prunella plugin list --json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    pub name: String,
    /// `built-in`, or the component's file.
    pub source: String,
    /// `ready`; `awaiting-grant`, when it would act and may only observe; or `refused`, when
    /// it does not load.
    pub state: String,
    /// The version that was signed, or else the one it says it has.
    pub version: Option<String>,
    /// What became of its signature; absent for one that is built in.
    pub signature: Option<String>,
    pub sha256: Option<String>,
    /// What it was granted.
    pub granted: Vec<GrantedAct>,
    /// What it can call, by its imports; absent when it cannot be read.
    pub imports: Option<Vec<String>>,
    /// The acts among those that were not granted.
    pub not_granted: Vec<String>,
    /// Why it is in this state, and what to do about it.
    pub why: Option<String>,
    /// Where it is declared.
    pub declared_at: Option<String>,
}

/// An act, and on what it may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedAct {
    pub what: String,
    pub on: Vec<String>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportFormat {
    Text,
    Html,
    Json,
}

impl ReportFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Html => "html",
            Self::Json => "json",
        }
    }

    /// What `Content-Type` says of it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}
