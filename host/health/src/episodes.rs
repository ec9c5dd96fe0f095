//! Symptoms from when they began until a while after they have cleared.

use std::time::Duration;

use prunella_core::health::{Episode, Symptom};

use crate::Now;

/// For so long what has cleared is remembered.
const KEPT: Duration = Duration::from_secs(30 * 60);

/// More of them are not.
const MOST: usize = 32;

/// What holds, and what has cleared lately; the oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Episodes {
    /// With when each cleared.
    all: Vec<(Episode, Option<Now>)>,
}

impl Episodes {
    /// Goes on where an earlier process was a moment ago.
    pub(crate) fn carry_on(&mut self, now: Now, earlier: &[Episode]) {
        self.all = earlier
            .iter()
            .map(|episode| (episode.clone(), episode.cleared.map(|_| now)))
            .collect();
    }

    /// These hold now.
    pub(crate) fn see(&mut self, now: Now, symptoms: &[Symptom]) {
        for (episode, cleared) in &mut self.all {
            if cleared.is_some() {
                continue;
            }
            match symptoms.iter().find(|one| one.is_of_same(&episode.symptom)) {
                Some(symptom) => {
                    episode.worst = symptom.worse(episode.worst, symptom.value);
                    episode.symptom = symptom.clone();
                }
                None => {
                    episode.cleared = Some(now.at);
                    *cleared = Some(now);
                }
            }
        }
        for symptom in symptoms {
            let is_known = self
                .all
                .iter()
                .any(|(known, cleared)| cleared.is_none() && known.symptom.is_of_same(symptom));
            if !is_known {
                let episode = Episode {
                    worst: symptom.value,
                    symptom: symptom.clone(),
                    cleared: None,
                };
                self.all.push((episode, None));
            }
        }
        self.all
            .retain(|(_, cleared)| cleared.is_none_or(|cleared| now.since(cleared) <= KEPT));
        let surplus = self.all.len().saturating_sub(MOST);
        self.all.drain(..surplus);
    }

    pub(crate) fn all(&self) -> Vec<Episode> {
        self.all
            .iter()
            .map(|(episode, _)| episode.clone())
            .collect()
    }
}
