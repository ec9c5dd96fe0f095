//! What monitoring reads: how services are, what was done about them, and what Prunella itself
//! costs.
//!
//! Labels are names that the operator gave (units, probes, channels, strategies), or words of
//! Prunella's own. Nothing that a service or a strategy says becomes one. Counters come from
//! the store, so they outlive the daemon; how fast probes are answered is counted since the
//! daemon began.

mod agent_names;
mod figures;
mod page;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};
use prunella_api::ExpositionFormat;

pub(crate) use self::figures::{Figures, Sources};

/// Writes figures down.
///
/// # Errors
/// When they cannot be written as text, which would be a mistake of ours.
pub(crate) fn written(figures: Figures, format: ExpositionFormat) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Written(figures)));
    let mut text = String::new();
    match format {
        ExpositionFormat::OpenMetrics => text::encode(&mut text, &registry)?,
        ExpositionFormat::Prometheus => prometheus_text::encode(&mut text, &registry)?,
    }
    Ok(text)
}

#[derive(Debug)]
struct Written(Figures);

impl Collector for Written {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = page::Page::new(encoder);
        self.0.write(&mut page)?;
        if self.0.agent_names {
            agent_names::write(&self.0, &mut page)?;
        }
        Ok(())
    }
}
