//! All strategies look at an incident. Where there is something to wait for, a
//! check or a probe, they look side by side: the service waits for the slowest
//! only. Looks that wait for nothing take less than beginning a thread does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{incident::Assessment, service::Service};
use prunella_engine::{Level, Lines, Run, RunContext, Strategy};

use crate::parallel;

/// A strategy about to be asked.
pub(crate) struct Asked<'a> {
    pub(crate) strategy: &'a Strategy,
    pub(crate) context: RunContext,
}

/// What a strategy said, and how long it looked.
pub(crate) struct Said {
    pub(crate) run: Run<Assessment>,
    pub(crate) took: Duration,
}

/// Asks all of them. The answers come in the order of the questions, and so do
/// the lines that the strategies log, each one's together: `heard` is told when
/// all of one's lines have been passed on.
pub(crate) fn ask_all(
    service: &Service,
    asked: Vec<Asked<'_>>,
    mut heard: impl FnMut(usize, Said),
) {
    let held: Vec<Arc<Held>> = asked
        .iter()
        .map(|asked| Held::before(Arc::clone(&asked.context.lines)))
        .collect();
    let asked: Vec<Asked<'_>> = asked
        .into_iter()
        .zip(&held)
        .map(|(mut asked, held)| {
            asked.context.lines = Arc::clone(held) as _;
            asked
        })
        .collect();
    let said = if service.checks.is_empty() && service.probes.is_empty() {
        asked.iter().map(ask).collect()
    } else {
        parallel::map(&asked, ask)
    };
    for ((place, said), held) in said.into_iter().enumerate().zip(&held) {
        held.pass_on();
        heard(place, said);
    }
}

fn ask(asked: &Asked<'_>) -> Said {
    let started = Instant::now();
    let run = asked.strategy.assess(asked.context.clone());
    Said {
        run,
        took: started.elapsed(),
    }
}

/// Keeps a strategy's lines until it is their turn.
struct Held {
    lines: Mutex<Vec<(Level, String)>>,
    to: Arc<dyn Lines>,
}

impl Held {
    fn before(to: Arc<dyn Lines>) -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            to,
        })
    }

    fn pass_on(&self) {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        for (level, line) in lines {
            self.to.line(level, &line);
        }
    }
}

impl Lines for Held {
    fn line(&self, level: Level, message: &str) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((level, message.to_owned()));
    }
}
