//! From alerts to messages in the outbox.

use std::collections::{BTreeMap, BTreeSet};

use prunella_config::Config;
use prunella_core::{Timestamp, UnitName};
use prunella_store::{Decided, StoreError};

use super::Shared;
use crate::{
    compose::Composer,
    plan::{Plan, PlanInput, is_followed_by_nobody, plan},
    relations::Relations,
};

impl Shared {
    /// Makes messages of what is due, and says when the next are.
    pub(super) fn decide(
        &self,
        config: &Config,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.settings.store;
        let alerts = store.new_alerts()?;
        let alert_groups = store.open_alert_groups()?;
        let unfinished = store.unfinished_units()?;
        let outages = self.outages(config, &unfinished, &alert_groups, now)?;
        if alerts.is_empty() && alert_groups.is_empty() && outages.is_empty() {
            return Ok(None);
        }
        let flapping = config.alerts.flapping.window;
        let recoveries = store.recoveries_since(now.saturating_sub(flapping))?;
        let digests = store.digests()?;
        let open = || {
            alert_groups
                .iter()
                .flat_map(|alert_group| alert_group.open_members())
        };
        let units: BTreeSet<UnitName> = alerts
            .iter()
            .map(|alert| alert.alert.unit.clone())
            .chain(open().map(|(unit, _)| unit.clone()))
            .chain(unfinished.iter().map(|open| open.unit.clone()))
            .collect();
        // One alone is related to nobody.
        let asked = if units.len() > 1 {
            units
        } else {
            BTreeSet::new()
        };
        let relations = Relations::of(asked.clone(), |unit| {
            let mut needs = BTreeSet::new();
            if let Some(service) = config.services.get(unit) {
                needs.extend(service.depends_on.iter().cloned());
            }
            // What a unit in care requires is enough: further on there is the
            // whole of systemd's tree.
            if asked.contains(unit) {
                needs.extend(self.settings.host.requires(unit));
            }
            needs
        });
        let up_since: BTreeMap<UnitName, Timestamp> = open()
            .filter(|(unit, member)| is_followed_by_nobody(config, unit, member))
            .filter_map(|(unit, _)| Some((unit.clone(), self.settings.host.up_since(unit)?)))
            .collect();
        let mut names = Vec::new();
        for _ in 0..=alerts.len() + outages.len() {
            names.push(store.new_name(now)?);
        }
        let made = plan(
            PlanInput {
                now,
                config,
                alerts: &alerts,
                alert_groups,
                unfinished: &unfinished,
                outages: &outages,
                recoveries: &recoveries,
                digests: &digests,
                relations: &relations,
                up_since: &up_since,
            },
            &mut || names.pop().unwrap_or_default(),
        );
        let next = made.next;
        if !self.write(config, made, now)? {
            return Ok(Some(now));
        }
        Ok(next)
    }

    fn write(&self, config: &Config, made: Plan, now: Timestamp) -> Result<bool, StoreError> {
        let store = &self.settings.store;
        let composer = Composer {
            store,
            config,
            host: self.settings.host.as_ref(),
            renderer: &self.settings.renderer,
            hostname: &self.settings.hostname,
            sudo: self.settings.sudo,
            boot_id: &self.settings.boot_id,
        };
        let mut dispatches = Vec::new();
        for planned in &made.messages {
            let message = composer.message(planned);
            for channel in &planned.channels {
                let mut message = message.clone();
                message.id = store.new_name(now)?;
                dispatches.push((channel.clone(), message));
            }
        }
        let decided = Decided {
            decisions: made.decisions,
            alert_groups: made.alert_groups,
            digests: made.digests,
            dispatches,
            at: now,
        };
        if decided.decisions.is_empty()
            && decided.alert_groups.is_empty()
            && decided.digests.is_empty()
            && decided.dispatches.is_empty()
        {
            return Ok(true);
        }
        store.decide(&decided)
    }
}
