//! `prunella daemon`: watches the services in its care, and heals them.
//!
//! One loop takes everything that happens from one queue: what systemd's
//! signals told, and what people asked for by signal or socket. It never does
//! anything slow itself: incidents have threads of their own.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use prunella_api::{Lines, ServeSettings, serve};
use prunella_core::{
    UnitName,
    capability::UnitStatus,
    config::Config,
    incident::{Detection, Incident},
    trail::{Entry, Step},
};
use prunella_healer::{Observer, Opening, Scheduler};
use prunella_linux::folder_watch::FolderWatch;
use prunella_notify::Desk;
use prunella_watch::{Care, ProbeTarget, Prober, Unanswered, WatchEvent, Watcher};
use sd_notify::NotifyState;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    args::DaemonArgs,
    assembly::{Assembly, load_config},
    desk,
    detect::failed_in_care,
    exit::Exit,
    handler::DaemonHandler,
    loading::Wanted,
    memory::Memory,
    paths::Paths,
    probes,
    reload::{Reloaded, Reloader},
    tidy::Tidier,
};

/// How long running attempts may take to end when the daemon is told to stop.
/// What is left is taken up at the next start.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What the loop is woken by.
pub(crate) enum Event {
    /// systemd told something.
    Watch(WatchEvent),
    /// A probe with an interval goes unanswered.
    NotAnswering(Unanswered),
    /// The configuration is to be read again; the answer goes to whoever asked.
    Reload(Option<Sender<Reloaded>>),
    /// It was read again.
    Reloaded(Reloaded, Option<Sender<Reloaded>>),
    /// A pause began or ended.
    LookAgain,
    /// The daemon is to stop.
    Stop,
}

/// What loop, handler and watcher share.
pub(crate) struct Daemon {
    pub(crate) paths: Paths,
    pub(crate) assembly: Assembly,
    pub(crate) scheduler: Scheduler,
    pub(crate) watchers: Arc<Watchers>,
    /// Where people are told; absent without a store.
    desk: Option<Arc<Desk>>,
    pub(crate) since: u64,
    events: Mutex<Sender<Event>>,
}

impl Daemon {
    /// Puts an event into the loop's queue.
    pub(crate) fn send(&self, event: Event) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.send(event).is_err() {
            tracing::debug!("the daemon is stopping: an event came too late");
        }
    }

    /// There may be something to tell people.
    pub(crate) fn tell(&self) {
        if let Some(desk) = &self.desk {
            desk.wake();
        }
    }

    /// Opens an incident; trouble with that is logged.
    pub(crate) fn open(&self, detection: Detection) -> Option<Opening> {
        let unit = detection.unit.clone();
        match self.scheduler.open(detection) {
            Ok(opening) => Some(opening),
            Err(error) => {
                tracing::error!("the failure of {unit} could not be taken up: {error}");
                None
            }
        }
    }

    /// Opens an incident for a failure that the watcher has just seen.
    fn open_seen(&self, detection: Detection, status: Box<UnitStatus>) {
        let unit = detection.unit.clone();
        if let Err(error) = self.scheduler.open_seen(detection, status) {
            tracing::error!("the failure of {unit} could not be taken up: {error}");
        }
    }

    /// Opens incidents for units in care that are failed already.
    fn sweep(&self) {
        match failed_in_care(&self.assembly) {
            Ok(failed) => {
                for detection in failed {
                    self.open(detection);
                }
            }
            Err(failure) => tracing::error!("the failed units cannot be listed: {failure}"),
        }
    }

    /// Begins to ask the probes that have an interval.
    fn probe(self: &Arc<Self>) -> Prober {
        let config = self.assembly.healer.config();
        let targets = config.services.values().flat_map(ProbeTarget::of).collect();
        let asking = Arc::clone(self);
        let telling = Arc::clone(self);
        Prober::start(
            &self.assembly.linux,
            targets,
            Arc::new(move |unit, probe| {
                probes::ask(&asking.assembly, &asking.scheduler, unit, probe)
            }),
            Arc::new(move |unanswered| telling.send(Event::NotAnswering(unanswered))),
        )
    }

    fn watched(&self, event: WatchEvent) {
        match event {
            WatchEvent::Failed(detection, status) => self.open_seen(detection, status),
            WatchEvent::RestartLoop(detection) => {
                self.open(detection);
            }
            WatchEvent::StartedByOperator { unit } => {
                self.scheduler.started_by_operator(&unit);
                self.tell();
            }
            WatchEvent::Recovered { unit } => {
                self.scheduler.recovered(&unit);
                self.tell();
            }
            WatchEvent::BusLost => {
                tracing::warn!("the system bus is gone; failures are noticed when it is back");
            }
            WatchEvent::BusBack => tracing::info!("the system bus is back"),
            WatchEvent::Resync => self.sweep(),
        }
    }
}

/// What the watcher looks after: the services of the configuration in force.
fn care(config: &Config) -> Vec<Care> {
    config
        .services
        .values()
        .map(|service| Care {
            unit: service.unit.clone(),
            heal_on_stop: service.heal_on_stop,
        })
        .collect()
}

/// Whoever watches incidents go: connected clients, by unit.
#[derive(Default)]
pub(crate) struct Watchers {
    lines: Mutex<Vec<(UnitName, Lines)>>,
    /// Whether an incident has ended since somebody asked.
    ended: AtomicBool,
    /// Set once it is there.
    desk: OnceLock<Arc<Desk>>,
}

impl Watchers {
    /// Sends the steps of `unit`'s incident to `lines` until
    /// [`remove`](Self::remove).
    pub(crate) fn add(&self, unit: UnitName, lines: Lines) {
        self.lock().push((unit, lines));
    }

    /// Sends nothing of `unit` any more.
    pub(crate) fn remove(&self, unit: &UnitName) {
        self.lock().retain(|(watched, _)| watched != unit);
    }

    /// Whether an incident has ended since this was asked last.
    fn take_ended(&self) -> bool {
        self.ended.swap(false, Ordering::AcqRel)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(UnitName, Lines)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watchers {
    fn step(&self, incident: &Incident, entry: &Entry) {
        if matches!(entry.step, Step::Ended { .. }) {
            self.ended.store(true, Ordering::Release);
        }
        // Sending may block for a slow client: not with the list locked.
        let watching: Vec<Lines> = self
            .lock()
            .iter()
            .filter(|(unit, _)| *unit == incident.detection.unit)
            .map(|(_, lines)| lines.clone())
            .collect();
        for lines in watching {
            lines.send(entry);
        }
        if let (Step::Ended { .. }, Some(desk)) = (&entry.step, self.desk.get()) {
            desk.wake();
        }
    }
}

pub(crate) fn run(paths: &Paths, _args: &DaemonArgs) -> anyhow::Result<Exit> {
    let config = load_config(paths)?;
    let watchers = Arc::new(Watchers::default());
    // Before they are read, so that no change is missed.
    let plugins = FolderWatch::new(&paths.plugins());
    let assembly = Assembly::new(paths, config, &Wanted::All, Arc::clone(&watchers) as _)?;
    let desk = desk::of(paths, &assembly).map(Arc::new);
    if let Some(desk) = &desk
        && watchers.desk.set(Arc::clone(desk)).is_err()
    {
        tracing::debug!("the desk was there before");
    }
    let scheduler = Scheduler::start(Arc::clone(&assembly.healer))?;
    let (events, queue) = mpsc::channel();
    let daemon = Arc::new(Daemon {
        paths: paths.clone(),
        assembly,
        scheduler,
        watchers,
        desk,
        since: crate::time::now(),
        events: Mutex::new(events.clone()),
    });

    let finished = Arc::clone(&daemon);
    let reloader = Reloader::start(
        paths,
        &daemon.assembly.engine,
        &daemon.assembly.healer,
        move |result, asked| finished.send(Event::Reloaded(result, asked)),
    )?;
    // Healing does not depend on it.
    if let Err(error) = plugins
        .map_err(anyhow::Error::from)
        .and_then(|watch| reloader.follow(watch))
    {
        tracing::warn!(
            "changes in {} are noticed only at a reload: {error:#}",
            paths.plugins().display()
        );
    }

    signals(events.clone())?;
    let server = serve(
        ServeSettings::new(&paths.run),
        Arc::new(DaemonHandler::new(Arc::clone(&daemon))),
    )
    .context("cannot open the daemon's sockets")?;
    // What an earlier daemon or hook left behind comes before what fails now:
    // its incidents are the ones that later signals belong to.
    if let Err(error) = daemon.scheduler.take_up() {
        tracing::error!("what was left unfinished cannot be taken up: {error}");
    }
    // Trouble with telling people is no reason not to heal.
    if let Some(desk) = &daemon.desk
        && let Err(error) = desk.start()
    {
        tracing::error!("nobody but the journal is told: {error}");
    }
    let watcher = Watcher::start(
        Arc::clone(&daemon.assembly.linux),
        care(&daemon.assembly.healer.config()),
        move |event| events.send(Event::Watch(event)).is_ok(),
    );
    let mut prober = daemon.probe();
    notify(&[NotifyState::Ready]);
    tracing::info!(
        "watching {} services",
        daemon.assembly.healer.config().services.len()
    );

    let tidier = Tidier::default();
    let tidy = || {
        if let Some(store) = &daemon.assembly.store {
            tidier.tidy(store, daemon.assembly.healer.config().retention);
        }
    };
    tidy();

    let mut memory = Memory::new();
    let ping = watchdog();
    let mut next_ping = ping.map(|every| Instant::now() + every);
    loop {
        let event = match next_ping {
            Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Watch(event)) => daemon.watched(event),
            Ok(Event::NotAnswering(unanswered)) => {
                if let Some(detection) = probes::not_answering(&daemon.assembly, &unanswered) {
                    daemon.open(detection);
                }
            }
            Ok(Event::Reload(asked)) => {
                notify(&[NotifyState::Reloading]);
                reloader.everything(asked);
            }
            Ok(Event::Reloaded(result, asked)) => {
                reloaded(&daemon, &watcher, result, asked);
                daemon.tell();
                prober = daemon.probe();
            }
            Ok(Event::LookAgain) => daemon.scheduler.look_again(),
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        // Only when it is awake anyway, and something has come to an end.
        if daemon.watchers.take_ended() {
            tidy();
        }
        if let (Some(at), Some(every)) = (next_ping, ping)
            && Instant::now() >= at
        {
            // Not a sign of life of this loop alone: a scheduler that is stuck
            // keeps this call, and so the watchdog bites.
            let busy = daemon.scheduler.busy();
            notify(&[NotifyState::Watchdog]);
            if busy.is_empty() {
                memory.tidy();
            }
            next_ping = Some(Instant::now() + every);
        }
    }
    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    drop((watcher, prober));
    server.stop(Duration::from_secs(1));
    daemon.scheduler.stop(STOP_GRACE);
    if let Some(desk) = &daemon.desk {
        desk.stop(STOP_GRACE);
    }
    Ok(Exit::Ok)
}

fn reloaded(daemon: &Daemon, watcher: &Watcher, result: Reloaded, asked: Option<Sender<Reloaded>>) {
    match &result {
        Ok(notes) => {
            watcher.set(care(&daemon.assembly.healer.config()));
            daemon.scheduler.look_again();
            tracing::info!("configuration read again: {}", notes.join("; "));
        }
        Err(error) => tracing::error!("{error}\n\nthe last good configuration stays in force"),
    }
    notify(&[NotifyState::Ready]);
    if let Some(asked) = asked
        && asked.send(result).is_err()
    {
        tracing::debug!("whoever asked for the reload is gone");
    }
}

/// Turns signals into events.
fn signals(events: Sender<Event>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT]).context("cannot catch signals")?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .stack_size(128 << 10)
        .spawn(move || {
            for signal in signals.forever() {
                let event = match signal {
                    SIGHUP => Event::Reload(None),
                    _ => Event::Stop,
                };
                if events.send(event).is_err() {
                    break;
                }
            }
        })
        .map(drop)
        .context("cannot start the thread for signals")
}

/// How often systemd wants to hear: at half of WatchdogSec=, as sd_notify(3)
/// advises.
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be told: {error}");
    }
}
