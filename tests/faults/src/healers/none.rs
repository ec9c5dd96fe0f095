//! Nobody: what heals by itself, and how long people would have to look.

use anyhow::Result;
use prunella_machine::{Builder, Machine};

use super::{Healer, Programs};
use crate::catalogue::Fault;

pub(super) struct NoHealer;

impl Healer for NoHealer {
    fn name(&self) -> &'static str {
        "none"
    }

    fn title(&self) -> &'static str {
        "no healer"
    }

    fn tells_people(&self) -> bool {
        false
    }

    fn furnish(&self, machine: Builder, _: &Fault, _: &Programs) -> Builder {
        machine
    }

    fn start(&self, _: &Machine, _: &Fault) -> Result<()> {
        Ok(())
    }
}
