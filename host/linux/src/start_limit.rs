//! Whether systemd has refused to start a unit again, its start limit being hit.
//!
//! The unit's Result hardly ever says so: systemd sets it to `start-limit-hit`
//! only where the run before left none, and keeps that run's own otherwise. Its
//! message in the journal always does, and names the run after which it
//! refused: with another start, that one belongs to the past.

use std::time::Instant;

use prunella_core::capability::{ActiveState, Answer, UnitStatus};

use crate::{
    journal::{Journal, JournalQuery, by_systemd},
    stop_evidence::synchronize,
};

/// systemd's own words; it speaks no other language.
const REFUSED: &str = "Start request repeated too quickly.";

/// Whether it refused a start after the last run.
pub(crate) fn refused(deadline: Instant, journal: &Journal, status: &UnitStatus) -> Answer<bool> {
    if status.result == "start-limit-hit" {
        return Ok(true);
    }
    // `systemctl reset-failed` clears the limit, and the state with it.
    if status.active_state != ActiveState::Failed {
        return Ok(false);
    }
    let Some(invocation) = &status.invocation else {
        return Ok(false);
    };
    let mut group = by_systemd(&status.name);
    group.push(("INVOCATION_ID", invocation.clone()));
    group.push(("MESSAGE", format!("{}: {REFUSED}", status.name)));
    let question = JournalQuery {
        any_of: vec![group],
        newest: 1,
        namespaces: false,
    };
    // With Restart= a unit fails and is refused in one moment: systemd's
    // message may be on its way still.
    synchronize(deadline);
    Ok(!journal.ask(deadline, &question)?.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_core::UnitName;
    use rstest::rstest;

    use super::*;
    use crate::status::{self, Bag};

    #[rstest]
    #[case::systemd_says_so(ActiveState::Failed, "start-limit-hit", true)]
    #[case::cleared(ActiveState::Inactive, "success", false)]
    #[case::up_again(ActiveState::Active, "success", false)]
    #[case::never_ran(ActiveState::Failed, "exit-code", false)]
    fn facts_known_without_the_journal(
        #[case] state: ActiveState,
        #[case] result: &str,
        #[case] expected: bool,
    ) {
        let mut status = status::status(
            UnitName::new("web.service").unwrap(),
            &Bag(std::collections::HashMap::default()),
        );
        status.active_state = state;
        status.result = result.to_owned();
        let soon = Instant::now() + Duration::from_secs(5);
        let hit = refused(soon, &Journal::of_this_host(), &status).unwrap();
        assert_eq!(hit, expected);
    }
}
