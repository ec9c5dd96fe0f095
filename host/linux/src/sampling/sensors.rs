//! Temperatures, as the kernel's zones have them.

use std::fs;

use prunella_core::health::{Metric, Reading};

use super::Instruments;

/// Each zone that tells its temperature; several of one name count as one, by the hottest.
pub(super) fn sample(tools: &mut Instruments, readings: &mut Vec<Reading>) {
    let Ok(entries) = fs::read_dir("/sys/class/thermal") else {
        return;
    };
    let begin = readings.len();
    for entry in entries.flatten() {
        let folder = entry.path();
        let Some(name) = tools
            .read(&folder.join("type"))
            .map(|name| name.trim().to_owned())
        else {
            continue;
        };
        let millidegrees = tools
            .read(&folder.join("temp"))
            .and_then(|text| text.trim().parse::<i64>().ok());
        let Some(millidegrees) = millidegrees else {
            continue;
        };
        let celsius = u64::try_from(millidegrees / 1_000).unwrap_or(0);
        let known = readings
            .iter_mut()
            .skip(begin)
            .find(|reading| reading.instance.as_ref() == Some(&name));
        match known {
            Some(reading) => reading.value = reading.value.max(celsius),
            None => {
                readings.push(Reading::new(Metric::TemperatureCelsius, celsius).in_instance(name))
            }
        }
    }
}
