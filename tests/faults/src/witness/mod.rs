//! What runs inside the machine; see `bin/witness.rs`.

mod ask;
mod inject;
mod mail;
mod starts;
mod usage;

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    fs,
    hash::{BuildHasher, Hasher},
    os::fd::OwnedFd,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use prunella_machine::now;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use self::{mail::Mailbox, starts::Starts, usage::Usage};
use crate::{
    catalogue::Clock,
    plan::{Observation, PLAN, Plan, Until},
};

/// How long services may take to answer before the fault.
const WELL_BEFORE: Duration = Duration::from_secs(30);

/// Between two rounds of questions: short beside what is measured, and it leaves
/// the processor to whoever heals.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// The same once it has answered, or when nothing is timed.
const ASK_CALMLY: Duration = Duration::from_millis(25);

/// A healer that has had no process for so long, ...
const AT_REST: Duration = Duration::from_secs(20);

/// ... and has let a minute go by, which is how often timers sweep, and the ten
/// seconds by which they may be late, tells nobody any more.
const A_MINUTE: Duration = Duration::from_secs(75);

/// Before the fault. systemd has just started this program, and the kernel lets
/// whoever moves the next process into a control group within some 30 ms after it do
/// so at once; else that takes it 10 to 20 ms, as it does when a service fails by
/// itself.
const AT_EASE: Duration = Duration::from_millis(200);

/// After that, up to so much later, by chance: healers that ask every second would
/// else be met at the same point of their second each time, since they and this
/// program always start in the same order.
const A_SECOND: Duration = Duration::from_secs(1);

/// Between two looks at whether people were told.
const LOOK_AT_MAIL: Duration = Duration::from_millis(50);

/// Carries out the plan, and prints what was seen.
///
/// # Errors
/// When something of it cannot be done: then nothing was measured.
pub fn run() -> Result<()> {
    let text = fs::read_to_string(PLAN).with_context(|| format!("cannot read {PLAN}"))?;
    let plan: Plan = serde_json::from_str(&text).context("the plan is not as it should be")?;
    let seen = carry_out(&plan)?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

fn carry_out(plan: &Plan) -> Result<Observation> {
    wait_well(plan)?;
    let mailbox = Mailbox::open()?;
    let starts = Starts::watch()?;
    let alive: Vec<(&str, OwnedFd)> = plan
        .alive
        .iter()
        .map(|unit| Ok((unit.as_str(), main_process(unit)?)))
        .collect::<Result<_>>()?;
    thread::sleep(AT_EASE + A_SECOND.mul_f64(by_chance()));
    let usage = Usage::begin();

    let mut seen = Observation {
        began: now(),
        ..Observation::default()
    };
    seen.crashed = inject::make(&plan.inject)?;
    let injected = Instant::now();
    let later = inject::later(injected, plan.later.clone());

    let mut watch = Watch::new(plan, injected);
    loop {
        watch.round();
        if watch.is_over() || is_told(plan, &mailbox) {
            break;
        }
        thread::sleep(
            if watch.well_since.is_some() || plan.until != Until::Healed {
                ASK_CALMLY
            } else {
                ASK_EVERY
            },
        );
    }
    for step in later.join().unwrap_or_default() {
        let (begun, outcome) = step;
        outcome.context("one of the later steps failed")?;
        seen.later = seen.later.or(Some(begun));
        if plan.clock == Clock::Later {
            seen.crashed = begun;
        }
    }
    seen.answered = watch.well_since.filter(|_| watch.healed);
    seen.unanswered = watch.unanswered;
    if let Some(limit) = plan.told_within
        && (plan.people || (plan.until == Until::Healed && seen.answered.is_none()))
    {
        let until = injected + Duration::from_millis(limit);
        while mailbox.is_empty() && Instant::now() < until {
            if injected.elapsed() > A_MINUTE && usage.at_rest_for(AT_REST) {
                break;
            }
            thread::sleep(LOOK_AT_MAIL);
        }
    }
    for script in &plan.afterwards {
        seen.afterwards.push(shell(script)?.status.success());
    }
    (seen.cpu, seen.memory) = usage.end();
    seen.dead = alive
        .iter()
        .filter(|(_, process)| has_ended(process))
        .map(|(unit, _)| (*unit).to_owned())
        .collect();
    seen.starts = starts.seen();
    seen.alerts = mailbox.take();
    seen.ended = now();
    Ok(seen)
}

/// Whether people were told of what they are to be told of.
fn is_told(plan: &Plan, mailbox: &Mailbox) -> bool {
    matches!(&plan.until, Until::Told(words) if mailbox.tells_of(words))
}

/// A number from 0 up to 1, from the operating system's random bytes: every
/// `RandomState` is seeded with some.
fn by_chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// Until everything answers, once: else the fault would not be what fails.
fn wait_well(plan: &Plan) -> Result<()> {
    let until = Instant::now() + WELL_BEFORE;
    loop {
        let unanswered = ask_probes(plan);
        if unanswered.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "before the fault, not everything is well: {unanswered:?}"
        );
        thread::sleep(ASK_CALMLY);
    }
}

/// What does not answer, and how.
fn ask_probes(plan: &Plan) -> BTreeMap<String, String> {
    // One is enough; the next round comes soon.
    plan.probes
        .iter()
        .find_map(|probe| {
            let error = ask::ask(probe).err()?;
            Some((ask::name(probe), error.to_string()))
        })
        .into_iter()
        .collect()
}

/// What does not answer, or is not as it should be, and how.
fn ask_all(plan: &Plan) -> BTreeMap<String, String> {
    let mut unanswered = ask_probes(plan);
    if !unanswered.is_empty() {
        return unanswered;
    }
    for check in &plan.checks {
        match shell(check) {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                unanswered.insert(check.clone(), output.status.to_string());
            }
            Err(error) => {
                unanswered.insert(check.clone(), format!("{error:#}"));
            }
        }
    }
    unanswered
}

/// Looks on until it is healed, or the time is up.
struct Watch<'a> {
    plan: &'a Plan,
    injected: Instant,
    well_since: Option<i64>,
    healed: bool,
    unanswered: BTreeMap<String, String>,
}

impl<'a> Watch<'a> {
    fn new(plan: &'a Plan, injected: Instant) -> Self {
        Self {
            plan,
            injected,
            well_since: None,
            healed: false,
            unanswered: BTreeMap::new(),
        }
    }

    fn round(&mut self) {
        if self.plan.probes.is_empty() && self.plan.checks.is_empty() {
            return;
        }
        self.unanswered = ask_all(self.plan);
        if !self.unanswered.is_empty() {
            self.well_since = None;
            self.healed = false;
            return;
        }
        let at = now();
        let since = *self.well_since.get_or_insert(at);
        self.healed = at - since >= micros(self.plan.stable);
    }

    fn is_over(&self) -> bool {
        let waited = self.injected.elapsed() >= Duration::from_millis(self.plan.wait);
        if self.plan.until != Until::Healed {
            return waited;
        }
        // What was well at the end of the time still has to stay so.
        let Some(since) = self.well_since else {
            return waited;
        };
        // With steps to come, being well now says nothing.
        let last = self.plan.later.iter().map(|(after, _)| *after).max();
        let all_done = last.is_none_or(|last| {
            self.injected.elapsed() > Duration::from_millis(last + self.plan.stable)
        });
        all_done && self.healed && now() - since >= micros(self.plan.stable + self.plan.after)
    }
}

fn micros(millis: u64) -> i64 {
    i64::try_from(millis.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Runs a script to its end.
fn shell(script: &str) -> Result<std::process::Output> {
    Command::new("bash")
        .args(["-e", "-u", "-o", "pipefail", "-c", script])
        .output()
        .context("cannot run bash")
}

/// A unit's main process, as it is now.
fn main_process(unit: &str) -> Result<OwnedFd> {
    let pid = main_pid(unit)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn main_pid(unit: &str) -> Result<Pid> {
    let output = Command::new("systemctl")
        .args(["show", "--value", "--property=MainPID", "--", unit])
        .output()
        .context("cannot run systemctl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    pid.with_context(|| format!("{unit} does not run"))
}

fn has_ended(process: &OwnedFd) -> bool {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
}
