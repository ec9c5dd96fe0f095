//! What one run of a strategy is given: its kernel, its context, its log.

use std::{collections::BTreeSet, sync::Arc};

use prunella_core::{StrategyName, UnitName, capability::Host, trail::Step};
use prunella_engine::{Call, Level, Lines, RunContext};
use prunella_recording::RunRecorder;

use super::Attempt;
use crate::{
    kernel::{Kernel, Phase, Rules},
    oversight::Overseer,
    strategies::Loaded,
    trail::Trail,
};

impl Attempt<'_> {
    pub(super) fn kernel(
        &self,
        name: &StrategyName,
        loaded: &Loaded,
        related: &BTreeSet<UnitName>,
        phase: Phase,
    ) -> Arc<Kernel> {
        Kernel::new(
            Rules {
                strategy: name.clone(),
                grants: Arc::clone(&loaded.grants),
                service: Arc::clone(&self.service),
                related: related.clone(),
                protected: Arc::clone(&self.current.protected),
                budget: self.budget_settings().clone(),
                host_budget: self.current.config.host_budget.clone(),
                overseer: self.overseer(),
            },
            self.host.clone(),
            Arc::clone(&self.trail),
            Arc::clone(&self.healer.settings.situation),
            Arc::clone(&self.healer.settings.ledger),
            Arc::clone(&self.snapshot),
            phase,
        )
    }

    /// Whoever has to agree to an act.
    pub(super) fn overseer(&self) -> Arc<Overseer> {
        let build = || {
            let settings = &self.healer.settings;
            Arc::new(Overseer {
                oversight: self.current.config.oversight.clone(),
                service: Arc::clone(&self.service),
                store: settings.store.clone(),
                situation: Arc::clone(&settings.situation),
                analyst: Arc::clone(&settings.analyst),
                model: self.current.config.analysis.clone(),
                evidence: Box::new(self.gatherer()),
                ordered: self.ordered,
            })
        };
        Arc::clone(self.overseer.get_or_init(build))
    }

    pub(super) fn context(&self, name: &StrategyName, loaded: &Loaded, host: Host) -> RunContext {
        RunContext {
            host,
            incident: self.trail.incident().clone(),
            service: Arc::clone(&self.service),
            dry_run: self.trail.is_dry_run(),
            limits: loaded.limits.clone(),
            settings: loaded.settings.clone(),
            lines: Arc::new(StrategyLines {
                strategy: name.clone(),
                trail: Arc::clone(&self.trail),
            }),
        }
    }

    /// What a run is given, recorded where somebody wants that.
    pub(super) fn recorded(
        &self,
        call: Call,
        loaded: &Loaded,
        context: RunContext,
    ) -> (RunContext, RunRecorder) {
        match self.healer.recorder.get() {
            Some(recorder) => recorder.begin(call, &loaded.strategy, context),
            None => (context, RunRecorder::none()),
        }
    }
}

/// A strategy's log lines, into the trail.
struct StrategyLines {
    strategy: StrategyName,
    trail: Arc<Trail>,
}

impl Lines for StrategyLines {
    fn line(&self, level: Level, message: &str) {
        self.trail.write(Step::Said {
            strategy: self.strategy.clone(),
            level: level.as_str().to_owned(),
            message: message.to_owned(),
        });
    }
}
