//! What a unit's status comes to for whoever asks or waits, whether it was read over
//! the bus or by `systemctl`.

use prunella_core::{
    Failure, UnitName,
    capability::{ActiveState, Answer, Goal, UnitStatus},
};

/// Whether `goal` is reached, or can't be any more; none while it is open.
pub(crate) fn reached(goal: Goal, status: &UnitStatus) -> Option<Answer<()>> {
    match goal {
        Goal::Up if status.job.is_none() && status.is_up() => Some(Ok(())),
        Goal::Up if status.is_settled() => Some(Err(Failure::failed(
            if status.active_state == ActiveState::Failed {
                "unit-failed"
            } else {
                "unit-inactive"
            },
            format!(
                "{} is {} ({})",
                status.name,
                status.active_state.as_str(),
                status.result
            ),
        ))),
        Goal::Down
            if status.job.is_none()
                && matches!(
                    status.active_state,
                    ActiveState::Inactive | ActiveState::Failed
                ) =>
        {
            Some(Ok(()))
        }
        Goal::Settled if status.is_settled() => Some(Ok(())),
        _ => None,
    }
}

/// The failure when a wait's time is up.
pub(crate) fn not_there_yet(unit: &UnitName, goal: Goal, last: Option<&UnitStatus>) -> Failure {
    let goal = match goal {
        Goal::Up => "up",
        Goal::Down => "down",
        Goal::Settled => "settled",
    };
    let now = last.map_or_else(String::new, |status| {
        let job = status
            .job
            .as_ref()
            .map_or_else(String::new, |job| format!(", {} job pending", job.kind));
        format!(
            ": it is {} ({}){job}",
            status.active_state.as_str(),
            status.sub_state
        )
    });
    Failure::timed_out(
        "wait",
        format!("{unit} was not {goal} before the time was up{now}"),
    )
}

/// `status`, if there is such a unit.
pub(crate) fn existing(status: UnitStatus) -> Answer<UnitStatus> {
    if status.exists() {
        Ok(status)
    } else {
        Err(Failure::not_found(
            "no-such-unit",
            format!("there is no unit {}", status.name),
        ))
    }
}

pub(crate) fn cannot_read(unit: &UnitName) -> String {
    format!("cannot read the status of {unit}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use prunella_core::{Monotonic, capability::PendingJob};
    use rstest::rstest;

    use super::*;
    use crate::status::{self, Bag};

    fn status(state: ActiveState, job: bool) -> UnitStatus {
        let mut status = status::status(
            UnitName::new("web.service").unwrap(),
            &Bag(HashMap::default()),
        );
        status.active_state = state;
        status.job = job.then(|| PendingJob {
            id: 1,
            kind: "start".to_owned(),
        });
        status
    }

    #[rstest]
    #[case::up(Goal::Up, ActiveState::Active, false, Some(true))]
    #[case::about_to_restart(Goal::Up, ActiveState::Active, true, None)]
    #[case::on_its_way(Goal::Up, ActiveState::Activating, false, None)]
    #[case::failed(Goal::Up, ActiveState::Failed, false, Some(false))]
    #[case::failed_but_a_job_is_queued(Goal::Up, ActiveState::Failed, true, None)]
    #[case::ended(Goal::Up, ActiveState::Inactive, false, Some(false))]
    #[case::down(Goal::Down, ActiveState::Inactive, false, Some(true))]
    #[case::down_by_failure(Goal::Down, ActiveState::Failed, false, Some(true))]
    #[case::going_down(Goal::Down, ActiveState::Deactivating, false, None)]
    #[case::settled_up(Goal::Settled, ActiveState::Active, false, Some(true))]
    #[case::settled_down(Goal::Settled, ActiveState::Failed, false, Some(true))]
    #[case::unsettled(Goal::Settled, ActiveState::Active, true, None)]
    fn when_a_goal_is_reached(
        #[case] goal: Goal,
        #[case] state: ActiveState,
        #[case] job: bool,
        #[case] end: Option<bool>,
    ) {
        let found = reached(goal, &status(state, job)).map(|end| end.is_ok());
        assert_eq!(found, end);
    }

    #[test]
    fn a_oneshot_that_is_done_is_up() {
        let mut done = status(ActiveState::Inactive, false);
        done.kind = Some("oneshot".to_owned());
        done.main_exit_monotonic = Some(Monotonic::from_micros(1));
        assert_eq!(reached(Goal::Up, &done), Some(Ok(())));
        done.result = "exit-code".to_owned();
        assert!(reached(Goal::Up, &done).unwrap().is_err());
    }

    #[test]
    fn a_wait_that_took_too_long_tells_how_it_stands() {
        let mut last = status(ActiveState::Deactivating, true);
        last.sub_state = "stop-sigterm".to_owned();
        let failure = not_there_yet(&last.name.clone(), Goal::Down, Some(&last));
        assert_eq!(
            failure.message,
            "web.service was not down before the time was up: \
             it is deactivating (stop-sigterm), start job pending"
        );
    }
}
