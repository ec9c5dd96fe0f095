//! Acts that wait until somebody agrees. Asked between an act's grant and its
//! budget, by the safety kernel alone.

use std::sync::Arc;

use prunella_core::{
    Failure,
    analyst::{Analyst, Evidence, ModelSettings, ProposedAct},
    capability::{Answer, OversightRule},
    diagnosis::SecondOpinionVerdict,
    oversight::{ModelSay, Oversight, ProcessKey, Proposal},
    policy::Act,
    remedy::Plan,
    service::Service,
    situation::Situation,
    text::one_line,
    trail::Step,
};
use prunella_store::{Answer as Given, Asked, Store};

use crate::{clock::wall_clock, trail::Trail};

/// The code of the failure of an act that waits for an answer.
pub(crate) const AWAITS_APPROVAL: &str = "awaits-approval";

/// Whoever has to agree, for one strategy in one attempt.
pub(crate) struct Overseer {
    pub(crate) oversight: Oversight,
    pub(crate) service: Arc<Service>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) situation: Arc<dyn Situation>,
    pub(crate) analyst: Arc<dyn Analyst>,
    pub(crate) model: Option<ModelSettings>,
    pub(crate) evidence: Box<dyn Fn() -> Evidence + Send + Sync>,
    /// Whether a person has ordered this attempt: what it does to the service itself is
    /// agreed to with that, whatever was denied before.
    pub(crate) ordered: bool,
}

/// An act as it is put before somebody.
pub(crate) struct ConsentRequest<'a> {
    pub(crate) strategy: &'a prunella_core::StrategyName,
    pub(crate) act: Act,
    pub(crate) target: &'a str,
    /// What it would come to: only of a declared remedy.
    pub(crate) plan: Option<&'a Plan>,
    pub(crate) process: Option<ProcessKey>,
    /// Whether it is the incident's own service, or something of its own.
    pub(crate) own: bool,
}

impl Overseer {
    /// Whether the act may go on as far as oversight is concerned. What nobody
    /// has to agree to goes on at once.
    pub(crate) fn may(&self, trail: &Trail, question: &ConsentRequest<'_>) -> Answer<()> {
        let rule = question.act.consequence().oversight;
        let foreign = !question.own && rule == OversightRule::WhenListedOrNotItsOwn;
        if !foreign && !self.oversight.asks(question.act, self.service.critical) {
            return Ok(());
        }
        if trail.is_dry_run() {
            trail.write(Step::Note {
                message: format!(
                    "{} on {} would wait until somebody agrees",
                    question.act, question.target
                ),
            });
            return Ok(());
        }
        if self.ordered && question.own {
            trail.write(Step::Approved {
                approval: None,
                act: question.act.name().to_owned(),
                target: one_line(question.target, 200),
                by: "whoever ordered the healing".to_owned(),
            });
            return Ok(());
        }
        if self.model_agrees(trail, question)? {
            return Ok(());
        }
        self.person(trail, question)
    }

    /// Asks the model where its word counts. Its veto is a denial; its consent is
    /// enough only for what is the service's own, and where the operator says so.
    fn model_agrees(&self, trail: &Trail, question: &ConsentRequest<'_>) -> Answer<bool> {
        let (Some(model), ModelSay::Veto | ModelSay::Allow) = (&self.model, self.oversight.model)
        else {
            return Ok(false);
        };
        let proposed = ProposedAct {
            strategy: question.strategy.clone(),
            act: question.act.name().to_owned(),
            target: one_line(question.target, 200),
            why: format!(
                "to heal {}, which is {}critical",
                self.service.unit,
                if self.service.critical { "" } else { "not " }
            ),
        };
        let said = self
            .analyst
            .second_opinion(model, &proposed, &(self.evidence)());
        trail.write(Step::SecondOpinion {
            act: question.act.name().to_owned(),
            target: one_line(question.target, 200),
            said: said.clone(),
        });
        match said {
            Ok(said) if said.verdict == SecondOpinionVerdict::Veto => Err(Failure::denied(
                "vetoed",
                format!(
                    "{} advises against {} on {}: {}",
                    one_line(&said.model, 60),
                    question.act,
                    question.target,
                    one_line(&said.reason, 300)
                ),
            )),
            Ok(said) if question.own && self.oversight.model == ModelSay::Allow => {
                trail.write(Step::Approved {
                    approval: None,
                    act: question.act.name().to_owned(),
                    target: one_line(question.target, 200),
                    by: one_line(&said.model, 60),
                });
                Ok(true)
            }
            // No answer is neither yes nor no.
            Ok(_) | Err(_) => Ok(false),
        }
    }

    fn person(&self, trail: &Trail, question: &ConsentRequest<'_>) -> Answer<()> {
        let Some(store) = &self.store else {
            return Err(Failure::denied(
                "cannot-ask",
                format!(
                    "{} on {} has to be approved, and without the incident store nobody can be \
                     asked",
                    question.act, question.target
                ),
            ));
        };
        let incident = trail.incident();
        let proposal = Proposal {
            incident: incident.id.clone(),
            unit: self.service.unit.clone(),
            strategy: question.strategy.clone(),
            act: question.act.name().to_owned(),
            target: one_line(question.target, 200),
            process: question.process,
            invocation: incident.detection.invocation.clone(),
            boot_id: self.situation.boot_id(),
        };
        let now = wall_clock();
        let until = now.saturating_add(self.oversight.expires);
        let asked = store
            .ask_approval(
                &proposal,
                &Asked {
                    why: &trail.why(question.strategy),
                    plan: question.plan,
                },
                now,
                until,
            )
            .map_err(|error| Failure::denied("cannot-ask", error.to_string()))?;
        let (act, target) = (question.act, question.target);
        match asked {
            Given::Granted(approval) => {
                trail.write(Step::Approved {
                    act: proposal.act,
                    target: proposal.target,
                    by: approval.by.unwrap_or_else(|| "a person".to_owned()),
                    approval: Some(approval.id),
                });
                Ok(())
            }
            Given::Denied(approval) => Err(Failure::denied(
                "disapproved",
                format!(
                    "{} has denied {act} on {target}{}",
                    approval.by.as_deref().unwrap_or("a person"),
                    approval
                        .reason
                        .map_or_else(String::new, |reason| format!(": {reason}"))
                ),
            )),
            Given::Waiting(approval) | Given::New(approval) => {
                trail.write(Step::Proposed {
                    approval: approval.id,
                    strategy: question.strategy.clone(),
                    act: proposal.act,
                    target: proposal.target,
                    plan: question.plan.cloned(),
                    until: approval.until,
                });
                Err(Failure::denied(
                    AWAITS_APPROVAL,
                    format!("{act} on {target} waits for a person to approve it"),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use prunella_core::{
        analyst::Evidence,
        capability::{
            Act, UnitAct, checks::Run, ports::Holders, process_control::Terminate,
            unit_control::Submit,
        },
        diagnosis::{Finding, Opinion, SecondOpinion},
        oversight::ApprovalState,
        policy::Scope,
        service::Port,
    };
    use prunella_simulation::{Check, Process, Sim, Unit};
    use prunella_store::{Decision, Ruling};
    use rstest::rstest;

    use super::*;
    use crate::kernel::{
        Kernel,
        tests::{grant, overseen, soon, web},
    };

    /// A model that says one thing about every act, and counts how often.
    struct Says(Result<SecondOpinionVerdict, String>);

    impl Analyst for Says {
        fn diagnose(&self, _: &Evidence) -> Vec<Finding> {
            Vec::new()
        }

        fn opinion(
            &self,
            _: &ModelSettings,
            _: &Evidence,
            _: &[Finding],
            _: &[prunella_core::StrategyName],
        ) -> Result<Opinion, String> {
            Err("nobody asked".to_owned())
        }

        fn second_opinion(
            &self,
            _: &ModelSettings,
            _: &ProposedAct,
            _: &Evidence,
        ) -> Result<SecondOpinion, String> {
            self.0.clone().map(|verdict| SecondOpinion {
                model: "m".to_owned(),
                verdict,
                reason: "so it thinks".to_owned(),
            })
        }
    }

    fn asks_for_starts() -> Oversight {
        Oversight {
            ask: [Act::Start].into(),
            ..Oversight::default()
        }
    }

    fn submit(kernel: &Arc<Kernel>, unit: &str, action: UnitAct) -> Result<(), Failure> {
        let unit = prunella_core::UnitName::new(unit).unwrap();
        let submit = Submit { unit, action };
        kernel.host().ask(soon(), submit).map(drop)
    }

    fn start(kernel: &Arc<Kernel>, unit: &str) -> Result<(), Failure> {
        submit(kernel, unit, UnitAct::Start)
    }

    fn store(folder: &Path) -> Store {
        Store::open(&folder.join("prunella.db")).unwrap()
    }

    /// Decides about the one approval that waits.
    fn decide(folder: &Path, approve: bool) {
        let store = store(folder);
        let waiting: Vec<_> = store
            .approvals()
            .unwrap()
            .into_iter()
            .filter(|approval| approval.state == ApprovalState::Waiting)
            .collect();
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        let ruling = store
            .decide_approval(
                &Decision {
                    id: &waiting[0].id,
                    approve,
                    by: "anna",
                    reason: Some("why not"),
                    at: wall_clock(),
                },
                &|_| false,
            )
            .unwrap();
        assert!(matches!(ruling, Ruling::Done(_)), "{ruling:?}");
    }

    #[test]
    fn an_act_waits_until_a_person_agrees_and_is_done_once() {
        let sim = web();
        let grants = grant("unit-control", &[Scope::Itself]);
        let (folder, kernel) = overseen(&sim, grants, asks_for_starts(), None);
        for _ in 0..2 {
            let denied = start(&kernel, "web.service").unwrap_err();
            assert!(denied.is("awaits-approval"), "{denied:?}");
        }
        assert_eq!(sim.acts(), Vec::<String>::new());
        assert_eq!(
            store(folder.path()).approvals().unwrap().len(),
            1,
            "nobody is asked the same twice"
        );

        decide(folder.path(), true);
        start(&kernel, "web.service").unwrap();
        assert_eq!(sim.acts(), ["start web.service"]);

        let denied = start(&kernel, "web.service").unwrap_err();
        assert!(denied.is("awaits-approval"), "it was good once: {denied:?}");
        assert_eq!(sim.acts(), ["start web.service"]);
    }

    #[test]
    fn an_act_that_a_person_denies_is_not_done() {
        let sim = web();
        let grants = grant("unit-control", &[Scope::Itself]);
        let (folder, kernel) = overseen(&sim, grants, asks_for_starts(), None);
        start(&kernel, "web.service").unwrap_err();
        decide(folder.path(), false);
        let denied = start(&kernel, "web.service").unwrap_err();
        assert!(denied.is("disapproved"), "{denied:?}");
        assert_eq!(
            denied.message,
            "anna has denied unit-control.start on web.service: why not"
        );
        assert_eq!(sim.acts(), Vec::<String>::new());
    }

    #[test]
    fn an_approval_of_one_act_is_none_of_another() {
        let sim = web();
        let grants = grant("unit-control", &[Scope::Itself]);
        let oversight = Oversight {
            ask: [Act::Start, Act::Restart].into(),
            ..Oversight::default()
        };
        let (folder, kernel) = overseen(&sim, grants, oversight, None);
        start(&kernel, "web.service").unwrap_err();
        decide(folder.path(), true);
        let restart = submit(&kernel, "web.service", UnitAct::Restart);
        assert!(restart.unwrap_err().is("awaits-approval"));
        assert_eq!(sim.acts(), Vec::<String>::new());
    }

    #[rstest]
    #[case::not_critical(false, Ok(()))]
    #[case::critical(true, Err("awaits-approval"))]
    fn acts_on_critical_services_may_need_more(
        #[case] critical: bool,
        #[case] expected: Result<(), &str>,
    ) {
        let sim = web().declare(|service| service.critical = critical);
        let oversight = Oversight {
            ask_when_critical: [Act::Start].into(),
            ..Oversight::default()
        };
        let grants = grant("unit-control", &[Scope::Itself]);
        let (_folder, kernel) = overseen(&sim, grants, oversight, None);
        let came = start(&kernel, "web.service");
        match expected {
            Ok(()) => came.unwrap(),
            Err(code) => assert!(came.unwrap_err().is(code)),
        }
    }

    #[rstest]
    #[case::a_veto_counts(
        ModelSay::Veto,
        Ok(SecondOpinionVerdict::Veto),
        "web.service",
        Err("vetoed")
    )]
    #[case::consent_is_not_enough(
        ModelSay::Veto,
        Ok(SecondOpinionVerdict::Allow),
        "web.service",
        Err("awaits-approval")
    )]
    #[case::unless_the_operator_says_so(ModelSay::Allow, Ok(SecondOpinionVerdict::Allow), "web.service", Ok(()))]
    #[case::never_for_another_service(
        ModelSay::Allow,
        Ok(SecondOpinionVerdict::Allow),
        "cache.service",
        Err("awaits-approval")
    )]
    #[case::a_veto_for_another_counts(
        ModelSay::Allow,
        Ok(SecondOpinionVerdict::Veto),
        "cache.service",
        Err("vetoed")
    )]
    #[case::silence_is_no_consent(
        ModelSay::Allow, Err("it hangs".to_owned()), "web.service", Err("awaits-approval")
    )]
    #[case::nor_is_it_asked(
        ModelSay::Nothing,
        Ok(SecondOpinionVerdict::Allow),
        "web.service",
        Err("awaits-approval")
    )]
    fn effect_of_a_models_verdict(
        #[case] worth: ModelSay,
        #[case] says: Result<SecondOpinionVerdict, String>,
        #[case] on: &str,
        #[case] expected: Result<(), &str>,
    ) {
        let cache = prunella_core::UnitName::new("cache.service").unwrap();
        let sim = web().unit_beside(Unit::new("cache.service").failed("exit-code"));
        let grants = grant("unit-control", &[Scope::Itself, Scope::Unit(cache)]);
        let oversight = Oversight {
            model: worth,
            ..asks_for_starts()
        };
        let (_folder, kernel) = overseen(&sim, grants, oversight, Some(Arc::new(Says(says))));
        match expected {
            Ok(()) => {
                start(&kernel, on).unwrap();
                assert_eq!(sim.acts(), [format!("start {on}")]);
            }
            Err(code) => {
                let denied = start(&kernel, on).unwrap_err();
                assert!(denied.is(code), "{denied:?}");
                assert_eq!(sim.acts(), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn a_stranger_may_be_ended_only_with_a_persons_consent_and_a_models_is_not_enough() {
        let sim = Sim::new("web.service")
            .failed("exit-code")
            .port("tcp/80")
            .taken("tcp/80", Process::stranger("/usr/bin/python3"));
        let oversight = Oversight {
            foreign_processes: true,
            model: ModelSay::Allow,
            ..Oversight::default()
        };
        let grants = grant("process-control", &[Scope::Itself]);
        let says = Arc::new(Says(Ok(SecondOpinionVerdict::Allow)));
        let (folder, kernel) = overseen(&sim, grants, oversight, Some(says));
        let Port {
            protocol, number, ..
        } = sim.ports()[0];
        let end = || {
            let host = kernel.host();
            let holders = host.ask(soon(), Holders { protocol, number }).unwrap();
            let process = holders[0].process.clone().unwrap();
            let grace = Duration::ZERO;
            host.ask(soon(), Terminate { process, grace }).map(drop)
        };
        let denied = end().unwrap_err();
        assert!(denied.is("awaits-approval"), "{denied:?}");
        assert_eq!(sim.acts(), Vec::<String>::new());

        decide(folder.path(), true);
        end().unwrap();
        assert_eq!(sim.acts(), ["terminate /usr/bin/python3"]);
    }

    #[rstest]
    #[case::one_that_changes_things(Check::passes().changing())]
    #[case::one_that_only_looks(Check::passes())]
    fn a_check_waits_where_the_operator_wants_to_be_asked(#[case] check: Check) {
        let sim = web().check("syntax", check);
        let oversight = Oversight {
            ask: [Act::RunCheck].into(),
            ..Oversight::default()
        };
        let grants = grant("checks", &[Scope::Itself]);
        let (folder, kernel) = overseen(&sim, grants, oversight, None);
        let run = || {
            let name = "syntax".to_owned();
            kernel.host().ask(soon(), Run { name })
        };
        let denied = run().unwrap_err();
        assert!(denied.is("awaits-approval"), "{denied:?}");
        assert_eq!(sim.acts(), Vec::<String>::new());

        decide(folder.path(), true);
        assert!(run().unwrap().passed);
        assert_eq!(sim.acts(), ["run check syntax"]);
    }
}
