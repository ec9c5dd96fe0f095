//! Takes a new configuration and new plugins into force, on a thread of its own:
//! compiling takes its time, and no incident waits for it.
//!
//! | what changed | what is done |
//! |---|---|
//! | the configuration (SIGHUP, or somebody asked) | everything is read again; with a mistake in it nothing changes |
//! | a file in `plugins/` | what changed is read, verified, compiled and tried; a bad one leaves the one before in force |
//!
//! An attempt that is under way keeps what it began with.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use prunella_api::Reloaded;
use prunella_config::Config;
use prunella_core::StrategyName;
use prunella_engine::{Engine, LoadError};
use prunella_healer::{Healer, InForce, Refused, RefusedBecause, StrategySet};
use prunella_linux::folder_watch::FolderWatch;

use crate::{
    ConfigMistakes, DaemonError, Paths,
    configuration::{keep_main_file, load_config},
    loading::{Wanted, complain, load_strategies},
};

/// What comes of a reload: what is in force now, or why all stays as it was.
pub(crate) type Answered = Result<Reloaded, ConfigMistakes>;

/// What is to be read again.
enum Job {
    /// All of it; the answer goes to whoever asked.
    Everything(Option<Sender<Answered>>),
    /// What lies in the folder of plugins.
    Plugins,
}

/// Where jobs are handed in.
#[derive(Clone)]
pub(crate) struct Reloader(Sender<Job>);

impl Reloader {
    /// Starts the thread. `reloaded` is called on it after each reload of the
    /// configuration.
    pub(crate) fn start(
        paths: &Paths,
        engine: &Engine,
        healer: &Arc<Healer>,
        reloaded: impl Fn(Answered, Option<Sender<Answered>>) + Send + 'static,
    ) -> Result<Self, DaemonError> {
        let (jobs, queue) = mpsc::channel();
        let worker = Worker {
            paths: paths.clone(),
            engine: engine.clone(),
            healer: Arc::clone(healer),
            warned: BTreeSet::new(),
        };
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || worker.work(&queue, &reloaded))
            .map_err(DaemonError::thread("reloads the configuration"))?;
        Ok(Self(jobs))
    }

    /// Has everything read again.
    pub(crate) fn everything(&self, asked: Option<Sender<Answered>>) {
        self.send(Job::Everything(asked));
    }

    /// Has the folder of plugins read again whenever something changes in it.
    pub(crate) fn follow(&self, mut watch: FolderWatch) -> Result<(), DaemonError> {
        let reloader = self.clone();
        thread::Builder::new()
            .name("plugins".to_owned())
            .stack_size(128 << 10)
            .spawn(move || {
                loop {
                    if let Err(error) = watch.wait() {
                        tracing::error!(
                            "changes of plugins are not noticed any more ({error}): `systemctl \
                             reload prunella.service` reads them again"
                        );
                        break;
                    }
                    reloader.send(Job::Plugins);
                }
            })
            .map(drop)
            .map_err(DaemonError::thread("watches plugins"))
    }

    fn send(&self, job: Job) {
        if self.0.send(job).is_err() {
            tracing::debug!("the daemon is stopping: nothing is read again");
        }
    }
}

struct Worker {
    paths: Paths,
    engine: Engine,
    healer: Arc<Healer>,
    /// What was warned of already.
    warned: BTreeSet<String>,
}

impl Worker {
    fn work(
        mut self,
        queue: &Receiver<Job>,
        reloaded: &dyn Fn(Answered, Option<Sender<Answered>>),
    ) {
        while let Ok(first) = queue.recv() {
            // One look covers all that changed until now.
            let mut plugins = false;
            for job in std::iter::once(first).chain(queue.try_iter()) {
                match job {
                    Job::Plugins => plugins = true,
                    Job::Everything(asked) => {
                        reloaded(self.everything(), asked);
                    }
                }
            }
            if plugins {
                self.plugins();
            }
        }
    }

    /// Reads the configuration again. A broken one changes nothing.
    fn everything(&mut self) -> Answered {
        let config = load_config(&self.paths)?;
        keep_main_file(&self.paths);
        let strategies = load_strategies(&self.paths, &self.engine, &config, &Wanted::All, None);
        complain(&strategies, &config);
        let now = Reloaded {
            services: config.services.len(),
            strategies: strategies.names().count(),
        };
        self.healer.reload(Arc::new(config), Arc::new(strategies));
        Ok(now)
    }

    /// Takes the plugins as they are now. What is wrong with one leaves the one
    /// before in force, and says so.
    fn plugins(&mut self) {
        let before = self.healer.strategies();
        let (config, warnings) = self.healer.config().with_plugins(&self.paths.config);
        let warnings: BTreeSet<String> = warnings.iter().map(ToString::to_string).collect();
        for warning in warnings.difference(&self.warned) {
            tracing::warn!("{warning}");
        }
        self.warned = warnings;
        let now = load_strategies(
            &self.paths,
            &self.engine,
            &config,
            &Wanted::All,
            Some(&before),
        );
        let told = differences(&before, &now, &config);
        self.healer.reload(Arc::new(config), Arc::new(now));
        // After it is so.
        for line in told {
            line.tell();
        }
    }
}

/// A line for the journal.
struct Told {
    strategy: StrategyName,
    error: bool,
    text: String,
}

impl Told {
    fn tell(&self) {
        let Self { strategy, text, .. } = self;
        if self.error {
            tracing::error!(prunella_strategy = %strategy, "{text}");
        } else {
            tracing::info!(prunella_strategy = %strategy, "{text}");
        }
    }
}

/// What is otherwise than before, in words.
fn differences(before: &StrategySet, now: &StrategySet, config: &Config) -> Vec<Told> {
    let (was, is) = (before.in_force(), now.in_force());
    let mut told = Vec::new();
    for (name, strategy) in &is {
        if strategy.trust.is_some() && was.get(name) != Some(strategy) {
            told.push(Told {
                strategy: name.clone(),
                error: false,
                text: format!("plugin {name} is in service: {}", described(strategy)),
            });
        }
    }
    let known: BTreeSet<(&StrategyName, String)> = before
        .refused()
        .iter()
        .map(|refused| (&refused.name, why(refused)))
        .collect();
    for refused in now.refused() {
        let why = why(refused);
        if known.contains(&(&refused.name, why.clone())) {
            continue;
        }
        let awaits = matches!(
            refused.why,
            RefusedBecause::NoRight(_) | RefusedBecause::Load(LoadError::NotGranted { .. })
        );
        told.push(Told {
            strategy: refused.name.clone(),
            error: !awaits,
            text: format!(
                "plugin {} {}: {why}",
                refused.name,
                if awaits {
                    "awaits a grant"
                } else {
                    "is not taken into service"
                }
            ),
        });
    }
    for name in was.keys().filter(|name| !is.contains_key(*name)) {
        let asking: Vec<&str> = config
            .services
            .values()
            .filter(|service| service.strategies.contains(name))
            .map(|service| service.unit.as_str())
            .collect();
        let asking = if asking.is_empty() {
            String::new()
        } else {
            format!("; it is still named for {}", asking.join(", "))
        };
        told.push(Told {
            strategy: name.clone(),
            error: false,
            text: format!("plugin {name} is out of service: its file is gone{asking}"),
        });
    }
    told
}

/// Why one is refused, and what that means.
pub(crate) fn why(refused: &Refused) -> String {
    let stays = if refused.kept {
        " The one before stays in service until the configuration is read again."
    } else {
        ""
    };
    let why = refused.why.to_string();
    let stop = if stays.is_empty() || why.ends_with('.') {
        ""
    } else {
        "."
    };
    format!("{why}{stop}{stays}")
}

fn described(strategy: &InForce) -> String {
    let mut text = strategy
        .version
        .as_ref()
        .map(|version| format!("version {}, ", prunella_core::text::one_line(version, 40)))
        .unwrap_or_default();
    if let Some(trust) = &strategy.trust {
        match (trust.signature.good(), &trust.right) {
            (Some(signed), _) => text.push_str(&format!("signed by `{}`, ", signed.key)),
            (None, Ok(_)) => text.push_str("not signed, "),
            (None, Err(_)) => text.push_str("not signed, so it may only observe, "),
        }
    }
    text.push_str(&format!("sha256 {}", strategy.sha256));
    text
}
