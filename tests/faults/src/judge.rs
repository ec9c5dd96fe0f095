//! What came of a run, by what the witness saw: never by a healer's word.

use std::time::Duration;

use prunella_core::statistics::Counts;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{Class, Fault},
    healers::Healer,
    plan::{Observation, tells_of},
    run::{BYSTANDER, Seen},
};

/// What came of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// The fault's name.
    pub fault: String,
    /// The healer's name.
    pub healer: String,
    /// The fault's class.
    pub class: Class,
    /// Whether the fault needs something that Prunella does not have.
    pub not_yet: bool,
    /// Whether the service answered again, and went on doing so. Of a fault that
    /// must not be touched: whether nothing wrong was done. Of sickness: whether nothing
    /// wrong was done and people were told, or were not where there is none.
    pub right: bool,
    /// From the crash to the first answer of those that lasted: milliseconds.
    pub answered_after_ms: Option<f64>,
    /// Of sickness: from the injection to the first message that tells of it, in
    /// milliseconds.
    #[serde(default)]
    pub told_after_ms: Option<f64>,
    /// Every wrong action, by name.
    pub wrong: Vec<String>,
    /// Whether people were needed, and nobody told them.
    pub silent: bool,
    /// Subjects of what people were sent.
    pub alerts: Vec<String>,
    /// Processor time of the healer's own processes, from the fault to the end:
    /// milliseconds.
    pub cpu_ms: f64,
    /// The most memory that they had at one time: KiB.
    pub memory_kib: u64,
    /// For how long they were watched: milliseconds.
    pub watched_ms: f64,
    /// What did not answer in the end, and what it said.
    pub unanswered: Vec<String>,
    /// How long the run took as a whole: milliseconds.
    pub took_ms: f64,
}

/// The name of a wrong action that ends everything.
const WENT_DOWN: &str = "took the whole host down";

pub(crate) fn judge(
    fault: &Fault,
    healer: &dyn Healer,
    seen: Seen,
    waited: bool,
    took: Duration,
) -> Verdict {
    let verdict = Verdict {
        fault: fault.name.clone(),
        healer: healer.name().to_owned(),
        class: fault.class,
        not_yet: fault.not_yet(),
        right: false,
        answered_after_ms: None,
        told_after_ms: None,
        wrong: vec![WENT_DOWN.to_owned()],
        silent: false,
        alerts: Vec::new(),
        cpu_ms: 0.0,
        memory_kib: 0,
        watched_ms: 0.0,
        unanswered: Vec::new(),
        took_ms: took.as_secs_f64() * 1e3,
    };
    match seen {
        Seen::WentDown => verdict,
        // Of one that had no time to tell anybody, nothing is known.
        Seen::All(seen) => of(fault, &seen, waited || !healer.tells_people(), verdict),
    }
}

fn of(fault: &Fault, seen: &Observation, silence_counts: bool, verdict: Verdict) -> Verdict {
    let wrong = wrong_actions(fault, seen);
    let healed = seen.answered.is_some();
    let told = first_told(fault, seen);
    let right = match fault.class {
        Class::MustHeal => healed,
        Class::MustNotTouch => wrong.is_empty(),
        Class::MustTell => wrong.is_empty() && told.is_some(),
        Class::MustNotTell => wrong.is_empty() && seen.alerts.is_empty(),
    };
    let needed_people = fault.people || (fault.class == Class::MustHeal && !healed);
    let answered = seen.answered.filter(|_| fault.class == Class::MustHeal);
    Verdict {
        right,
        answered_after_ms: answered.map(|at| millis(at - seen.crashed)),
        told_after_ms: told.map(|at| millis(at - seen.crashed)),
        wrong,
        silent: silence_counts && needed_people && seen.alerts.is_empty(),
        alerts: seen
            .alerts
            .iter()
            .map(|(_, subject)| subject.clone())
            .collect(),
        cpu_ms: micros(seen.cpu) / 1e3,
        memory_kib: seen.memory,
        watched_ms: millis(seen.ended - seen.began),
        unanswered: seen
            .unanswered
            .iter()
            .map(|(what, said)| format!("{what}: {said}"))
            .collect(),
        ..verdict
    }
}

/// When people were first told of it, where they have to be.
fn first_told(fault: &Fault, seen: &Observation) -> Option<i64> {
    if fault.class != Class::MustTell {
        return None;
    }
    let words = fault.told_words();
    let mut alerts = seen.alerts.iter();
    alerts
        .find(|(_, subject)| tells_of(subject, &words))
        .map(|(at, _)| *at)
}

#[expect(clippy::cast_precision_loss, reason = "a span of minutes")]
fn millis(micros: i64) -> f64 {
    micros as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a span of minutes")]
fn micros(micros: u64) -> f64 {
    micros as f64
}

fn wrong_actions(fault: &Fault, seen: &Observation) -> Vec<String> {
    let mut afterwards = seen.afterwards.iter();
    let mut wrong: Vec<String> = fault
        .must_not
        .iter()
        .filter(|must_not| {
            if let Some(unit) = &must_not.start {
                let until = match must_not.within {
                    Some(within) => seen
                        .began
                        .saturating_add(i64::try_from(within.as_micros()).unwrap_or(i64::MAX)),
                    None if must_not.before_later => seen.later.unwrap_or(i64::MAX),
                    None => i64::MAX,
                };
                let starts = seen
                    .starts
                    .iter()
                    .filter(|(at, started)| started == unit && *at < until)
                    .count();
                return starts > usize::try_from(must_not.more_than).unwrap_or(usize::MAX);
            }
            if let Some(unit) = &must_not.kill {
                return seen.dead.contains(unit);
            }
            must_not.unless.is_some() && afterwards.next() != Some(&true)
        })
        .map(|must_not| must_not.what.clone())
        .collect();
    let started = seen.starts.iter().any(|(_, unit)| unit == BYSTANDER);
    if started || seen.dead.iter().any(|unit| unit == BYSTANDER) {
        wrong.push("restarted or ended a service that had nothing to do with it".to_owned());
    }
    wrong
}

/// What a healer achieved over all its runs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Score {
    /// The healer's name.
    pub healer: String,
    /// Runs of faults that must be healed, and for which Prunella has all it needs.
    pub heal_runs: u32,
    /// How many of them were healed.
    pub healed: u32,
    /// Between which shares the true one lies, with 95 % confidence (Wilson).
    pub healed_between: (f64, f64),
    /// Runs of faults that must be healed, and need what Prunella does not have.
    pub not_yet_runs: u32,
    /// How many of them were healed.
    pub not_yet_healed: u32,
    /// Runs of faults that must not be touched.
    pub leave_runs: u32,
    /// How many of them were rightly left alone.
    pub left: u32,
    /// Runs of sickness that must be told, and for which Prunella has all it needs.
    pub tell_runs: u32,
    /// Of how many of them people were told.
    pub told: u32,
    /// From the injection to the first message that tells of it, over all that were told:
    /// milliseconds.
    pub told_median_ms: Option<f64>,
    /// Runs of what only looks like sickness.
    pub quiet_runs: u32,
    /// How many of them nobody was told of.
    pub quiet: u32,
    /// From the crash to the answer, over all that were healed: milliseconds.
    pub median_ms: Option<f64>,
    /// The same, which 95 % are not above.
    pub p95_ms: Option<f64>,
    /// Wrong actions: the fault, and the action.
    pub wrong: Vec<(String, String)>,
    /// Runs in which people were needed and nobody told them: faults.
    pub silent: Vec<String>,
    /// Messages to people for each run.
    pub alerts_each: f64,
    /// Processor time for each run: milliseconds.
    pub cpu_ms_each: f64,
    /// The same for each second that was watched: milliseconds.
    pub cpu_ms_per_second: f64,
    /// The most memory at one time, of all runs: KiB.
    pub memory_kib: u64,
}

/// Adds up a healer's runs.
#[must_use]
pub fn score(healer: &str, verdicts: &[Verdict]) -> Score {
    let own: Vec<&Verdict> = verdicts.iter().filter(|v| v.healer == healer).collect();
    let count = |which: &dyn Fn(&Verdict) -> bool| {
        u32::try_from(own.iter().filter(|verdict| which(verdict)).count()).unwrap_or(u32::MAX)
    };
    let heal = |v: &Verdict| v.class == Class::MustHeal;
    let tell = |v: &Verdict| v.class == Class::MustTell && !v.not_yet;
    let leave = |v: &Verdict| v.class == Class::MustNotTouch;
    let quiet = |v: &Verdict| v.class == Class::MustNotTell;
    let heal_runs = count(&|v| heal(v) && !v.not_yet);
    let healed = count(&|v| heal(v) && !v.not_yet && v.right);
    let times: Vec<f64> = own
        .iter()
        .filter(|v| v.right)
        .filter_map(|v| v.answered_after_ms)
        .collect();
    let told_after: Vec<f64> = own
        .iter()
        .filter(|v| v.right)
        .filter_map(|v| v.told_after_ms)
        .collect();
    let runs = own.len().max(1);
    let sum = |of: &dyn Fn(&Verdict) -> f64| own.iter().map(|verdict| of(verdict)).sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred runs")]
    let each = |total: f64| total / runs as f64;
    #[expect(clippy::cast_precision_loss, reason = "a few messages")]
    let alerts = sum(&|v| v.alerts.len() as f64);
    let cpu = sum(&|v| v.cpu_ms);
    let watched = sum(&|v| v.watched_ms);
    Score {
        healer: healer.to_owned(),
        heal_runs,
        healed,
        healed_between: Counts {
            tries: heal_runs,
            proofs: healed,
            relapses: 0,
        }
        .interval(),
        not_yet_runs: count(&|v| heal(v) && v.not_yet),
        not_yet_healed: count(&|v| heal(v) && v.not_yet && v.right),
        leave_runs: count(&leave),
        left: count(&|v| leave(v) && v.right),
        tell_runs: count(&tell),
        told: count(&|v| tell(v) && v.right),
        told_median_ms: quantile(&told_after, 0.5),
        quiet_runs: count(&quiet),
        quiet: count(&|v| quiet(v) && v.right),
        median_ms: quantile(&times, 0.5),
        p95_ms: quantile(&times, 0.95),
        wrong: own
            .iter()
            .flat_map(|v| v.wrong.iter().map(|what| (v.fault.clone(), what.clone())))
            .collect(),
        silent: own
            .iter()
            .filter(|v| v.silent)
            .map(|v| v.fault.clone())
            .collect(),
        alerts_each: each(alerts),
        cpu_ms_each: each(cpu),
        cpu_ms_per_second: if watched > 0.0 {
            cpu / watched * 1e3
        } else {
            0.0
        },
        memory_kib: own.iter().map(|v| v.memory_kib).max().unwrap_or(0),
    }
}

/// The value that this share of all is not above; none of nothing.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a short list"
    )]
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn fault(name: &str) -> Fault {
        catalogue::load()
            .unwrap()
            .into_iter()
            .find(|fault| fault.name == name)
            .unwrap()
    }

    fn judged(fault: &Fault, healer: &str, seen: Observation) -> Verdict {
        let all = crate::healers::all();
        let healer = all.iter().find(|known| known.name() == healer).unwrap();
        judge(
            fault,
            *healer,
            Seen::All(Box::new(seen)),
            true,
            Duration::ZERO,
        )
    }

    #[test]
    fn the_clock_runs_from_the_crash_to_the_first_lasting_answer() {
        let seen = Observation {
            began: 1_000,
            crashed: 5_000,
            answered: Some(47_000),
            ended: 3_000_000,
            ..Observation::default()
        };
        let verdict = judged(&fault("killed"), "prunella", seen);
        assert!(verdict.right && !verdict.silent);
        assert_eq!(verdict.answered_after_ms, Some(42.0));
        assert_eq!(verdict.wrong, Vec::<String>::new());
    }

    #[test]
    fn a_healer_that_is_down_and_told_nobody_gave_up_silently() {
        let mut seen = Observation::default();
        let verdict = judged(&fault("killed"), "monit", seen.clone());
        assert!(!verdict.right && verdict.silent);
        seen.alerts.push((1, "it is down".to_owned()));
        assert!(!judged(&fault("killed"), "monit", seen).silent);
    }

    #[test]
    fn a_start_counts_from_its_limit_on_and_within_its_time() {
        let start = |at: i64| (at, "web.service".to_owned());
        let restarts = fault("systemd-restarts");
        let with = |starts: Vec<(i64, String)>| Observation {
            starts,
            ..Observation::default()
        };
        // systemd's own, after the three seconds.
        let own = judged(&restarts, "prunella", with(vec![start(3_000_000)]));
        assert!(own.right, "{own:?}");
        let early = judged(&restarts, "prunella", with(vec![start(900_000)]));
        assert_eq!(
            early.wrong,
            ["started it before the three seconds were over"]
        );
        let twice = with(vec![start(3_000_000), start(4_000_000)]);
        assert_eq!(
            judged(&restarts, "prunella", twice).wrong,
            ["started it again"]
        );
    }

    #[test]
    fn the_bystander_is_in_every_run() {
        let seen = Observation {
            dead: vec![BYSTANDER.to_owned()],
            ..Observation::default()
        };
        let verdict = judged(&fault("stopped"), "shell", seen);
        assert!(!verdict.right);
        assert_eq!(verdict.wrong.len(), 1);
    }

    #[test]
    fn a_script_that_fails_at_the_end_is_a_wrong_action() {
        let masked = fault("masked");
        let of = |afterwards| Observation {
            afterwards,
            ..Observation::default()
        };
        assert!(judged(&masked, "none", of(vec![true])).right);
        assert_eq!(
            judged(&masked, "none", of(vec![false])).wrong,
            ["took the mask away"]
        );
    }

    #[test]
    fn sickness_must_be_told_and_a_look_alike_must_not() {
        let mail = |subject: &str| Observation {
            crashed: 1_000,
            alerts: vec![(3_001_000, subject.to_owned())],
            ..Observation::default()
        };
        let slow = fault("slow-answers");
        let told = judged(
            &slow,
            "prunella",
            mail("WARNING host: Web.service is degraded"),
        );
        assert!(told.right, "{told:?}");
        assert_eq!(told.told_after_ms, Some(3_000.0));
        let of_another = judged(&slow, "prunella", mail("database.service is degraded"));
        assert!(!of_another.right && of_another.told_after_ms.is_none());
        let blip = fault("one-slow-answer");
        assert!(judged(&blip, "monit", Observation::default()).right);
        assert!(!judged(&blip, "monit", mail("web does not answer")).right);

        let verdicts = [told, judged(&blip, "prunella", Observation::default())];
        let score = score("prunella", &verdicts);
        assert_eq!((score.told, score.tell_runs), (1, 1));
        assert_eq!((score.quiet, score.quiet_runs), (1, 1));
        assert_eq!((score.heal_runs, score.leave_runs), (0, 0));
        assert_eq!(score.told_median_ms, Some(3_000.0));
    }

    #[test]
    fn unsupported_faults_are_counted_apart() {
        let lacking = Fault {
            missing: vec!["have a standby take over".to_owned()],
            ..fault("stale-pid")
        };
        let mut verdicts = vec![
            judged(
                &fault("killed"),
                "prunella",
                Observation {
                    answered: Some(9),
                    ..Observation::default()
                },
            ),
            judged(&lacking, "prunella", Observation::default()),
            judged(&fault("stopped"), "prunella", Observation::default()),
        ];
        let score = score("prunella", &verdicts);
        assert_eq!((score.healed, score.heal_runs), (1, 1));
        assert_eq!((score.not_yet_healed, score.not_yet_runs), (0, 1));
        assert_eq!((score.left, score.leave_runs), (1, 1));
        assert_eq!(score.silent, ["stale-pid"]);
        verdicts.clear();
        assert_eq!(
            super::score("prunella", &verdicts).healed_between,
            (0.0, 1.0)
        );
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.95), Some(4.0));
    }
}
