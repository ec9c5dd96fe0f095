//! `cargo xtask bench faults`: the open fault benchmark. What is made, and how it
//! is judged, is in `tests/faults`; here is who runs when.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use prunella_faults::{
    catalogue::{self, Class, Fault},
    healers::{self, Healer, Programs},
    judge::Verdict,
    report::{self, Results},
    run,
};
use prunella_machine::{Linking, Profile, program};

use crate::step::workspace;

/// `cargo xtask bench faults`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Each fault once, several machines side by side: what is right, not how fast
    #[arg(long)]
    quick: bool,

    /// Print the catalogue, a fault a line, and do nothing
    #[arg(long)]
    list: bool,

    /// Only these faults
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fault: Vec<String>,

    /// Only these healers: none, systemd, monit, shell, prunella-hook, prunella
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    healer: Vec<String>,

    /// How often each fault is made: 3, or 1 with --quick
    #[arg(long, value_name = "N")]
    repeat: Option<u32>,

    /// So many machines side by side, where nothing is timed
    #[arg(long, value_name = "N", default_value_t = 8)]
    jobs: usize,

    /// Print the end of each machine's journal, too
    #[arg(long)]
    journal: bool,

    /// Write everything as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write docs/faults-results.md, docs/faults.json and docs/images/faults.svg
    #[arg(long)]
    publish: bool,

    /// Make nothing: put together what --json wrote in earlier goes
    #[arg(
        long,
        value_name = "FILE",
        value_delimiter = ',',
        conflicts_with_all = ["quick", "repeat", "journal"]
    )]
    from: Vec<PathBuf>,
}

/// One run to be made.
#[derive(Clone, Copy)]
struct Job<'a> {
    fault: &'a Fault,
    healer: &'a dyn Healer,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let all = catalogue::load()?;
    if options.list {
        print!("{}", report::list(&all));
        return Ok(());
    }
    let faults = chosen(&all, &options.fault, |fault| &fault.name, "fault")?;
    let every = healers::all();
    let healers: Vec<&dyn Healer> = chosen(&every, &options.healer, |h| h.name(), "healer")?
        .into_iter()
        .copied()
        .collect();
    if !options.from.is_empty() {
        let files = options
            .from
            .iter()
            .map(|path| {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                Ok((path.display().to_string(), text))
            })
            .collect::<Result<Vec<_>>>()?;
        return tell(&report::saved(faults, healers, &files)?, options);
    }
    super::set_up()?;
    let profile = if options.quick {
        Profile::Dev
    } else {
        Profile::Release
    };
    eprintln!("\n==> building what runs in the machines (linked statically)");
    let programs = Programs {
        prunella: program("prunella", "prunella", profile, Linking::Static)?,
        // The same for everybody.
        victim: program("prunella-machine", "victim", Profile::Dev, Linking::Static)?,
        witness: program("prunella-faults", "witness", Profile::Dev, Linking::Static)?,
    };

    let repeat = options.repeat.unwrap_or(if options.quick { 1 } else { 3 });
    let all = || -> Vec<Job<'_>> {
        faults
            .iter()
            .flat_map(|fault| {
                healers.iter().map(move |healer| Job {
                    fault,
                    healer: *healer,
                })
            })
            .collect()
    };
    let begun = Instant::now();
    let bench = Bench {
        programs: &programs,
        journal: options.journal,
        quick: options.quick,
        done: AtomicUsize::new(0),
        came: Mutex::default(),
    };
    let jobs = options.jobs.max(1);
    let so_far = || -> Result<Results<'_>> {
        let (verdicts, errors) = bench.came();
        Ok(Results {
            faults: faults.clone(),
            healers: healers.clone(),
            verdicts,
            errors,
            timed: !options.quick,
            host: super::host()?,
        })
    };
    if options.quick {
        for _ in 0..repeat {
            bench.work_off(all(), jobs);
        }
    } else {
        // Once side by side, to see what heals; that is then timed.
        bench.work_off(all(), jobs);
        let timed = bench.take_healed();
        let (healed, others): (Vec<_>, Vec<_>) = all()
            .into_iter()
            .partition(|job| timed.contains(&job.names()));
        for round in 0..repeat {
            if round > 0 {
                bench.work_off(others.clone(), jobs);
            }
            bench.work_off(healed.clone(), 1);
            // A round takes long: whoever stops the next one keeps it.
            if let Some(path) = &options.json {
                write_json(path, &so_far()?)?;
            }
        }
    }
    let results = so_far()?;
    eprintln!(
        "\n{} runs in {:.0} s",
        bench.done.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f32()
    );
    tell(&results, options)
}

/// Shows what it came to, and writes it where it is wanted.
fn tell(results: &Results<'_>, options: &Options) -> Result<()> {
    println!("\n{}\n", results.host);
    print!("{}", report::table(results));
    if let Some(path) = &options.json {
        write_json(path, results)?;
    }
    if options.publish {
        let docs = workspace().join("docs");
        write_json(&docs.join("faults.json"), results)?;
        write(&docs.join("faults-results.md"), &report::markdown(results))?;
        report::chart(results, &docs.join("images/faults.svg"))?;
    }
    if !results.errors.is_empty() {
        bail!("{} runs could not be carried out", results.errors.len());
    }
    Ok(())
}

fn write_json(path: &Path, results: &Results<'_>) -> Result<()> {
    write(path, &format!("{:#}\n", report::json(results)))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Those of `all` that have one of these names; all where none is given.
fn chosen<'a, T>(
    all: &'a [T],
    names: &[String],
    name: impl Fn(&T) -> &str,
    what: &str,
) -> Result<Vec<&'a T>> {
    for wanted in names {
        ensure!(
            all.iter().any(|one| name(one) == wanted),
            "there is no {what} `{wanted}`: {}",
            all.iter().map(&name).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(all
        .iter()
        .filter(|one| names.is_empty() || names.iter().any(|wanted| name(one) == wanted))
        .collect())
}

impl Job<'_> {
    fn names(&self) -> (String, String) {
        (self.fault.name.clone(), self.healer.name().to_owned())
    }
}

type Came = (Vec<Verdict>, Vec<(String, String, String)>);

struct Bench<'a> {
    programs: &'a Programs,
    journal: bool,
    quick: bool,
    done: AtomicUsize,
    came: Mutex<Came>,
}

impl Bench<'_> {
    /// Takes back the runs in which something was healed: who healed what.
    fn take_healed(&self) -> BTreeSet<(String, String)> {
        let mut all = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        let (healed, others): (Vec<_>, Vec<_>) = std::mem::take(&mut all.0)
            .into_iter()
            .partition(|verdict| verdict.answered_after_ms.is_some());
        all.0 = others;
        healed
            .into_iter()
            .map(|verdict| (verdict.fault, verdict.healer))
            .collect()
    }

    /// What came so far.
    fn came(&self) -> Came {
        let all = self.came.lock();
        all.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Works off jobs with so many machines side by side.
    fn work_off(&self, jobs: Vec<Job<'_>>, side_by_side: usize) {
        eprintln!(
            "\n==> {} runs, {side_by_side} machines side by side",
            jobs.len()
        );
        let queue = Mutex::new(jobs.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        thread::scope(|scope| {
            for _ in 0..side_by_side {
                scope.spawn(|| {
                    while let Some(job) = next() {
                        self.one(&job);
                    }
                });
            }
        });
    }

    fn one(&self, job: &Job<'_>) {
        let (fault, healer) = (&job.fault.name, job.healer.name());
        // What nobody is expected to heal takes long to be given up.
        let waits = !(self.quick && job.fault.not_yet());
        let came = run::run(job.fault, job.healer, self.programs, waits);
        let number = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut all = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        match came {
            Ok(run) => {
                if self.journal {
                    eprint!("\n{}", run.journal);
                }
                eprintln!("{number:>4} {}", line(&run.verdict));
                all.0.push(run.verdict);
            }
            Err(error) => {
                eprintln!("{number:>4} {fault} with {healer}: ERROR: {error:#}");
                // Without the journal, which has just been shown.
                let why: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
                all.1
                    .push((fault.clone(), healer.to_owned(), why.join(": ")));
            }
        }
    }
}

fn line(verdict: &Verdict) -> String {
    let came = match (verdict.class, verdict.right) {
        (Class::MustHeal, true) => format!(
            "healed after {:.0} ms",
            verdict.answered_after_ms.unwrap_or_default()
        ),
        (Class::MustHeal, false) => format!("NOT healed ({})", verdict.unanswered.join("; ")),
        (Class::MustNotTouch, true) => "left alone".to_owned(),
        (Class::MustNotTouch, false) => "NOT left alone".to_owned(),
        (Class::MustTell, true) => format!(
            "told after {:.1} s",
            verdict.told_after_ms.unwrap_or_default() / 1e3
        ),
        (Class::MustTell, false) => format!("NOT told ({})", verdict.alerts.join("; ")),
        (Class::MustNotTell, true) => "rightly quiet".to_owned(),
        (Class::MustNotTell, false) => format!("wrongly told ({})", verdict.alerts.join("; ")),
    };
    let mut line = format!("{} with {}: {came}", verdict.fault, verdict.healer);
    if verdict.not_yet {
        line += " [not yet]";
    }
    for wrong in &verdict.wrong {
        line += &format!("; WRONG: {wrong}");
    }
    if verdict.silent {
        line += "; SILENT";
    }
    line + &format!(
        "; {} alerts, {:.0} ms CPU, {:.1} s in all",
        verdict.alerts.len(),
        verdict.cpu_ms,
        verdict.took_ms / 1e3
    )
}
