//! The daemon: watches the services in its care, and heals them.
//!
//! One loop takes everything that happens from one queue: what systemd's
//! signals told, and what people asked for by signal or socket. It never does
//! anything slow itself: incidents have threads of their own.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use prunella_api::{Door, News, ServeSettings, serve};
use prunella_core::{
    UnitName,
    health::{Health, HealthState},
    service::RunPolicy,
};
use prunella_healer::{LeaseKeeper, ReleaseKeeper, Scheduler};
use prunella_linux::folder_watch::FolderWatch;
use prunella_watch::{Ask, Care, Prober, Tell, WatchEvent, Watcher};
use sd_notify::NotifyState;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    DaemonError, Paths,
    assembly::Assembly,
    clock,
    configuration::{UsableConfig, load_usable, lost_services, not_healed},
    detection::{degraded, down_in_care},
    explained,
    gate::DaemonGate,
    handler::{DaemonOrders, queries},
    health::{HealthBook, HealthNews},
    host_check, kill_switch,
    loading::Wanted,
    memory::MemoryTrimmer,
    notifier,
    probes::{self, Questions},
    reload::{Answered, Reloader},
    retention::Tidier,
    sampler::Sampler,
    shared::{Daemon, Event, Watchers},
};

/// How long running attempts may take to end when the daemon is told to stop.
/// What is left is taken up at the next start.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
pub fn run(paths: &Paths) -> Result<(), DaemonError> {
    let usable = load_usable(paths);
    usable.keep_main_file(paths);
    let UsableConfig {
        config, problems, ..
    } = usable;
    let watchers = Arc::new(Watchers::default());
    // Before they are read, so that no change is missed.
    let plugins = FolderWatch::new(&paths.plugins());
    let assembly = Assembly::new(paths, config, &Wanted::All, Arc::clone(&watchers) as _)?;
    let notifier = notifier::of(paths, &assembly).map(Arc::new);
    if let Some(notifier) = &notifier
        && watchers.notifier.set(Arc::clone(notifier)).is_err()
    {
        tracing::debug!("the notifier was there before");
    }
    let traces = notifier::traces(&assembly).map(Arc::new);
    if let Some(traces) = &traces
        && watchers.traces.set(Arc::clone(traces)).is_err()
    {
        tracing::debug!("what sends traces was there before");
    }
    let health = HealthBook::start(
        &assembly.linux,
        assembly.store.as_ref(),
        &assembly.healer.config(),
    )?;
    if watchers.health.set(Arc::clone(&health)).is_err() {
        tracing::debug!("what is known of health was there before");
    }
    health.learn_from(paths.metrics());
    let sampler = Sampler::start(
        &assembly.linux,
        &health,
        paths.metrics(),
        &assembly.healer.config(),
    )?;
    assembly.measures.begin(&health, &sampler);
    let scheduler = Arc::new(Scheduler::start(Arc::clone(&assembly.healer))?);
    let (events, queue) = mpsc::channel();
    let daemon = Arc::new(Daemon {
        paths: paths.clone(),
        assembly,
        scheduler,
        watchers,
        health,
        sampler,
        notifier,
        since: clock::now(),
        config_problems: Mutex::new(problems),
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
        .map_err(DaemonError::file("watch", paths.plugins()))
        .and_then(|watch| reloader.follow(watch))
    {
        tracing::warn!(
            "changes in {} are noticed only at a reload: {}",
            paths.plugins().display(),
            explained(&error)
        );
    }

    signals(events.clone())?;
    let server = serve(ServeSettings::new(&paths.run), door(&daemon))?;
    // What an earlier daemon or hook left behind comes before what fails now:
    // its incidents are the ones that later signals belong to.
    let taken = daemon.scheduler.take_up();
    if let Err(error) = taken.and_then(|_| daemon.scheduler.take_over_retries()) {
        tracing::error!("what was left unfinished cannot be taken up: {error}");
    }
    // Trouble with telling people is no reason not to heal.
    if let Some(notifier) = &daemon.notifier
        && let Err(error) = notifier.start()
    {
        tracing::error!("nobody but the journal is told: {error}");
    }
    // What ended before this daemon began.
    if let Some(traces) = &traces {
        traces.wake();
    }
    daemon.tell_config_problems();
    let news = events.clone();
    daemon.health.when_there_is_news(move |of| {
        if news.send(Event::Health(of)).is_err() {
            tracing::debug!("the daemon is stopping: nothing begins any more");
        }
    });
    let needing = events.clone();
    daemon.scheduler.when_units_are_needed(move || {
        if needing.send(Event::UnitsNeeded).is_err() {
            tracing::debug!("the daemon is stopping: nothing is waited for any more");
        }
    });
    let watcher = Watcher::start(
        Arc::clone(&daemon.assembly.linux),
        care(&daemon),
        move |event| events.send(Event::Watch(event)).is_ok(),
    );
    // What ended by itself before that, no signal tells of.
    sweep(&daemon);
    let mut prober = probe(&daemon)?;
    notify(&[NotifyState::Ready]);
    tracing::info!(
        "watching {} services",
        daemon.assembly.healer.config().services.len()
    );

    kill_switch::follow(&daemon);
    let leases = LeaseKeeper::start(&daemon.assembly.healer)?;
    let releases = ReleaseKeeper::start(&daemon.assembly.healer)?;
    check_host(&daemon);
    let tidier = Tidier::default();
    let tidy = || {
        if let Some(store) = &daemon.assembly.store {
            tidier.tidy(store, daemon.assembly.healer.config().retention);
        }
    };
    tidy();

    let mut memory = MemoryTrimmer::new();
    let ping = watchdog();
    let mut next_ping = ping.map(|every| Instant::now() + every);
    loop {
        let event = match next_ping {
            Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Watch(event)) => watched(&daemon, event),
            Ok(Event::NotAnswering(unanswered)) => {
                if let Some(detection) = probes::not_answering(&daemon.assembly, &unanswered) {
                    daemon.open(detection);
                }
            }
            Ok(Event::Health(news)) => heed(&daemon, news),
            Ok(Event::Reload(asked)) => {
                notify(&[NotifyState::Reloading]);
                reloader.everything(asked);
            }
            Ok(Event::Reloaded(result, asked)) => {
                let is_new = result.is_ok();
                // Whoever waits for the reload may connect as soon as it is answered.
                server.settle_web_group();
                reloaded(&daemon, &watcher, result, asked);
                if is_new {
                    check_host(&daemon);
                }
                daemon.tell();
                match probe(&daemon) {
                    Ok(new) => prober = new,
                    Err(error) => {
                        tracing::error!("the probes of before are asked: {}", explained(&error))
                    }
                }
            }
            Ok(Event::LookAgain) => {
                daemon.scheduler.look_again();
                daemon.health.pauses_changed();
            }
            Ok(Event::UnitsNeeded) => watcher.set(care(&daemon)),
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
    drop((watcher, prober, leases, releases));
    server.stop(Duration::from_secs(1));
    daemon.scheduler.stop(STOP_GRACE);
    daemon.sampler.stop();
    daemon.health.stop(Duration::from_secs(1));
    if let Some(notifier) = &daemon.notifier {
        notifier.stop(STOP_GRACE);
    }
    if let Some(traces) = &traces {
        traces.stop();
    }
    Ok(())
}

/// Who answers on the sockets.
fn door(daemon: &Arc<Daemon>) -> Door {
    let store = daemon.assembly.store.clone();
    let news = News::default();
    if let Some(store) = &store {
        let news = news.clone();
        store.when_written(move || news.tell());
    }
    let gate = Arc::new(DaemonGate::new(store));
    Door {
        queries: Arc::new(queries(daemon)),
        orders: Arc::new(DaemonOrders::new(Arc::clone(daemon), Arc::clone(&gate))),
        gate,
        news,
    }
}

/// Logs what of the configuration does not fit this host. Apart: nobody waits for it.
fn check_host(daemon: &Arc<Daemon>) {
    if !host_check::is_of_this_host(&daemon.paths) {
        return;
    }
    let daemon = Arc::clone(daemon);
    let checking = thread::Builder::new()
        .name("host-check".to_owned())
        .spawn(move || {
            let Assembly { linux, healer, .. } = &daemon.assembly;
            healer.look_at_ports();
            for found in host_check::warnings(&daemon.paths, &healer.config(), Some(linux)) {
                tracing::warn!("{}", found.short());
            }
        });
    if let Err(error) = checking {
        tracing::debug!("the configuration is not compared with the host: {error}");
    }
}

/// Opens incidents for units in care that are down already and should not be.
fn sweep(daemon: &Daemon) {
    match down_in_care(&daemon.assembly) {
        Ok(failed) => {
            for detection in failed {
                daemon.open(detection);
            }
        }
        Err(failure) => tracing::error!("the failed units cannot be listed: {failure}"),
    }
}

/// What follows from what was measured.
fn heed(daemon: &Daemon, news: HealthNews) {
    match news {
        HealthNews::Degraded(unit) => {
            let health = daemon.health.of(&unit);
            if let Some(detection) =
                health.and_then(|health| degraded(&daemon.assembly, &unit, &health))
            {
                daemon.open(detection);
            }
        }
        HealthNews::Changed(unit) => {
            daemon.scheduler.health_changed(&unit);
            keep_contents(daemon, unit);
        }
        HealthNews::Host(symptoms, services) => {
            if let Some(notifier) = &daemon.notifier {
                notifier::host_health(notifier, &symptoms, &services);
            }
        }
        HealthNews::Ahead(forecasts) => {
            if let Some(notifier) = &daemon.notifier {
                notifier::forecasts(notifier, &forecasts);
            }
        }
    }
}

/// Keeps copies of the files of a service that has turned out to be well.
fn keep_contents(daemon: &Daemon, unit: UnitName) {
    let is_well = |health: Health| health.state == HealthState::Healthy;
    let healer = Arc::clone(&daemon.assembly.healer);
    if !healer.keeps_contents(&unit) || !daemon.health.of(&unit).is_some_and(is_well) {
        return;
    }
    // Nothing waits for it.
    let kept = thread::Builder::new()
        .name("contents".to_owned())
        .spawn(move || healer.keep_contents(&unit));
    if let Err(error) = kept {
        tracing::warn!("no copies of files are kept: {error}");
    }
}

/// Begins to ask the probes that have an interval, or were never answered.
fn probe(daemon: &Arc<Daemon>) -> Result<Prober, DaemonError> {
    let targets = probes::targets(&daemon.assembly.healer);
    let questions = Questions::new(&daemon.assembly, &daemon.scheduler, Some(&daemon.health));
    let asking = Arc::clone(daemon);
    let ask: Arc<Ask> = Arc::new(move |unit, probe| {
        let (questions, daemon) = (Arc::clone(&questions), Arc::clone(&asking));
        Box::pin(async move {
            let (asked, heard) = questions.ask(&unit, &probe).await;
            daemon.health.probed(&unit, &probe, heard);
            asked
        })
    });
    let telling = Arc::clone(daemon);
    let tell: Arc<Tell> = Arc::new(move |unanswered| telling.send(Event::NotAnswering(unanswered)));
    Prober::start(targets, &ask, &tell).map_err(DaemonError::thread("asks the probes"))
}

fn watched(daemon: &Daemon, event: WatchEvent) {
    match event {
        WatchEvent::Failed(detection, status) => daemon.open_seen(detection, status),
        WatchEvent::Restarted(detection) | WatchEvent::RestartLoop(detection) => {
            daemon.open(detection);
        }
        WatchEvent::StartedByOperator { unit, began } => {
            daemon.scheduler.started_by_operator(&unit, began);
            daemon.tell();
        }
        WatchEvent::Recovered { unit } => {
            daemon.scheduler.recovered(&unit);
            daemon.tell();
        }
        WatchEvent::Stopped { unit } => {
            daemon.scheduler.stopped(&unit);
            daemon.health.stopped(&unit);
        }
        WatchEvent::StopOrdered { unit } => daemon.scheduler.stop_ordered(&unit),
        WatchEvent::Changed { unit } => {
            daemon.settle_health();
            daemon.health.changed(unit);
        }
        WatchEvent::BusLost => {
            daemon.health.bus_lost();
            tracing::warn!("the system bus is gone; failures are noticed when it is back");
        }
        WatchEvent::BusBack => tracing::info!("the system bus is back"),
        WatchEvent::Resync => {
            sweep(daemon);
            daemon.health.look_at_unseen();
        }
    }
}

/// What the watcher looks after: the services of the configuration in force, and what
/// else incidents wait for.
fn care(daemon: &Daemon) -> Vec<Care> {
    let config = daemon.assembly.healer.config();
    let services = config.services.values().map(|service| Care {
        unit: service.unit.clone(),
        heal_on_stop: service.heal_on_stop,
        run_policy: service.run_policy,
        only_up: false,
    });
    let needed = daemon.scheduler.needed_units().into_iter();
    let out_of_care = needed.filter(|unit| !config.services.contains_key(unit));
    services
        .chain(out_of_care.map(|unit| Care {
            unit,
            heal_on_stop: false,
            run_policy: RunPolicy::default(),
            only_up: true,
        }))
        .collect()
}

fn reloaded(daemon: &Daemon, watcher: &Watcher, result: Answered, asked: Option<Sender<Answered>>) {
    match &result {
        Ok(now) => {
            let config = daemon.assembly.healer.config();
            let lost = lost_services(&daemon.paths, &config);
            daemon.set_config_problems(lost.into_iter().collect());
            daemon.tell_config_problems();
            watcher.set(care(daemon));
            daemon.health.declare(&config);
            daemon.sampler.declare(&config);
            daemon.scheduler.look_again();
            tracing::info!(
                "configuration read again: {} services in care, {} strategies in force",
                now.services,
                now.strategies
            );
        }
        Err(error) => {
            let mut problems = vec![format!(
                "the configuration on the disk has {}, so the one before it stays in force: \
                 `prunella config check` shows what is wrong",
                match error.mistakes.len() {
                    1 => "a mistake".to_owned(),
                    number => format!("{number} mistakes"),
                }
            )];
            problems.extend(not_healed(&daemon.assembly.healer.config()));
            daemon.set_config_problems(problems);
            tracing::error!("{error}\n\nthe last good configuration stays in force");
        }
    }
    notify(&[NotifyState::Ready]);
    if let Some(asked) = asked
        && asked.send(result).is_err()
    {
        tracing::debug!("whoever asked for the reload is gone");
    }
}

/// Turns signals into events.
fn signals(events: Sender<Event>) -> Result<(), DaemonError> {
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT]).map_err(DaemonError::Signals)?;
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
        .map_err(DaemonError::thread("waits for signals"))
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
