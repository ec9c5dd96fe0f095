//! Network interfaces: what was damaged, and whether there is a link.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use prunella_core::health::{Metric, Reading};

use super::Instruments;

/// IFF_UP of linux/if.h: an operator wants it to work.
const IFF_UP: u64 = 1;

/// The interfaces that are made of hardware, from sample to sample.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Damaged packets so far, by interface.
    errors: HashMap<String, u64>,
}

impl Network {
    /// Answers with the names of all interfaces; nothing, where the kernel does not tell.
    pub(super) fn sample(
        &mut self,
        tools: &mut Instruments,
        readings: &mut Vec<Reading>,
    ) -> Option<BTreeSet<String>> {
        let entries = fs::read_dir("/sys/class/net").ok()?;
        let mut names = BTreeSet::new();
        let mut errors = HashMap::new();
        for entry in entries.flatten() {
            let folder = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            names.insert(name.clone());
            if !folder.join("device").exists() {
                continue;
            }
            let of = |metric, value| Reading::new(metric, value).in_instance(name.clone());
            if let Some(is_down) = is_down(tools, &folder) {
                readings.push(of(Metric::LinkDown, u64::from(is_down)));
            }
            let Some(now) = damaged(tools, &folder) else {
                continue;
            };
            if let Some(more) = self
                .errors
                .get(&name)
                .and_then(|before| now.checked_sub(*before))
            {
                readings.push(of(Metric::InterfaceErrors, more));
            }
            errors.insert(name, now);
        }
        self.errors = errors;
        Some(names)
    }
}

/// Whether it is switched on and has no link; nothing, while it is switched off.
fn is_down(tools: &mut Instruments, folder: &Path) -> Option<bool> {
    let flags = tools.read(&folder.join("flags"))?;
    let flags = u64::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
    if flags & IFF_UP == 0 {
        return None;
    }
    Some(tools.number(&folder.join("carrier"))? == 0)
}

/// Packets that came or went damaged. Dropped ones are not among them: what nobody wants is
/// dropped all the time.
fn damaged(tools: &mut Instruments, folder: &Path) -> Option<u64> {
    let received = tools.number(&folder.join("statistics/rx_errors"))?;
    let sent = tools.number(&folder.join("statistics/tx_errors"))?;
    Some(received.saturating_add(sent))
}
