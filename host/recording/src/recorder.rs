//! Recording: around a host, and writing down what passes.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use prunella_core::{
    Failure,
    capability::{Answer, Call, Host, HostCalls, Process, Reply},
    incident::{Assessment, Outcome},
    text::redact,
};
use prunella_engine::{Level, Lines, RunContext, RunError, Strategy};

use crate::{
    Begun, Declared, Ended, Line,
    file::VERSION,
    recorded::{answered, made, redacted_value},
};

/// Writes a recording.
pub struct Recorder {
    out: Mutex<Out>,
    runs: AtomicU32,
}

struct Out {
    file: File,
    /// The first thing that went wrong; nothing is written after it.
    trouble: Option<io::Error>,
}

impl Recorder {
    /// Begins a recording in a new file, which nobody but its owner can read. What
    /// is there already is never written to, nor followed if it is a link.
    ///
    /// # Errors
    /// The file cannot be made, because it is there already for instance.
    pub fn create(path: &Path) -> io::Result<Arc<Self>> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let recorder = Self {
            out: Mutex::new(Out {
                file,
                trouble: None,
            }),
            runs: AtomicU32::new(0),
        };
        recorder.write(&Line::Head {
            recording: VERSION,
            recorded_by: concat!("prunella ", env!("CARGO_PKG_VERSION")).to_owned(),
        });
        let trouble = recorder.lock().trouble.take();
        trouble.map_or_else(|| Ok(Arc::new(recorder)), Err)
    }

    /// A run begins: what it is given, with every call written down.
    pub fn begin(
        self: &Arc<Self>,
        call: prunella_engine::Call,
        strategy: &Strategy,
        context: RunContext,
    ) -> (RunContext, RunRecorder) {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        self.write(&Line::Begins {
            run,
            begins: Box::new(Begun {
                call,
                strategy: strategy.name().clone(),
                sha256: strategy.sha256().to_owned(),
                incident: context.incident.clone(),
                service: Declared::from(&*context.service),
                dry_run: context.dry_run,
                settings: context
                    .settings
                    .iter()
                    .map(|(key, value)| (key.clone(), redacted_value(key, value)))
                    .collect(),
                limits: context.limits.clone(),
            }),
        });
        let recording = RunRecorder(Some((Arc::clone(self), run)));
        let lines = Arc::new(Spoken {
            recorder: Arc::clone(self),
            run,
            lines: Arc::clone(&context.lines),
        });
        let context = RunContext {
            host: Host::new(Recorded {
                recorder: Arc::clone(self),
                run,
                below: context.host,
                processes: AtomicU32::new(0),
                jobs: AtomicU32::new(0),
            }),
            lines,
            ..context
        };
        (context, recording)
    }

    /// What kept the recording from being written to its end, if anything did.
    pub fn trouble(&self) -> Option<io::Error> {
        self.lock().trouble.take()
    }

    /// Writes a line at once, so that a recording that is cut off has all until
    /// then. Healing never waits for it to reach the disk, nor fails with it.
    fn write(&self, line: &Line) {
        let mut out = self.lock();
        if out.trouble.is_some() {
            return;
        }
        let written = serde_json::to_string(line)
            .map_err(io::Error::other)
            .and_then(|mut text| {
                text.push('\n');
                out.file.write_all(text.as_bytes())
            });
        out.trouble = written.err();
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is being recorded, or not.
pub struct RunRecorder(Option<(Arc<Recorder>, u32)>);

impl RunRecorder {
    pub fn none() -> Self {
        Self(None)
    }

    /// What it said of the incident.
    pub fn assessed(&self, said: &Result<Result<Assessment, Failure>, RunError>) {
        self.end(said, Ended::Assessed);
    }

    /// What it said that it did.
    pub fn healed(&self, said: &Result<Result<Outcome, Failure>, RunError>) {
        self.end(said, Ended::Healed);
    }

    fn end<T: Clone>(
        &self,
        said: &Result<Result<T, Failure>, RunError>,
        word: impl FnOnce(T) -> Ended,
    ) {
        if let Some((recorder, run)) = &self.0 {
            recorder.write(&Line::Ends {
                run: *run,
                ends: ended(said, word),
            });
        }
    }
}

/// How a run ended, in words that may be a quotation of something secret.
pub(crate) fn ended<T: Clone>(
    said: &Result<Result<T, Failure>, RunError>,
    word: impl FnOnce(T) -> Ended,
) -> Ended {
    match said {
        Ok(Ok(said)) => word(said.clone()),
        Ok(Err(failure)) => Ended::GaveUp(failure.clone()),
        Err(error) => Ended::BrokeOff(error.to_string()),
    }
    .redacted()
}

/// Passes a strategy's lines on, and writes them down.
struct Spoken {
    recorder: Arc<Recorder>,
    run: u32,
    lines: Arc<dyn Lines>,
}

impl Lines for Spoken {
    fn line(&self, level: Level, message: &str) {
        self.recorder.write(&Line::Says {
            run: self.run,
            says: format!("{level}: {}", redact(message)),
        });
        self.lines.line(level, message);
    }
}

/// The host of one run, with a line in the recording for every call.
struct Recorded {
    recorder: Arc<Recorder>,
    run: u32,
    below: Host,
    processes: AtomicU32,
    jobs: AtomicU32,
}

impl Recorded {
    /// Numbers the handles that the strategy gets, so that later calls can name
    /// them.
    fn number(&self, reply: &mut Reply) {
        let next = |numbers: &AtomicU32| numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let process = |process: &mut Process| process.number = next(&self.processes);
        match reply {
            Reply::ProcessesOfUnit(found) => found.iter_mut().for_each(process),
            Reply::PortHolders(found) => found
                .iter_mut()
                .filter_map(|holder| holder.process.as_mut())
                .for_each(process),
            Reply::UnitSubmit(job) => job.number = next(&self.jobs),
            _ => {}
        }
    }
}

impl HostCalls for Recorded {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        let made = made(&call);
        let mut answer = self.below.call(deadline, call);
        if let Ok(reply) = &mut answer {
            self.number(reply);
        }
        self.recorder.write(&Line::Called {
            run: self.run,
            entry: answered(made, answer.as_ref()),
        });
        answer
    }
}
