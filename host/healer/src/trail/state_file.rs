//! The state files in `/run/prunella/state`: how far each incident has got.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use prunella_core::{Timestamp, UnitName, incident::IncidentId, trail::Step};
use serde::{Deserialize, Serialize};

/// How far an incident has got, for whoever looks into `/run/prunella/state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    pub unit: UnitName,
    pub incident: IncidentId,
    /// `open`, or the word of its ending.
    pub state: String,
    /// The newest step's word, such as `assessed` or `act-intended`.
    pub step: String,
    pub at: Timestamp,
}

impl StateFile {
    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let path = folder.join(format!("{}.json", self.unit));
        let new = folder.join(format!(".{}.new", self.unit));
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        file.write_all(&text)?;
        fs::rename(new, path)
    }
}

/// The step's word, as it stands in the store.
pub(super) fn step_word(step: &Step) -> String {
    serde_json::to_value(step)
        .ok()
        .and_then(|value| Some(value.get("step")?.as_str()?.to_owned()))
        .unwrap_or_default()
}
