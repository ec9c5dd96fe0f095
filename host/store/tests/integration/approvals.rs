//! Approvals: bound to all that was proposed, good once, and for a while.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends with a panic"
)]

use crate::common::ms;
use prunella_core::{
    StrategyName,
    incident::{Ending, IncidentId},
    oversight::{Approval, ApprovalState, ProcessKey, Proposal},
};
use prunella_store::{Answer, Asked, AttemptEnd, Decision, LastSteps, Ruling, Store};
use rstest::rstest;

const NOW: u64 = 1_000_000;
const ASKED: Asked<'static> = Asked {
    why: "it holds the port",
    plan: None,
};
const UNTIL: u64 = NOW + 60_000;

fn proposal(incident: &IncidentId) -> Proposal {
    Proposal {
        incident: incident.clone(),
        unit: crate::common::unit("web.service"),
        strategy: StrategyName::new("site-fix").unwrap(),
        act: "process-control.terminate".to_owned(),
        target: "process 7 (/usr/bin/python3, user web)".to_owned(),
        process: Some(ProcessKey {
            pid: 7,
            started_ms: 5,
        }),
        invocation: Some("0a".to_owned()),
        boot_id: "b1".to_owned(),
    }
}

/// A store with an open incident, and a proposal in it.
fn house() -> (tempfile::TempDir, Store, Proposal) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let incident = crate::common::incident("web.service", 1, 5);
    store.open_incident(&incident).unwrap();
    (folder, store, proposal(&incident.id))
}

fn ask(store: &Store, proposal: &Proposal, now: u64) -> Answer {
    store
        .ask_approval(proposal, &ASKED, ms(now), ms(UNTIL))
        .unwrap()
}

fn asked(store: &Store, proposal: &Proposal) -> Approval {
    match ask(store, proposal, NOW) {
        Answer::New(approval) => approval,
        other => panic!("{other:?}"),
    }
}

fn rule(store: &Store, id: &str, approve: bool) -> Ruling {
    rule_at(store, id, approve, NOW + 1)
}

fn rule_at(store: &Store, id: &str, approve: bool, at: u64) -> Ruling {
    let decision = Decision {
        id,
        approve,
        by: "anna",
        reason: None,
        at: ms(at),
    };
    store.decide_approval(&decision, &|_| false).unwrap()
}

fn end(store: &Store, proposal: &Proposal, ending: Ending) {
    let end = AttemptEnd {
        at: ms(NOW),
        ending: Some(ending),
        alert: None,
        tries: None,
    };
    store
        .end_attempt(&proposal.incident, LastSteps::Numbered(&[]), &end)
        .unwrap();
}

#[test]
fn a_question_is_asked_once_and_its_answer_used_once() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    assert_eq!(approval.state, ApprovalState::Waiting);
    assert!(matches!(ask(&store, &proposal, NOW), Answer::Waiting(_)));

    assert!(matches!(rule(&store, &approval.id, true), Ruling::Done(_)));
    match ask(&store, &proposal, NOW + 2) {
        Answer::Granted(granted) => {
            assert_eq!(granted.state, ApprovalState::Used);
            assert_eq!(granted.by.as_deref(), Some("anna"));
        }
        other => panic!("{other:?}"),
    }
    // The next time is another question.
    let next = asked(&store, &proposal);
    assert_ne!(next.id, approval.id);
}

#[rstest]
#[case::another_process(|p: &mut Proposal| p.process = Some(ProcessKey { pid: 7, started_ms: 6 }))]
#[case::another_target(|p: &mut Proposal| p.target = "process 8".to_owned())]
#[case::another_act(|p: &mut Proposal| p.act = "unit-control.stop".to_owned())]
#[case::another_run(|p: &mut Proposal| p.invocation = Some("0b".to_owned()))]
#[case::another_boot(|p: &mut Proposal| p.boot_id = "b2".to_owned())]
#[case::another_strategy(|p: &mut Proposal| p.strategy = StrategyName::new("other").unwrap())]
fn an_approval_is_good_for_exactly_what_was_asked(#[case] change: fn(&mut Proposal)) {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    rule(&store, &approval.id, true);
    let mut other = proposal.clone();
    change(&mut other);
    assert!(matches!(ask(&store, &other, NOW + 2), Answer::New(_)));
    assert!(matches!(
        ask(&store, &proposal, NOW + 2),
        Answer::Granted(_)
    ));
}

fn ask_until(store: &Store, proposal: &Proposal, now: u64, until: u64) -> Answer {
    store
        .ask_approval(proposal, &ASKED, ms(now), ms(until))
        .unwrap()
}

#[test]
fn an_approval_is_good_for_a_while_and_then_asked_for_again_under_its_id() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    rule(&store, &approval.id, true);
    for _ in 0..2 {
        let again = match ask_until(&store, &proposal, UNTIL, UNTIL + 60_000) {
            Answer::New(again) | Answer::Waiting(again) => again,
            other => panic!("{other:?}"),
        };
        assert_eq!(again.id, approval.id);
        assert_eq!(again.state, ApprovalState::Waiting);
        assert_eq!((again.by, again.until), (None, ms(UNTIL + 60_000)));
    }
    assert_eq!(store.approvals().unwrap().len(), 1);
    let ruling = rule_at(&store, &approval.id, true, UNTIL + 1);
    assert!(matches!(ruling, Ruling::Done(_)), "{ruling:?}");
}

#[test]
fn a_question_can_be_answered_late_while_the_incident_waits_for_people() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    let late = rule_at(&store, &approval.id, true, UNTIL + 5);
    let Ruling::Done(late) = late else {
        panic!("{late:?}");
    };
    assert_eq!(late.until, ms(UNTIL + 5 + 60_000));
    let answer = ask_until(&store, &proposal, UNTIL + 6, UNTIL + 70_000);
    assert!(matches!(answer, Answer::Granted(_)), "{answer:?}");
}

#[test]
fn whoever_answers_a_question_of_before_is_told_the_one_that_stands_now() {
    let (_folder, store, proposal) = house();
    let old = asked(&store, &proposal);
    let mut other = proposal.clone();
    other.target = "process 8 (/usr/bin/python3, user web)".to_owned();
    let Answer::New(new) = ask_until(&store, &other, UNTIL, UNTIL + 60_000) else {
        panic!("it was asked before");
    };
    match rule_at(&store, &old.id, true, UNTIL) {
        Ruling::AskedAnew { over, now } => {
            assert_eq!((&over.id, &now.id), (&old.id, &new.id));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        rule_at(&store, &new.id, true, UNTIL),
        Ruling::Done(_)
    ));
    // While both stand, each is its own.
    let (_folder, store, proposal) = house();
    let one = asked(&store, &proposal);
    let two = asked(&store, &other_target(&proposal));
    for id in [one.id, two.id] {
        assert!(matches!(rule(&store, &id, true), Ruling::Done(_)), "{id}");
    }
}

fn other_target(proposal: &Proposal) -> Proposal {
    Proposal {
        target: "process 8".to_owned(),
        ..proposal.clone()
    }
}

#[test]
fn nobody_agrees_to_what_is_gone() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    let decision = Decision {
        id: &approval.id,
        approve: true,
        by: "anna",
        reason: None,
        at: ms(NOW + 1),
    };
    let gone = store.decide_approval(&decision, &|_| true).unwrap();
    assert!(matches!(gone, Ruling::Gone(_)), "{gone:?}");
    assert!(matches!(
        rule(&store, &approval.id, true),
        Ruling::Settled(_)
    ));
    assert!(matches!(ask(&store, &proposal, NOW + 2), Answer::New(_)));
}

#[test]
fn what_an_earlier_boot_asked_is_withdrawn() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    store.withdraw_of_other_boots("b1").unwrap();
    assert_eq!(store.approvals().unwrap()[0].state, ApprovalState::Waiting);
    store.withdraw_of_other_boots("b2").unwrap();
    assert!(matches!(
        rule(&store, &approval.id, true),
        Ruling::Settled(_)
    ));
}

#[test]
fn a_denial_stands() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    rule(&store, &approval.id, false);
    assert!(matches!(ask(&store, &proposal, NOW + 2), Answer::Denied(_)));
    assert!(matches!(
        rule(&store, &approval.id, true),
        Ruling::Already(_)
    ));
}

#[test]
fn an_approval_is_found_by_the_end_of_its_id() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    assert_eq!(rule(&store, "nothing.1", true), Ruling::Unknown);
    let end = approval.id.rsplit('-').next().unwrap();
    assert!(matches!(rule(&store, end, true), Ruling::Done(_)));
}

#[test]
fn an_ended_incident_needs_no_approval() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    end(
        &store,
        &proposal,
        Ending::Recovered {
            by: "itself".to_owned(),
        },
    );
    assert!(matches!(
        rule(&store, &approval.id, true),
        Ruling::Settled(_)
    ));
}

#[test]
fn an_approved_incident_that_was_handed_to_people_is_due_at_once() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    end(
        &store,
        &proposal,
        Ending::Escalated {
            reason: "it waits".to_owned(),
            retry_at: Some(ms(u64::from(u32::MAX))),
        },
    );
    assert_eq!(store.due(ms(NOW + 2)).unwrap(), []);
    rule(&store, &approval.id, true);
    assert_eq!(store.due(ms(NOW + 2)).unwrap().len(), 1);
}

#[rstest]
#[case::healed(Ending::Recovered { by: "somebody".to_owned() }, ApprovalState::Withdrawn)]
#[case::handed_to_people(
    Ending::Escalated { reason: "it waits".to_owned(), retry_at: None },
    ApprovalState::Waiting
)]
fn what_is_asked_ends_with_its_incident(#[case] ending: Ending, #[case] state: ApprovalState) {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    end(&store, &proposal, ending);
    let listed = store.approvals().unwrap();
    assert_eq!(listed[0].state, state);
    assert_eq!(listed[0].why, "it holds the port");
    let withdrawn = state == ApprovalState::Withdrawn;
    let ruling = rule(&store, &approval.id, true);
    assert_eq!(
        matches!(ruling, Ruling::Settled(_)),
        withdrawn,
        "{ruling:?}"
    );
    assert_eq!(matches!(ruling, Ruling::Done(_)), !withdrawn, "{ruling:?}");
}
