//! How long the certificate that a probe is shown stays valid.
//!
//! Unlike all else that is measured, this goes by the wall clock: so does the certificate.
//! It never makes a service `failed`: nothing that is restarted gets another one by that.

use std::{collections::VecDeque, time::Duration};

use prunella_core::{
    capability::Certificate,
    health::{CertificateSettings, Metric, Symptom, SymptomLevel},
};

use crate::{Condition, Now, OPEN_AFTER, condition::Watched};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What a probe was shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct CertificateWatch {
    /// The latest, the newest last. Where several servers answer in turn, the one that ends
    /// first counts.
    shown: VecDeque<Certificate>,
    /// When the newest was shown.
    at: Now,
    degraded: Watched,
    critical: Watched,
    /// What an earlier process knew, until something is shown.
    carried: Option<Symptom>,
}

impl CertificateWatch {
    /// Goes on where an earlier process was.
    pub(crate) fn carry_on(&mut self, since: Now, symptom: &Symptom) {
        self.degraded = Watched::held_since(since);
        if symptom.level != SymptomLevel::Degraded {
            self.critical = Watched::held_since(since);
        }
        self.carried = Some(symptom.clone());
    }

    /// This one was shown now.
    pub(crate) fn shown(
        &mut self,
        now: Now,
        settings: &CertificateSettings,
        certificate: Certificate,
    ) {
        self.carried = None;
        self.at = now;
        self.shown.push_back(certificate);
        while self.shown.len() > usize::try_from(OPEN_AFTER).unwrap_or(usize::MAX) {
            self.shown.pop_front();
        }
        let Some(certificate) = self.ends_first().cloned() else {
            return;
        };
        let left = hours_left(now, &certificate);
        for (watched, limit) in [
            (&mut self.degraded, settings.degraded_at(&certificate)),
            (&mut self.critical, settings.critical_at(&certificate)),
        ] {
            watched.value(&condition(limit), now, left);
        }
    }

    /// The certificate that counts.
    pub(crate) fn ends_first(&self) -> Option<&Certificate> {
        self.shown.iter().min_by_key(|certificate| certificate.ends)
    }

    /// The symptom, if there is one.
    pub(crate) fn symptom(&self, probe: &str, settings: &CertificateSettings) -> Option<Symptom> {
        let (level, since) = match (self.critical.since(), self.degraded.since()) {
            (Some(since), _) => (SymptomLevel::Critical, since),
            (None, Some(since)) => (SymptomLevel::Degraded, since),
            (None, None) => return None,
        };
        let Some(certificate) = self.ends_first() else {
            return self.carried.clone();
        };
        let limit = match level {
            SymptomLevel::Degraded => settings.degraded_at(certificate),
            SymptomLevel::Critical | SymptomLevel::Failed => settings.critical_at(certificate),
        };
        let condition = condition(limit);
        Some(Symptom {
            level,
            metric: Metric::CertificateHours,
            instance: Some(probe.to_owned()),
            value: hours_left(self.at, certificate),
            threshold: condition.opens_at,
            clear: condition.clears_at,
            since: since.at,
            evidence: evidence(probe, certificate, self.at),
            // No run of the service changes it: another certificate does.
            confirmed: true,
        })
    }
}

fn hours_left(now: Now, certificate: &Certificate) -> u64 {
    certificate.ends.since(now.at).as_secs() / HOUR
}

fn condition(limit: Duration) -> Condition {
    let opens_at = limit.as_secs() / HOUR;
    Condition {
        opens_at,
        // The time that is left only grows with another certificate.
        clears_at: opens_at + 1,
        hold: Duration::ZERO,
        recurs: false,
    }
}

fn evidence(probe: &str, certificate: &Certificate, now: Now) -> String {
    let which = match &certificate.name {
        Some(name) => format!("its certificate for {name}"),
        None => format!("the certificate that probe `{probe}` is shown"),
    };
    let day = match certificate.ends.day() {
        Some(day) => format!(" ({day})"),
        None => String::new(),
    };
    if certificate.ends <= now.at {
        let ago = span(now.at.since(certificate.ends));
        return format!("{which} ended {ago} ago{day}");
    }
    let left = span(certificate.ends.since(now.at));
    format!("{which} ends in {left}{day}")
}

/// In whole days, or hours where there are few.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / DAY, seconds / HOUR) {
        (days @ 2.., _) => format!("{days} days"),
        (_, 1) => "1 hour".to_owned(),
        (_, hours @ 2..) => format!("{hours} hours"),
        _ => "less than an hour".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::Timestamp;
    use rstest::rstest;

    use super::*;

    /// 2026-11-29, noon in UTC.
    const NOON: u64 = 1_795_953_600;

    fn now(seconds: u64) -> Now {
        Now {
            since_boot: Duration::from_secs(seconds),
            at: Timestamp::from_millis((NOON + seconds) * 1_000),
        }
    }

    /// With so long left of a lifetime.
    fn certificate(hours_left: i64, lifetime_hours: u64) -> Certificate {
        let ends = NOON.saturating_add_signed(hours_left * 3_600) * 1_000;
        let ends = Timestamp::from_millis(ends);
        Certificate {
            name: Some("shop.example".to_owned()),
            begins: ends.saturating_sub(Duration::from_secs(lifetime_hours * HOUR)),
            ends,
        }
    }

    /// What follows from it being shown three times.
    fn seen(certificate: &Certificate, settings: &CertificateSettings) -> Option<Symptom> {
        let mut watch = CertificateWatch::default();
        for turn in 0..3 {
            assert_eq!(watch.symptom("front", settings), None, "in turn {turn}");
            watch.shown(now(turn), settings, certificate.clone());
        }
        watch.symptom("front", settings)
    }

    #[rstest]
    // Of a year, or of 90 days: 21 and 7 days.
    #[case::long(22 * 24, 365 * 24, None)]
    #[case::near(21 * 24, 365 * 24, Some(SymptomLevel::Degraded))]
    #[case::months(21 * 24, 90 * 24, Some(SymptomLevel::Degraded))]
    #[case::very_near(7 * 24, 90 * 24, Some(SymptomLevel::Critical))]
    #[case::over(-5, 90 * 24, Some(SymptomLevel::Critical))]
    // Of six days: two days, and sixteen hours.
    #[case::short_and_new(6 * 24 - 1, 6 * 24, None)]
    #[case::short_and_renewed_in_time(3 * 24, 6 * 24, None)]
    #[case::short_and_near(2 * 24, 6 * 24, Some(SymptomLevel::Degraded))]
    #[case::short_and_very_near(16, 6 * 24, Some(SymptomLevel::Critical))]
    fn by_its_lifetime(
        #[case] left: i64,
        #[case] lifetime: u64,
        #[case] level: Option<SymptomLevel>,
    ) {
        let symptom = seen(
            &certificate(left, lifetime),
            &CertificateSettings::default(),
        );
        assert_eq!(symptom.map(|symptom| symptom.level), level);
    }

    #[test]
    fn by_what_the_operator_says() {
        let days = |days: u64| Some(Duration::from_secs(days * DAY));
        let settings = CertificateSettings {
            degraded: days(30),
            critical: days(2),
        };
        let level =
            |left: i64| seen(&certificate(left * 24, 365 * 24), &settings).map(|one| one.level);
        assert_eq!(level(31), None);
        assert_eq!(level(30), Some(SymptomLevel::Degraded));
        assert_eq!(level(3), Some(SymptomLevel::Degraded));
        assert_eq!(level(2), Some(SymptomLevel::Critical));
    }

    #[rstest]
    #[case(6 * 24 + 3, "its certificate for shop.example ends in 6 days (2026-12-05)")]
    #[case(31, "its certificate for shop.example ends in 30 hours (2026-11-30)")]
    #[case(
        0,
        "its certificate for shop.example ended less than an hour ago (2026-11-29)"
    )]
    #[case(-50, "its certificate for shop.example ended 2 days ago (2026-11-27)")]
    fn it_is_said_until_when(#[case] left: i64, #[case] expected: &str) {
        let symptom = seen(&certificate(left, 90 * 24), &CertificateSettings::default());
        assert_eq!(symptom.unwrap().evidence, expected);
    }

    #[test]
    fn another_certificate_ends_it_once_it_is_shown_by_all() {
        let settings = CertificateSettings::default();
        let (old, new) = (certificate(24, 90 * 24), certificate(89 * 24, 90 * 24));
        let mut watch = CertificateWatch::default();
        // Two servers, of which one was forgotten.
        for turn in 0..8 {
            let one = if turn % 2 == 0 { &old } else { &new };
            watch.shown(now(turn), &settings, one.clone());
        }
        let symptom = watch.symptom("front", &settings).unwrap();
        assert_eq!(symptom.level, SymptomLevel::Critical);
        assert_eq!(symptom.value, 23);
        let turns = (8..20).take_while(|turn| {
            watch.shown(now(*turn), &settings, new.clone());
            watch.symptom("front", &settings).is_some()
        });
        assert!(turns.count() < 5);
        assert_eq!(watch.symptom("front", &settings), None);
    }

    #[test]
    fn what_an_earlier_process_knew_stands_until_one_is_shown() {
        let settings = CertificateSettings::default();
        let old = certificate(24, 90 * 24);
        let known = seen(&old, &settings).unwrap();
        let mut watch = CertificateWatch::default();
        let since = Now {
            at: known.since,
            ..now(100)
        };
        watch.carry_on(since, &known);
        assert_eq!(watch.symptom("front", &settings), Some(known.clone()));
        watch.shown(now(110), &settings, old);
        let still = watch.symptom("front", &settings).unwrap();
        assert_eq!((still.level, still.since), (known.level, known.since));
    }
}
