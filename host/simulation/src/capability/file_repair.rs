//! Bringing declared files back to their declaration.

use prunella_core::capability::{Answer, Repair, file_repair::RepairFile};

use crate::{
    file_model::{deviations, repairs},
    world::World,
};

impl World {
    pub(super) fn repair(&mut self, repair: &RepairFile) -> Answer<bool> {
        let RepairFile { name, what } = repair;
        self.service.file(name)?;
        self.acts
            .push(format!("repair {} of {name}", what.as_str()));
        let Some(file) = self.files.get_mut(name) else {
            return Ok(false);
        };
        if !repairs(file).contains(what) {
            return Ok(false);
        }
        match what {
            Repair::Mode => file.mode.0 = file.mode.1.unwrap_or(file.mode.0),
            Repair::Owner => {
                if let Some(owner) = file.owner.1.clone() {
                    file.owner.0 = owner;
                }
            }
            Repair::Target => {
                file.target.0 = file.target.1.clone();
                file.exists = true;
            }
        }
        file.readable |= deviations(file).is_empty();
        Ok(true)
    }
}
