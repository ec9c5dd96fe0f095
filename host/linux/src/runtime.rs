//! The one background thread, and how a blocking call waits for what it drives.
//!
//! The thread runs a current-thread event loop: the sockets of both bus
//! connections, the dispatcher of systemd's signals, and whatever is spawned on
//! it. A capability call is polled on the caller's own thread and woken from
//! the background thread; its deadline is kept by the caller itself, so it
//! holds even if the background thread were stuck.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{JoinHandle, Thread, ThreadId},
    time::Instant,
};

use prunella_core::{Failure, capability::Answer};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{LinuxError, bus::Bus, signals::Signals, snapshots::UnitSnapshots};

/// What every module of this crate shares: the background thread and systemd.
pub(crate) struct Shared {
    background: Background,
    bus: Bus,
    signals: Arc<Signals>,
    snapshots: UnitSnapshots,
}

impl Shared {
    /// Starts the background thread. No connection is made yet.
    pub(crate) fn start(bus_address: Option<String>) -> Result<Arc<Self>, LinuxError> {
        let background = Background::start()?;
        Ok(Arc::new(Self {
            bus: Bus::new(bus_address.clone()),
            signals: Signals::new(bus_address, background.handle.clone()),
            background,
            snapshots: UnitSnapshots::default(),
        }))
    }

    /// Waits for `future` on this thread, until `deadline` at the latest; then
    /// the future is dropped and the answer is `timed-out` (code `deadline`).
    ///
    /// Not for use on the background thread itself, which would wait for
    /// itself: there the answer is `unavailable` at once.
    pub(crate) fn block_on_deadline<T>(
        &self,
        deadline: Instant,
        future: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        if std::thread::current().id() == self.background.thread {
            return Err(Failure::unavailable(
                "background-thread",
                "a blocking call was made on the background thread",
            ));
        }
        let _context = self.background.handle.enter();
        block_on(deadline, future).unwrap_or_else(|| {
            Err(Failure::timed_out(
                "deadline",
                "the host did not answer in time",
            ))
        })
    }

    /// Calls to systemd.
    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// What was read of units a moment ago.
    pub(crate) fn snapshots(&self) -> &UnitSnapshots {
        &self.snapshots
    }

    /// Signals from systemd.
    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// The background thread's event loop.
    pub(crate) fn handle(&self) -> &Handle {
        &self.background.handle
    }
}

/// The background thread; ends when dropped.
struct Background {
    handle: Handle,
    thread: ThreadId,
    stop: Option<oneshot::Sender<()>>,
    join: Option<JoinHandle<()>>,
}

impl Background {
    fn start() -> Result<Self, LinuxError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(LinuxError::Runtime)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let join = std::thread::Builder::new()
            .name("prunella-bus".to_owned())
            .spawn(move || {
                // Ends by a message or by the sender being dropped: both mean stop.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .map_err(LinuxError::Thread)?;
        Ok(Self {
            handle,
            thread: join.thread().id(),
            stop: Some(stop),
            join: Some(join),
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        // The last owner may be a task on the background thread itself, which
        // cannot wait for its own end.
        if let Some(join) = self.join.take()
            && std::thread::current().id() != self.thread
        {
            let _ = join.join();
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls `future` on this thread until it is ready or `deadline` is past.
fn block_on<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        // May also wake for nothing; then the future is simply polled again.
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_future_is_driven_by_the_background_thread() {
        let shared = Shared::start(None).unwrap();
        let answer = shared.block_on_deadline(soon(), async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(7)
        });
        assert_eq!(answer, Ok(7));
    }

    #[test]
    fn a_deadline_holds_for_a_future_that_never_ends() {
        let shared = Shared::start(None).unwrap();
        let start = Instant::now();
        let answer: Answer<()> =
            shared.block_on_deadline(start + Duration::from_millis(30), std::future::pending());
        assert!(answer.unwrap_err().is("deadline"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_ready_answer_is_given_past_the_deadline() {
        let shared = Shared::start(None).unwrap();
        let answer = shared.block_on_deadline(Instant::now(), async { Ok("ready") });
        assert_eq!(answer, Ok("ready"));
    }

    #[test]
    fn the_background_thread_never_waits_for_itself() {
        let shared = Shared::start(None).unwrap();
        let inner = Arc::clone(&shared);
        let (tell, told) = std::sync::mpsc::channel();
        shared.handle().spawn(async move {
            let answer = inner.block_on_deadline(soon(), async { Ok(()) });
            tell.send(answer).unwrap();
        });
        let answer = told.recv().unwrap();
        assert!(answer.unwrap_err().is("background-thread"));
    }
}
