//! A strategy's run on the simulated host, and what came of it.

use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc, time::Duration};

use prunella_core::{StrategyName, incident::SettingSpec};
use prunella_simulation::Sim;

use super::{
    contract::base::incidents,
    current::{self, Current, Phase},
};
use crate::{
    Assessment, Failure, Incident, Outcome, Result, Strategy,
    bindings::prunella::strategy::types::Description,
};

/// Has a strategy assess and heal on a simulated [`Host`](super::Host).
pub trait Test {
    /// What the strategy says of the incident; it may only look.
    fn assess<S: Strategy>(&self) -> Run;

    /// Has it heal, whatever it would have said before.
    fn heal<S: Strategy>(&self) -> Run;

    /// Both, as on a real host: it assesses, and heals if that applies.
    fn run<S: Strategy>(&self) -> Run;
}

impl Test for Sim {
    #[track_caller]
    fn assess<S: Strategy>(&self) -> Run {
        let mut run = Run::begin::<S>(self);
        run.assess::<S>();
        run
    }

    #[track_caller]
    fn heal<S: Strategy>(&self) -> Run {
        let mut run = Run::begin::<S>(self);
        run.heal::<S>();
        run
    }

    #[track_caller]
    fn run<S: Strategy>(&self) -> Run {
        let mut run = Run::begin::<S>(self);
        run.assess::<S>();
        if matches!(run.assessment, Some(Ok(Assessment::Applies { .. }))) {
            run.heal::<S>();
        }
        run
    }
}

/// What a strategy said and did. Shown as a few lines.
///
/// The methods that name an answer ([`applied`](Self::applied),
/// [`healed`](Self::healed), …) give its words, and panic with all that is known
/// of the run when it answered something else.
pub struct Run {
    host: Sim,
    strategy: StrategyName,
    settings: BTreeMap<String, String>,
    assessment: Option<Result<Assessment>>,
    outcome: Option<Result<Outcome>>,
    lines: Vec<String>,
    acts: Vec<String>,
    denied: Vec<String>,
    acts_before: usize,
    denied_before: usize,
    began: Duration,
}

impl Run {
    #[track_caller]
    fn begin<S: Strategy>(host: &Sim) -> Self {
        let description = Description::from(current::during(None, S::describe));
        let strategy = StrategyName::new(description.name.clone());
        Self {
            strategy: strategy.unwrap_or_else(|_| StrategyName::unnamed()),
            settings: settings(&description, host),
            acts_before: host.acts().len(),
            denied_before: host.denied().len(),
            began: host.uptime(),
            host: host.clone(),
            assessment: None,
            outcome: None,
            lines: Vec::new(),
            acts: Vec::new(),
            denied: Vec::new(),
        }
    }

    fn assess<S: Strategy>(&mut self) {
        let said = self.during(Phase::Assess, || {
            S::assess(&Incident::new(&incidents::Incident))
        });
        self.assessment = Some(said);
    }

    fn heal<S: Strategy>(&mut self) {
        let said = self.during(Phase::Heal, || {
            S::heal(&Incident::new(&incidents::Incident))
        });
        self.outcome = Some(said);
    }

    fn during<T>(&mut self, phase: Phase, run: impl FnOnce() -> T) -> T {
        let current = Rc::new(Current {
            strategy: self.strategy.clone(),
            host: self.host.guarded(&self.strategy),
            incident: self.host.incident(),
            service: self.host.service(),
            settings: self.settings.clone(),
            dry_run: false,
            phase,
            lines: RefCell::default(),
        });
        self.host.begin_run(current::time_limit());
        let said = current::during(Some(Rc::clone(&current)), run);
        self.lines.extend(current.lines.take());
        let new = |all: Vec<String>, before: usize| all.into_iter().skip(before).collect();
        self.acts = new(self.host.acts(), self.acts_before);
        self.denied = new(self.host.denied(), self.denied_before);
        said
    }

    /// What it said when it assessed.
    #[track_caller]
    pub fn assessment(&self) -> &Result<Assessment> {
        match &self.assessment {
            Some(said) => said,
            None => panic!("it was not asked to assess"),
        }
    }

    /// What it said when it had healed.
    #[track_caller]
    pub fn outcome(&self) -> &Result<Outcome> {
        match &self.outcome {
            Some(said) => said,
            None => panic!("it did not heal\n{self}"),
        }
    }

    /// Why it would heal.
    #[track_caller]
    pub fn applied(&self) -> &str {
        match self.assessment() {
            Ok(Assessment::Applies { reason, .. }) => reason,
            _ => panic!("it does not apply\n{self}"),
        }
    }

    /// How sure it is, 0 to 100.
    #[track_caller]
    pub fn confidence(&self) -> u8 {
        match self.assessment() {
            Ok(Assessment::Applies { confidence, .. }) => *confidence,
            _ => panic!("it does not apply\n{self}"),
        }
    }

    /// Why there is nothing here for it.
    #[track_caller]
    pub fn was_not_applicable(&self) -> &str {
        match (&self.assessment, &self.outcome) {
            (_, Some(Ok(Outcome::NotApplicable { reason })))
            | (Some(Ok(Assessment::NotApplicable { reason })), None) => reason,
            _ => panic!("it does not say that there is nothing for it\n{self}"),
        }
    }

    /// Why nobody should act.
    #[track_caller]
    pub fn vetoed(&self) -> &str {
        match self.assessment() {
            Ok(Assessment::Veto { reason }) => reason,
            _ => panic!("it does not say that nobody should act\n{self}"),
        }
    }

    /// Why this unit has to be healed first.
    #[track_caller]
    pub fn blocked_by(&self, unit: &str) -> &str {
        match (&self.assessment, &self.outcome) {
            (_, Some(Ok(Outcome::BlockedBy { unit: by, reason })))
            | (Some(Ok(Assessment::BlockedBy { unit: by, reason })), None)
                if by == unit =>
            {
                reason
            }
            _ => panic!("it does not say that {unit} has to be healed first\n{self}"),
        }
    }

    /// What it says it did.
    #[track_caller]
    pub fn healed(&self) -> &str {
        match self.outcome() {
            Ok(Outcome::Healed { summary }) => summary,
            _ => panic!("it did not heal it\n{self}"),
        }
    }

    /// Why it could not heal.
    #[track_caller]
    pub fn failed(&self) -> &str {
        match self.outcome() {
            Ok(Outcome::Failed { reason }) => reason,
            _ => panic!("it does not say that it failed\n{self}"),
        }
    }

    /// The failure that it gave up with.
    #[track_caller]
    pub fn failure(&self) -> &Failure {
        match (&self.assessment, &self.outcome) {
            (_, Some(Err(failure))) | (Some(Err(failure)), None) => failure,
            _ => panic!("it did not give up with a failure\n{self}"),
        }
    }

    /// What it did to the host, in order, such as `start web.service`,
    /// `terminate /usr/bin/web`, `repair mode of database`, `run check config`.
    pub fn acts(&self) -> &[String] {
        &self.acts
    }

    /// What it tried and policy denied, in order, with the failure's code:
    /// `unit-control.stop of db.service: not-granted`.
    pub fn denied(&self) -> &[String] {
        &self.denied
    }

    /// The lines that it logged: `info: …`.
    pub fn log(&self) -> &[String] {
        &self.lines
    }

    /// How long it took, of the simulated host's time.
    pub fn took(&self) -> Duration {
        self.host.uptime().saturating_sub(self.began)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn said<T: fmt::Display>(said: &Result<T>) -> String {
            match said {
                Ok(said) => said.to_string(),
                Err(failure) => format!("gave up: {failure}"),
            }
        }
        if let Some(assessment) = &self.assessment {
            writeln!(f, "assessed: {}", said(assessment))?;
        }
        if let Some(outcome) = &self.outcome {
            writeln!(f, "healed:   {}", said(outcome))?;
        }
        for (title, lines) in [
            ("did:      ", &self.acts),
            ("denied:   ", &self.denied),
            ("logged:   ", &self.lines),
        ] {
            for line in lines {
                writeln!(f, "{title}{line}")?;
            }
        }
        Ok(())
    }
}

/// What the operator set, over the strategy's own defaults, as the host has it.
#[track_caller]
fn settings(description: &Description, host: &Sim) -> BTreeMap<String, String> {
    let declared: Vec<SettingSpec> = description
        .settings
        .iter()
        .map(|setting| SettingSpec {
            name: setting.name.clone(),
            kind: setting.kind.clone(),
            required: setting.required,
            default: setting.default.clone(),
            help: setting.help.clone(),
        })
        .collect();
    host.settings(&declared)
        .unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")))
}
