//! Playing a recording again: a component hears the recorded answers, until it asks
//! for something else.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prunella_core::{
    Failure, Timestamp,
    capability::{Answer, Call, Host, HostCalls, Reply},
};
use prunella_engine::{Lines, RunContext, Strategy};

use crate::{Ended, Entry, ReplayedRun, recorded::made, recorder::ended};

/// Where a run diverges from its recording: the first call that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// Which call of the run, from 1 on.
    pub number: usize,
    /// The call that was recorded; none when the recording ends here.
    pub recorded: Option<Entry>,
    /// The call that it made; none when it made no further one.
    pub made: Option<Entry>,
}

/// How a component did on a recorded run.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// How many calls were answered from the recording.
    pub answered: usize,
    /// Where it diverged, if it did.
    pub divergence: Option<Divergence>,
    /// How it ended now. After that every call has failed, so this says
    /// little.
    pub ended: Ended,
}

impl Replayed {
    /// Whether it asked and said the same as when the recording was recorded.
    pub fn is_same_as(&self, played: &ReplayedRun) -> bool {
        self.divergence.is_none() && played.ended.as_ref() == Some(&self.ended)
    }
}

/// Runs a strategy on a recorded run.
pub fn replay(strategy: &Strategy, played: &ReplayedRun, lines: Arc<dyn Lines>) -> Replayed {
    let begun = &played.begun;
    let replayer = Arc::new(Replayer(Mutex::new(Progress {
        calls: played.calls.clone(),
        at: 0,
        divergence: None,
        clocks: (Timestamp::default(), 0),
    })));
    let context = RunContext {
        host: Host::from(Arc::clone(&replayer) as Arc<dyn HostCalls>),
        incident: begun.incident.clone(),
        service: Arc::new(begun.service.service()),
        dry_run: begun.dry_run,
        limits: begun.limits.clone(),
        settings: begun.settings.clone(),
        lines,
    };
    let ended = match begun.call {
        prunella_engine::Call::Heal => ended(&strategy.heal(context).result, Ended::Healed),
        _ => ended(&strategy.assess(context).result, Ended::Assessed),
    };
    let mut progress = replayer.lock();
    if progress.divergence.is_none() && progress.at < progress.calls.len() {
        progress.divergence = Some(Divergence {
            number: progress.at + 1,
            recorded: progress.calls.get(progress.at).cloned(),
            made: None,
        });
    }
    Replayed {
        answered: progress.at,
        divergence: progress.divergence.take(),
        ended,
    }
}

/// How far a run has come on its recording.
struct Progress {
    calls: Vec<Entry>,
    at: usize,
    divergence: Option<Divergence>,
    /// What the clocks said last; it is what they say after a divergence.
    clocks: (Timestamp, u64),
}

/// The recorded answers, in the place of a host.
struct Replayer(Mutex<Progress>);

impl Replayer {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostCalls for Replayer {
    fn call(&self, _: Instant, call: Call) -> Answer<Reply> {
        let progress = &mut *self.lock();
        let answer = progress.answer(&call);
        // A clock cannot fail: after a divergence it stands still.
        match (&call, answer) {
            (Call::ClockNow(_), Ok(Reply::ClockNow(now))) => progress.clocks.0 = now,
            (Call::ClockMonotonic(_), Ok(Reply::ClockMonotonic(now))) => progress.clocks.1 = now,
            (Call::ClockNow(_) | Call::ClockMonotonic(_), _) => {}
            (_, answer) => return answer,
        }
        Ok(match call {
            Call::ClockNow(_) => Reply::ClockNow(progress.clocks.0),
            _ => Reply::ClockMonotonic(progress.clocks.1),
        })
    }
}

impl Progress {
    /// The recorded answer to a call, if it is the next one.
    fn answer(&mut self, call: &Call) -> Answer<Reply> {
        if self.divergence.is_some() {
            return Err(diverged());
        }
        let made = made(call);
        let recorded = self.calls.get(self.at);
        let answer = recorded
            .filter(|recorded| recorded.call == made.call && recorded.with == made.with)
            .and_then(|recorded| match &recorded.failed {
                Some(failure) => Some(Err(failure.clone())),
                None => {
                    let gave = recorded.gave.clone().unwrap_or_default();
                    call.read_reply(gave).ok().map(Ok)
                }
            });
        if let Some(answer) = answer {
            self.at += 1;
            return answer;
        }
        self.divergence = Some(Divergence {
            number: self.at + 1,
            recorded: recorded.cloned(),
            made: Some(made),
        });
        Err(diverged())
    }
}

fn diverged() -> Failure {
    Failure::unavailable(
        "not-in-recording",
        "the recording has no answer to this: the run has diverged from what was recorded",
    )
}
