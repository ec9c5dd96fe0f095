//! Copies of files, taken while their service is well.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{UnitName, capability::remedies::Keep, remedy::Remedy, service::Service};

use crate::{healer::Healer, proof::Prover};

/// How long taking one copy may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The names of the files of which copies are kept.
fn kept(service: &Service) -> impl Iterator<Item = &String> {
    let remedies = service.remedies.iter();
    remedies.filter_map(|(name, remedy)| matches!(remedy, Remedy::FileRestore(_)).then_some(name))
}

impl Healer {
    /// Whether copies are kept of a file of the service.
    pub fn keeps_contents(&self, unit: &UnitName) -> bool {
        self.service(unit)
            .is_some_and(|service| kept(&service).next().is_some())
    }

    /// Takes copies of those files of a service, which is well, that have changed and are in
    /// force.
    pub fn keep_contents(&self, unit: &UnitName) {
        let Some(service) = self.service(unit) else {
            return;
        };
        let host = self.host_for(&service);
        for name in kept(&service) {
            let keep = Keep { name: name.clone() };
            match host.ask(Instant::now() + LIMIT, keep) {
                Ok(true) => tracing::info!("kept a copy of `{name}` of {unit}, which is well"),
                Ok(false) => {}
                Err(failure) => tracing::warn!("no copy of `{name}` of {unit} was kept: {failure}"),
            }
        }
    }

    /// The same of every service that is proven well now.
    pub fn keep_contents_of_well(&self) {
        let services: Vec<Arc<Service>> = {
            let config = self.config();
            let units = config.services.keys();
            units.filter_map(|unit| self.service(unit)).collect()
        };
        for service in services {
            if kept(&service).next().is_none() {
                continue;
            }
            let host = self.host_for(&service);
            let prover = Prover {
                service: &service,
                host: &host,
                known: self.answered_probes(),
                remembers: true,
            };
            if prover.is_well().is_ok() {
                self.keep_contents(&service.unit);
            }
        }
    }
}
