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
    oversight::{Approval, ApprovalState, Proposal},
};
use prunella_store::{Answer, AttemptEnd, LastSteps, Ruling, Store};
use rstest::rstest;

const NOW: u64 = 1_000_000;
const UNTIL: u64 = NOW + 60_000;

fn proposal(incident: &IncidentId) -> Proposal {
    Proposal {
        incident: incident.clone(),
        unit: crate::common::unit("web.service"),
        strategy: StrategyName::new("site-fix").unwrap(),
        act: "process-control.terminate".to_owned(),
        target: "process 7 (/usr/bin/python3, user web)".to_owned(),
        exactly: "started at 5".to_owned(),
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
        .ask_approval(proposal, "it holds the port", ms(now), ms(UNTIL))
        .unwrap()
}

fn asked(store: &Store, proposal: &Proposal) -> Approval {
    match ask(store, proposal, NOW) {
        Answer::New(approval) => approval,
        other => panic!("{other:?}"),
    }
}

fn rule(store: &Store, id: &str, approve: bool) -> Ruling {
    store
        .decide_approval(id, approve, "anna", None, ms(NOW + 1))
        .unwrap()
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
#[case::another_process(|p: &mut Proposal| p.exactly = "started at 6".to_owned())]
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

#[test]
fn an_approval_is_good_for_a_while() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    rule(&store, &approval.id, true);
    assert!(matches!(ask(&store, &proposal, UNTIL), Answer::New(_)));
}

#[test]
fn a_question_that_nobody_answered_in_time_is_over() {
    let (_folder, store, proposal) = house();
    let approval = asked(&store, &proposal);
    let late = store
        .decide_approval(&approval.id, true, "anna", None, ms(UNTIL))
        .unwrap();
    assert!(matches!(late, Ruling::Over(_)), "{late:?}");
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
