//! The jobs that this process has queued, and how they end.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;

/// Jobs remembered as ours. One ends long before so many others have begun.
const OWN_JOBS: usize = 256;

/// Jobs that are waited for. A job's path is known only when the call that
/// queued it has returned, and it may end before: so while any such call is
/// under way, every end is kept.
#[derive(Default)]
pub(super) struct Jobs {
    pub(super) submitting: usize,
    pub(super) ended: HashMap<String, String>,
    pub(super) waiting: HashMap<String, watch::Sender<Option<String>>>,
    pub(super) own: VecDeque<u32>,
}

impl Jobs {
    pub(super) fn ended(&mut self, path: &str, result: &str) {
        if let Some(waiting) = self.waiting.remove(path) {
            // Nobody may be waiting any more; then it does not matter.
            let _ = waiting.send(Some(result.to_owned()));
        } else if self.submitting > 0 {
            self.ended.insert(path.to_owned(), result.to_owned());
        }
    }

    pub(super) fn claim(&mut self, path: &str) -> watch::Receiver<Option<String>> {
        if let Some(id) = job_number(path)
            && !self.own.contains(&id)
        {
            if self.own.len() == OWN_JOBS {
                self.own.pop_front();
            }
            self.own.push_back(id);
        }
        if let Some(result) = self.ended.get(path) {
            return watch::channel(Some(result.clone())).1;
        }
        self.waiting
            .entry(path.to_owned())
            .or_insert_with(|| watch::channel(None).0)
            .subscribe()
    }

    pub(super) fn submitted(&mut self) {
        self.submitting = self.submitting.saturating_sub(1);
        if self.submitting == 0 {
            self.ended.clear();
        }
    }
}

/// The number at the end of a job's path.
fn job_number(path: &str) -> Option<u32> {
    path.rsplit_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_ends_before_its_path_is_known() {
        let mut jobs = Jobs {
            submitting: 1,
            ..Jobs::default()
        };
        jobs.ended("/job/1", "done");
        assert_eq!(jobs.claim("/job/1").borrow().as_deref(), Some("done"));
        jobs.submitted();
        assert!(jobs.ended.is_empty());
    }

    #[test]
    fn a_job_has_several_waiters() {
        let mut jobs = Jobs::default();
        let one = jobs.claim("/job/1");
        let two = jobs.claim("/job/1");
        jobs.ended("/job/1", "failed");
        assert_eq!(one.borrow().as_deref(), Some("failed"));
        assert_eq!(two.borrow().as_deref(), Some("failed"));
        assert!(jobs.waiting.is_empty());
    }

    #[test]
    fn ends_are_kept_only_while_somebody_submits() {
        let mut jobs = Jobs::default();
        jobs.ended("/job/1", "done");
        assert!(jobs.ended.is_empty());
    }

    #[test]
    fn jobs_of_ours_are_remembered_up_to_a_limit() {
        let mut jobs = Jobs::default();
        for id in 0..=u32::try_from(OWN_JOBS).unwrap() {
            jobs.claim(&format!("/org/freedesktop/systemd1/job/{id}"));
        }
        assert!(!jobs.own.contains(&0));
        assert!(jobs.own.contains(&1));
        assert_eq!(jobs.own.len(), OWN_JOBS);
    }
}
