//! What a strategy costs: the built-in `service-restart` on the simulated host,
//! from compiling it to a whole run, each limit on, and each as large as it goes.
//!
//! `cargo bench -p prunella-engine` prints a table, and appends a JSON line for
//! each row to the file that `PRUNELLA_BENCH_JSON` names. Without `--bench` (as
//! `cargo test --all-targets` runs it) it is small.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run says so by a panic"
)]

use std::{
    collections::BTreeMap,
    env,
    fs::OpenOptions,
    hint::black_box,
    io::Write,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use prunella_bundle::Builtin;
use prunella_core::{
    StrategyName,
    policy::{Act, Grants, Limits},
};
use prunella_engine::{Engine, EngineSettings, NoLines, RunContext, Strategy, precompile};
use prunella_simulation::Sim;

const STRATEGY: &str = "service-restart";

/// As many threads as run strategies side by side.
const THREADS: [usize; 2] = [1, 4];

fn main() {
    let full = env::args().any(|argument| argument == "--bench");
    let (runs, loads, compilations) = if full { (20_000, 500, 10) } else { (20, 3, 1) };
    let mut table = Table::default();
    from_bytes(&mut table, loads, compilations);

    let strategy = load(&Engine::new(EngineSettings::default()).unwrap());
    let limits = Limits::default();
    for (call, run) in CALLS {
        for threads in THREADS {
            table.add(
                call,
                threads,
                "",
                run_on(threads, runs, &strategy, &limits, run),
            );
        }
    }
    // What each costs is the difference to all of them on: the machinery that
    // counts stays in place, since there is no way to run without it.
    for (name, wide) in each_wide() {
        for (call, run) in CALLS {
            let limit = format!("without {name}");
            table.add(call, 1, &limit, run_on(1, runs, &strategy, &wide, run));
        }
    }
    table.calls(&strategy, &limits);
    table.save();
}

/// One kind of run, and how long it took.
type Run = fn(&Strategy, &Limits) -> Duration;

const CALLS: [(&str, Run); 3] = [
    // The one function that needs no host: instantiating, mostly.
    ("describe", |strategy, limits| {
        let start = Instant::now();
        strategy.describe(limits).result.unwrap().unwrap();
        start.elapsed()
    }),
    ("assess", |strategy, limits| {
        let context = context(limits);
        let start = Instant::now();
        strategy.assess(context).result.unwrap().unwrap();
        start.elapsed()
    }),
    // Starts the unit and waits for it.
    ("heal", |strategy, limits| {
        let context = context(limits);
        let start = Instant::now();
        strategy.heal(context).result.unwrap().unwrap();
        start.elapsed()
    }),
];

/// From its bytes to a strategy that can run.
fn from_bytes(table: &mut Table, loads: usize, compilations: usize) {
    let builtin = builtin();
    table.add(
        "compile, cold",
        1,
        "",
        times(compilations, || {
            drop(black_box(precompile(black_box(builtin.wasm)).unwrap()));
        }),
    );
    table.add(
        "begin an engine",
        1,
        "",
        times(loads, || {
            drop(black_box(Engine::new(EngineSettings::default()).unwrap()));
        }),
    );
    let folder = tempfile::TempDir::new().unwrap();
    let caching = Engine::new(EngineSettings {
        cache_dir: Some(folder.path().to_owned()),
    })
    .unwrap();
    let from_cache = || drop(black_box(load(&caching)));
    from_cache();
    table.add("load from the cache", 1, "", times(loads, from_cache));
}

fn times(times: usize, mut once: impl FnMut()) -> Vec<Duration> {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            once();
            start.elapsed()
        })
        .collect()
}

/// So many runs on each of so many threads at once.
fn run_on(
    threads: usize,
    runs: usize,
    strategy: &Strategy,
    limits: &Limits,
    run: Run,
) -> Vec<Duration> {
    let ready = Barrier::new(threads);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..runs / 10 {
                        run(strategy, limits);
                    }
                    ready.wait();
                    (0..runs)
                        .map(|_| run(strategy, limits))
                        .collect::<Vec<Duration>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Makes a limit as large as it goes.
type Widen = fn(&mut Limits);

/// The limits, each in turn as large as it goes; then all of them.
fn each_wide() -> Vec<(&'static str, Limits)> {
    const HOUR: Duration = Duration::from_secs(3_600);
    let wide: [(&'static str, Widen); 6] = [
        ("deadline", |limits| limits.deadline = HOUR),
        ("cpu", |limits| limits.cpu = HOUR),
        ("memory", |limits| limits.memory = usize::MAX),
        ("host calls", |limits| limits.host_calls = u32::MAX),
        ("data for each call", |limits| {
            limits.data_per_call = usize::MAX;
        }),
        ("handles", |limits| limits.handles = usize::MAX / 4),
    ];
    let mut all = Limits::default();
    let mut each: Vec<_> = wide
        .iter()
        .map(|(name, widen)| {
            widen(&mut all);
            let mut limits = Limits::default();
            widen(&mut limits);
            (*name, limits)
        })
        .collect();
    each.push(("any limit", all));
    each
}

fn builtin() -> &'static Builtin {
    prunella_bundle::builtins()
        .iter()
        .find(|builtin| builtin.name == STRATEGY)
        .unwrap()
}

fn load(engine: &Engine) -> Strategy {
    let builtin = builtin();
    let name = StrategyName::new(builtin.name).unwrap();
    engine
        .load(&name, builtin.wasm, &Grants::on_self(Act::ALL))
        .unwrap()
}

fn context(limits: &Limits) -> RunContext {
    let sim = Sim::new("web.service").failed("exit-code");
    RunContext {
        host: sim.host(),
        incident: sim.incident(),
        service: sim.service(),
        dry_run: false,
        limits: limits.clone(),
        settings: BTreeMap::new(),
        lines: Arc::new(NoLines),
    }
}

/// What was measured.
#[derive(Default)]
struct Table {
    lines: String,
    /// The medians, on one thread and with all limits.
    medians: BTreeMap<String, f64>,
}

impl Table {
    fn add(&mut self, call: &str, threads: usize, limit: &str, mut taken: Vec<Duration>) {
        taken.sort_unstable();
        let at = |percent: usize| taken[(taken.len() - 1) * percent / 100].as_nanos();
        println!(
            "{call:<22} {threads} thread(s) {limit:<26} median {:>9.1} µs  fastest {:>9.1} µs  \
             p95 {:>9.1} µs",
            at(50) as f64 / 1e3,
            at(0) as f64 / 1e3,
            at(95) as f64 / 1e3
        );
        if threads == 1 && limit.is_empty() {
            self.medians.insert(call.to_owned(), at(50) as f64);
        }
        self.lines.push_str(&format!(
            "{{\"bench\": \"engine\", \"call\": \"{call}\", \"threads\": {threads}, \
             \"limit\": \"{limit}\", \"median_ns\": {}, \"fastest_ns\": {}, \"p95_ns\": {}}}\n",
            at(50),
            at(0),
            at(95)
        ));
    }

    /// What one call of the host comes to: what an assessment takes beyond a
    /// description, by its number of calls.
    fn calls(&mut self, strategy: &Strategy, limits: &Limits) {
        let run = strategy.assess(context(limits));
        let calls = run.usage.host_calls;
        run.result.unwrap().unwrap();
        let beyond = self.medians["assess"] - self.medians["describe"];
        let each = beyond / f64::from(calls);
        println!(
            "one host call          {calls} in an assessment   mean   {:>9.3} µs",
            each / 1e3
        );
        self.lines.push_str(&format!(
            "{{\"bench\": \"engine\", \"call\": \"one host call\", \"threads\": 1, \
             \"limit\": \"\", \"median_ns\": {each:.0}}}\n"
        ));
    }

    fn save(&self) {
        if let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.unwrap().write_all(self.lines.as_bytes()).unwrap();
        }
    }
}
