//! A limit on work that the kernel may never finish.
//!
//! Looking at a file on a network file system whose server is gone, or asking a
//! resolver, can hang beyond any deadline. Such work is done on a thread of its
//! own: at the deadline the caller goes on, and the thread is left behind until
//! the kernel lets it go. So that a dead server cannot fill the host with
//! threads, only so many may be left behind at a time.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Instant,
};

use prunella_core::{Failure, capability::Answer};
use tokio::{sync::oneshot, time::timeout_at};

/// How many may be at work, or left behind, at a time.
const AT_ONCE: usize = 64;

static BUSY: AtomicUsize = AtomicUsize::new(0);

struct Seat;

impl Seat {
    fn take() -> Option<Self> {
        BUSY.fetch_update(Ordering::AcqRel, Ordering::Acquire, |busy| {
            (busy < AT_ONCE).then_some(busy + 1)
        })
        .is_ok()
        .then_some(Self)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Does `work`, and waits for it until `deadline`. `what` begins the sentence
/// when it does not come back, such as `looking at a file`.
pub(crate) fn with_timeout<T: Send + 'static>(
    deadline: Instant,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Answer<T> {
    let (give, take) = sync_channel(1);
    begin(what, move || {
        // Nobody may be waiting any more; then the result is of no use.
        let _ = give.send(work());
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    take.recv_timeout(left).map_err(|error| match error {
        RecvTimeoutError::Timeout => too_long(what),
        RecvTimeoutError::Disconnected => without_result(what),
    })
}

/// The same for a task, whose thread does not wait.
pub(crate) async fn outlived_by_caller<T: Send + 'static>(
    deadline: Instant,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Answer<T> {
    let (give, take) = oneshot::channel();
    begin(what, move || {
        let _ = give.send(work());
    })?;
    match timeout_at(deadline.into(), take).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(without_result(what)),
        Err(_) => Err(too_long(what)),
    }
}

/// Does it on a thread of its own, if not too many hang already.
fn begin(what: &str, work: impl FnOnce() + Send + 'static) -> Answer<()> {
    let seat = Seat::take().ok_or_else(|| {
        Failure::unavailable(
            "too-many-stuck",
            format!("{what} was not tried: {AT_ONCE} such calls hang already"),
        )
    })?;
    std::thread::Builder::new()
        .name("prunella-look".to_owned())
        .spawn(move || {
            work();
            drop(seat);
        })
        .map(drop)
        .map_err(|error| {
            Failure::unavailable("no-thread", format!("{what}: no thread for it ({error})"))
        })
}

fn too_long(what: &str) -> Failure {
    Failure::timed_out("deadline", format!("{what} took too long"))
}

fn without_result(what: &str) -> Failure {
    Failure::failed("look-failed", format!("{what} ended without a result"))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;

    #[test]
    fn work_in_time_gives_its_result() {
        let deadline = Instant::now() + Duration::from_secs(20);
        assert_eq!(with_timeout(deadline, "adding", || 1 + 1), Ok(2));
    }

    #[test]
    fn a_deadline_holds_for_work_that_hangs() {
        let (release, released) = channel::<()>();
        let start = Instant::now();
        let answer = with_timeout(start + Duration::from_millis(20), "hanging", move || {
            let _ = released.recv();
        });
        assert!(answer.unwrap_err().is("deadline"));
        assert!(start.elapsed() < Duration::from_secs(10));
        drop(release);
    }
}
