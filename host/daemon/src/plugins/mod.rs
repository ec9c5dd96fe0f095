//! The operator's strategies: their files, the versions that were seen of them,
//! and what their bytes may do.

pub mod component;
pub mod install_paths;
mod trust_status;
mod versions;

use prunella_engine::Inspection;

pub use self::{
    install_paths::{InstallPaths, Lock},
    trust_status::{Complaint, Granted, Listed, State, all, awaiting_grant, complaints},
    versions::Versions,
};

/// The imports that are capabilities.
pub fn imports(inspection: &Inspection) -> Vec<String> {
    inspection
        .imports
        .iter()
        .filter(|import| import.is_capability())
        .map(|import| import.name.clone())
        .collect()
}
