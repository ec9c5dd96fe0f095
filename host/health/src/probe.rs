//! What is known of one probe.

use std::time::Duration;

use prunella_core::{
    capability::Certificate,
    contract::milliseconds,
    duration::written,
    health::{HealthSettings, Metric, ProbeHealth, Symptom, SymptomLevel, Undecided},
};

use crate::{
    CLOSE_AFTER, Condition, Now, OPEN_AFTER, STALE_AFTER,
    certificate::CertificateWatch,
    condition::{InARow, Watched},
    rate::Rate,
};

/// An error window holds so many intervals at least: of a probe that is asked seldom, a
/// short one would hold too few questions to tell.
const LEAST_INTERVALS: u32 = 20;

/// A probe that is asked while all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// What it asks: a probe that is declared anew has another past.
    pub question: String,
    /// How often it is asked.
    pub interval: Duration,
    /// How long its answer may take.
    pub timeout: Duration,
    /// So many unanswered in a row are a failure.
    pub failure_threshold: u32,
}

impl ProbeSettings {
    /// How long after one answer the next comes at the latest.
    fn between_answers(&self) -> Duration {
        self.interval.max(self.timeout)
    }

    /// For so long a sample tells of the present.
    fn fresh_for(&self) -> Duration {
        self.between_answers() * STALE_AFTER
    }

    /// How long after its service has become slow, or has begun to err, that is a symptom of
    /// this probe at the latest.
    fn decides_within(&self, settings: &HealthSettings) -> Duration {
        let hold = settings.latency.hold.max(settings.error_rate.hold);
        self.between_answers() * OPEN_AFTER.max(self.failure_threshold) + hold
    }
}

/// What came of a probe's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sample {
    /// It was answered as it should be.
    Answered { took: Duration },
    /// It was not; why.
    Unanswered { why: String },
    /// It was not, and never has been since it was declared as it is.
    NeverAnswered,
    /// It was not asked, or could not be.
    NotAsked,
}

/// What samples have told of one probe.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) settings: ProbeSettings,
    /// The latest sample that tells anything; only its time is known of one that an
    /// earlier daemon had.
    last: Option<(Now, Option<bool>)>,
    never_answered: bool,
    latency_ms: Option<u64>,
    /// How long the latest answer took that was slow.
    slow_ms: Option<u64>,
    why: String,
    latency: Watched,
    rate: Rate,
    degrading: Watched,
    failing: Watched,
    unanswered: InARow,
    certificate: CertificateWatch,
}

/// How the evidence of unanswered questions begins.
fn unanswered(name: &str) -> String {
    format!("probe `{name}` goes unanswered")
}

fn latency(settings: &HealthSettings) -> Condition {
    Condition {
        opens_at: milliseconds(settings.latency.degraded),
        clears_at: milliseconds(settings.latency.clear),
        hold: settings.latency.hold,
        recurs: true,
    }
}

fn degrading(settings: &HealthSettings) -> Condition {
    Condition {
        opens_at: settings.error_rate.degraded.into(),
        clears_at: settings.error_rate.clear.into(),
        hold: settings.error_rate.hold,
        recurs: false,
    }
}

/// Above its limit, and over below where a service is degraded.
fn failing(settings: &HealthSettings) -> Condition {
    let rate = &settings.error_rate;
    Condition {
        opens_at: u64::from(rate.failed) + 1,
        clears_at: u64::from(rate.degraded).saturating_sub(1),
        hold: rate.hold,
        recurs: false,
    }
}

impl Probe {
    pub(crate) fn new(settings: ProbeSettings) -> Self {
        Self {
            settings,
            last: None,
            never_answered: false,
            latency_ms: None,
            slow_ms: None,
            why: String::new(),
            latency: Watched::default(),
            rate: Rate::default(),
            degrading: Watched::default(),
            failing: Watched::default(),
            unanswered: InARow::default(),
            certificate: CertificateWatch::default(),
        }
    }

    /// Goes on where an earlier process was a moment ago.
    pub(crate) fn carry_on(&mut self, now: Now, symptoms: &[Symptom]) {
        self.last = Some((now, None));
        for symptom in symptoms {
            let since = Now {
                at: symptom.since,
                ..now
            };
            match (symptom.metric, symptom.level) {
                (Metric::LatencyMs, _) => {
                    self.latency = Watched::held_since(since);
                    self.latency_ms = Some(symptom.value);
                    self.slow_ms = Some(symptom.value);
                }
                (Metric::ErrorsPermille, SymptomLevel::Failed) => {
                    self.failing = Watched::held_since(since);
                    self.degrading = Watched::held_since(since);
                }
                (Metric::ErrorsPermille, _) => {
                    self.degrading = Watched::held_since(since);
                }
                (Metric::UnansweredInARow, _) => {
                    let longest = u32::try_from(symptom.value).unwrap_or(u32::MAX);
                    self.unanswered = InARow::held_since(since, longest);
                    self.why = symptom
                        .evidence
                        .strip_prefix(&unanswered(symptom.probe().unwrap_or_default()))
                        .unwrap_or_default()
                        .trim_start_matches(": ")
                        .to_owned();
                }
                (Metric::CertificateHours, _) => self.certificate.carry_on(since, symptom),
                // Of no probe.
                _ => {}
            }
        }
    }

    /// A certificate that it was shown, which counts with the sample that follows.
    pub(crate) fn certificate(
        &mut self,
        now: Now,
        settings: &HealthSettings,
        certificate: Certificate,
    ) {
        self.certificate
            .shown(now, &settings.certificate, certificate);
    }

    /// Its turn came. While `slow_is_expected`, slowness begins no symptom.
    pub(crate) fn sample(
        &mut self,
        now: Now,
        settings: &HealthSettings,
        sample: Sample,
        slow_is_expected: bool,
    ) {
        if self
            .last
            .is_some_and(|(last, _)| now.since(last) > self.settings.fresh_for())
        {
            self.gap();
            self.rate.clear();
        }
        let answered = match sample {
            Sample::Answered { took } => {
                self.took(now, settings, milliseconds(took), slow_is_expected);
                self.unanswered.succeeded();
                true
            }
            Sample::Unanswered { why } => {
                self.why = why;
                // Neither fast nor slow.
                self.latency.gap();
                let threshold = self.settings.failure_threshold.max(1);
                self.unanswered.failed(now, threshold);
                false
            }
            Sample::NeverAnswered => {
                self.never_answered = true;
                self.gap();
                return;
            }
            Sample::NotAsked => {
                self.gap();
                return;
            }
        };
        self.never_answered = false;
        self.last = Some((now, Some(answered)));
        self.rate.add(now, !answered, self.window(settings));
        self.judge_errors(now, settings);
    }

    /// What was recorded of its turns in place of them, so far apart. Where there is a share
    /// of errors and no latency, none was answered.
    pub(crate) fn recorded(
        &mut self,
        now: Now,
        settings: &HealthSettings,
        spacing: Duration,
        latency_ms: Option<u64>,
        errors: Option<u64>,
        slow_is_expected: bool,
    ) {
        let fresh_for = self.settings.fresh_for().max(spacing * STALE_AFTER);
        if self
            .last
            .is_some_and(|(last, _)| now.since(last) > fresh_for)
        {
            self.gap();
        }
        self.last = Some((now, Some(latency_ms.is_some())));
        match latency_ms {
            Some(took) => self.took(now, settings, took, slow_is_expected),
            None => self.latency.gap(),
        }
        let interval = self.settings.interval.as_millis().max(1);
        let asked = self.window(settings).as_millis() / interval;
        self.rate
            .record(errors, u64::try_from(asked).unwrap_or(u64::MAX));
        self.judge_errors(now, settings);
    }

    /// That it was not answered the last time, where that is no failure yet.
    pub(crate) fn unanswered_so_far(&self) -> Option<String> {
        if !matches!(self.last, Some((_, Some(false)))) {
            return None;
        }
        Some(match self.settings.failure_threshold {
            0 | 1 => "was not answered the last time".to_owned(),
            threshold => {
                format!("was not answered the last time; {threshold} times in a row are a failure")
            }
        })
    }

    fn took(&mut self, now: Now, settings: &HealthSettings, took: u64, slow_is_expected: bool) {
        self.latency_ms = Some(took);
        let condition = latency(settings);
        if condition.opens(took) {
            self.slow_ms = Some(took);
        }
        if slow_is_expected {
            self.latency.expected_value(&condition, now, took);
        } else {
            self.latency.value(&condition, now, took);
        }
    }

    /// Over how long a time its questions are counted.
    fn window(&self, settings: &HealthSettings) -> Duration {
        let least = self.settings.interval * LEAST_INTERVALS;
        settings.error_rate.window.max(least)
    }

    fn judge_errors(&mut self, now: Now, settings: &HealthSettings) {
        let share = self.rate.share();
        for (watched, condition) in [
            (&mut self.degrading, degrading(settings)),
            (&mut self.failing, failing(settings)),
        ] {
            match share {
                Some(share) if share.opens || watched.since().is_some() => {
                    watched.value(&condition, now, share.permille);
                }
                _ => watched.gap(),
            }
        }
    }

    /// Rows of values end here.
    fn gap(&mut self) {
        self.latency.gap();
        self.degrading.gap();
        self.failing.gap();
        self.unanswered.gap();
    }

    /// A proof has asked it: what went unanswered before is over.
    pub(crate) fn proven(&mut self, now: Now) {
        self.gap();
        self.rate.clear();
        self.unanswered.end();
        self.degrading.end();
        self.failing.end();
        if !self.never_answered {
            self.last = Some((now, Some(true)));
        }
    }

    /// The service was started, or acted on: what was measured before tells nothing of what
    /// it is like since.
    pub(crate) fn begin_anew(&mut self) {
        self.rate.clear();
        self.latency.begin_anew();
        self.degrading.begin_anew();
        self.failing.begin_anew();
    }

    /// Why nothing is known of the present, in a sentence without its full stop.
    pub(crate) fn unknown(&self, name: &str, now: Now) -> Option<String> {
        if self.never_answered {
            return Some(format!(
                "probe `{name}` has never been answered, so it tells nothing yet"
            ));
        }
        match self.last {
            None => Some(format!("probe `{name}` has not been asked yet")),
            Some((last, _)) if now.since(last) > self.settings.fresh_for() => Some(format!(
                "nothing was heard of probe `{name}` for {}",
                written(self.settings.fresh_for())
            )),
            Some(_) => None,
        }
    }

    /// Whether it does not tell yet how the service has been for the last `ago`: it was not
    /// asked since, or what speaks for a symptom is not enough for one. After as long as a
    /// symptom takes to open, it tells no more than it has.
    pub(crate) fn undecided(
        &self,
        name: &str,
        now: Now,
        settings: &HealthSettings,
        ago: Duration,
    ) -> Option<Undecided> {
        if self.never_answered {
            return None;
        }
        let last = self.last.filter(|(_, answered)| answered.is_some());
        let heard = last.map(|(last, _)| now.since(last));
        let is_heard = heard.is_some_and(|heard| heard < ago);
        let may_open = self.latency.may_open()
            || self.degrading.may_open()
            || self.failing.may_open()
            || self.unanswered.may_open();
        let up_to = self.settings.decides_within(settings).saturating_sub(ago);
        if (is_heard && !may_open) || up_to.is_zero() {
            return None;
        }
        let next = self
            .settings
            .interval
            .saturating_sub(heard.unwrap_or_default());
        Some(Undecided {
            probe: name.to_owned(),
            next: next.min(up_to),
            up_to,
        })
    }

    /// How long its latest answer took, in milliseconds.
    pub(crate) fn latency_ms(&self) -> Option<u64> {
        self.latency_ms
    }

    pub(crate) fn symptoms(&self, name: &str, settings: &HealthSettings) -> Vec<Symptom> {
        let mut symptoms = Vec::new();
        if let Some((since, longest)) = self.unanswered.since() {
            let why = match self.why.as_str() {
                "" => String::new(),
                why => format!(": {why}"),
            };
            symptoms.push(Symptom {
                level: SymptomLevel::Failed,
                metric: Metric::UnansweredInARow,
                instance: Some(name.to_owned()),
                value: longest.into(),
                threshold: self.settings.failure_threshold.max(1).into(),
                clear: CLOSE_AFTER.into(),
                since: since.at,
                evidence: format!("{}{why}", unanswered(name)),
                confirmed: true,
            });
        }
        symptoms.extend(self.error_symptom(name, settings));
        if let Some(since) = self.latency.since() {
            let condition = latency(settings);
            let value = self.slow_ms.unwrap_or_default();
            let again = match self.latency.recurs() {
                true => " again and again",
                false => "",
            };
            symptoms.push(Symptom {
                level: SymptomLevel::Degraded,
                metric: Metric::LatencyMs,
                instance: Some(name.to_owned()),
                value,
                threshold: condition.opens_at,
                clear: condition.clears_at,
                since: since.at,
                evidence: format!(
                    "probe `{name}` took {} to answer{again}, with a limit of {}",
                    Metric::LatencyMs.shown(value),
                    Metric::LatencyMs.shown(condition.opens_at)
                ),
                confirmed: self.latency.is_confirmed(),
            });
        }
        symptoms.extend(self.certificate.symptom(name, &settings.certificate));
        symptoms
    }

    fn error_symptom(&self, name: &str, settings: &HealthSettings) -> Option<Symptom> {
        let rate = &settings.error_rate;
        let (level, since, threshold, clear) = match (self.failing.since(), self.degrading.since())
        {
            (Some(since), _) => (
                SymptomLevel::Failed,
                since,
                u64::from(rate.failed),
                failing(settings).clears_at,
            ),
            (None, Some(since)) => (
                SymptomLevel::Degraded,
                since,
                u64::from(rate.degraded),
                u64::from(rate.clear),
            ),
            (None, None) => return None,
        };
        let value = self.rate.share().map(|share| share.permille);
        let shown = |value| Metric::ErrorsPermille.shown(value);
        let evidence = match value {
            Some(value) => format!(
                "{} of the questions of probe `{name}` went unanswered, with a limit of {}",
                shown(value),
                shown(threshold)
            ),
            None => format!("too many questions of probe `{name}` went unanswered"),
        };
        Some(Symptom {
            level,
            metric: Metric::ErrorsPermille,
            instance: Some(name.to_owned()),
            value: value.unwrap_or_default(),
            threshold,
            clear,
            since: since.at,
            evidence,
            confirmed: match level {
                SymptomLevel::Failed => self.failing.is_confirmed(),
                _ => self.degrading.is_confirmed(),
            },
        })
    }

    pub(crate) fn health(&self, name: &str) -> ProbeHealth {
        let heard = self
            .last
            .and_then(|(last, answered)| Some((last, answered?)));
        ProbeHealth {
            name: name.to_owned(),
            asked_at: heard.map(|(last, _)| last.at),
            answered: heard.map(|(_, answered)| answered),
            latency_ms: self.latency_ms,
            errors_permille: self.rate.share().map(|share| share.permille),
            certificate_ends: self.certificate.ends_first().map(|shown| shown.ends),
        }
    }
}
