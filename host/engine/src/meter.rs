//! What one run has used up, and where it must stop.

use std::time::{Duration, Instant};

use prunella_core::{Failure, StrategyName, policy::Limits};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

use crate::Usage;

/// So many calls are still answered, with a `quota` failure, after a run's
/// calls are used up: enough for it to say so and return.
const GRACE_CALLS: u32 = 100;

/// Instances, memories and tables a run may have of each. A component of one
/// language has two or three modules; Python's has about ten.
const PARTS: usize = 64;

/// What a table's element takes in the host, in bytes.
const ELEMENT: usize = size_of::<usize>();

/// Why a run has to end. Travels through wasmtime as an error, and is told from
/// a trap by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the deadline has passed")]
    Deadline,
    #[error("the processor time is used up")]
    Cpu,
    #[error("{wanted} bytes of memory are more than allowed")]
    Memory { wanted: usize },
    #[error("too many calls")]
    HostCalls,
    #[error("too many handles")]
    Handles,
}

/// Keeps count for one run.
pub(crate) struct Meter {
    strategy: StrategyName,
    limits: Limits,
    began: Instant,
    deadline: Instant,
    cpu_began: Duration,
    memory: usize,
    handles: usize,
    usage: Usage,
}

impl Meter {
    /// Starts counting, on the thread that will run.
    pub(crate) fn start(strategy: StrategyName, limits: Limits) -> Self {
        let began = Instant::now();
        Self {
            strategy,
            // A deadline beyond what the clock can count is none.
            deadline: began
                .checked_add(limits.deadline)
                .unwrap_or_else(|| began + Duration::from_secs(24 * 60 * 60)),
            limits,
            began,
            cpu_began: thread_cpu(),
            memory: 0,
            handles: 0,
            usage: Usage::default(),
        }
    }

    /// Whose run it is.
    pub(crate) fn strategy(&self) -> &StrategyName {
        &self.strategy
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The moment by which the run is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What was used up until now.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            wall: self.began.elapsed(),
            cpu: thread_cpu().saturating_sub(self.cpu_began),
            ..self.usage.clone()
        }
    }

    /// Whether the run may go on. Asked between two ticks of guest code and
    /// before each host call.
    pub(crate) fn check_time(&self) -> Result<(), Stop> {
        if Instant::now() >= self.deadline {
            return Err(Stop::Deadline);
        }
        Ok(())
    }

    /// Whether there is processor time left; costs a system call.
    pub(crate) fn check_cpu(&self) -> Result<(), Stop> {
        if thread_cpu().saturating_sub(self.cpu_began) >= self.limits.cpu {
            return Err(Stop::Cpu);
        }
        Ok(())
    }

    /// Counts one call of any capability.
    pub(crate) fn call(&mut self) -> Result<(), Stop> {
        self.check_time()?;
        self.usage.host_calls = self.usage.host_calls.saturating_add(1);
        if self.usage.host_calls > self.limits.host_calls.saturating_add(GRACE_CALLS) {
            return Err(Stop::HostCalls);
        }
        Ok(())
    }

    /// Whether the calls are used up, and only the grace is left.
    pub(crate) fn calls_left(&self) -> Result<(), Failure> {
        if self.usage.host_calls > self.limits.host_calls {
            return Err(self.used_up("host-calls", "calls to the host"));
        }
        Ok(())
    }

    /// Counts one call that goes to systemd.
    pub(crate) fn bus_call(&mut self) -> Result<(), Failure> {
        if self.usage.bus_calls >= self.limits.bus_calls {
            return Err(self.used_up("bus-calls", "calls to systemd"));
        }
        self.usage.bus_calls += 1;
        Ok(())
    }

    /// Counts one call that reads what was measured.
    pub(crate) fn metric_read(&mut self) -> Result<(), Failure> {
        if self.usage.metric_reads >= self.limits.metric_reads {
            return Err(self.used_up("metric-reads", "looks at what was measured"));
        }
        self.usage.metric_reads += 1;
        Ok(())
    }

    /// Whether `more` handles can be given out. Asked *before* the call whose
    /// result would be lost otherwise.
    pub(crate) fn room_for_handles(&self, more: usize) -> Result<(), Failure> {
        if self.handles.saturating_add(more) > self.limits.handles {
            return Err(self.used_up("handles", "handles alive at once"));
        }
        Ok(())
    }

    pub(crate) fn handle_given(&mut self) {
        self.handles += 1;
        self.usage.handles_peak = self.usage.handles_peak.max(self.handles);
    }

    pub(crate) fn handle_dropped(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }

    /// Counts a line; false when it has to be dropped.
    pub(crate) fn log(&mut self, bytes: usize) -> bool {
        let total = self.usage.log_bytes.saturating_add(bytes);
        if total > self.limits.log_bytes {
            self.usage.lines_dropped = self.usage.lines_dropped.saturating_add(1);
            return false;
        }
        self.usage.log_bytes = total;
        true
    }

    /// Whether a dropped line was the first to be.
    pub(crate) fn first_line_dropped(&self) -> bool {
        self.usage.lines_dropped == 1
    }

    /// How much of the journal may still be read, in bytes.
    pub(crate) fn journal_left(&self) -> Result<usize, Failure> {
        match self
            .limits
            .journal_bytes
            .saturating_sub(self.usage.journal_bytes)
        {
            0 => Err(self.used_up("journal-bytes", "bytes of journal lines")),
            left => Ok(left),
        }
    }

    pub(crate) fn journal_read(&mut self, bytes: usize) {
        self.usage.journal_bytes = self.usage.journal_bytes.saturating_add(bytes);
    }

    /// Counts a file that is to be hashed.
    pub(crate) fn hash(&mut self, bytes: u64) -> Result<(), Failure> {
        let total = self.usage.hashed_bytes.saturating_add(bytes);
        if total > self.limits.hashed_bytes {
            return Err(self.used_up("hashed-bytes", "bytes of files to hash"));
        }
        self.usage.hashed_bytes = total;
        Ok(())
    }

    fn used_up(&self, key: &str, what: &str) -> Failure {
        Failure::quota(
            key,
            format!(
                "this run has used up its {what}; `{key}` under [strategy.{}.limits] sets how many",
                self.strategy
            ),
        )
    }

    fn grow(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
        unit: usize,
    ) -> wasmtime::Result<bool> {
        // It will be refused anyway: not to be counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current).saturating_mul(unit);
        let wanted = self.memory.saturating_add(more);
        if wanted > self.limits.memory {
            // An error and not a refusal: a refused guest traps with a bare
            // `unreachable`, and nobody would know why.
            return Err(Stop::Memory { wanted }.into());
        }
        self.memory = wanted;
        self.usage.memory_peak = self.usage.memory_peak.max(wanted);
        Ok(true)
    }
}

/// One budget over all memories and tables of the run together.
impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, maximum, 1)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, maximum, ELEMENT)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

/// Processor time of the calling thread.
fn thread_cpu() -> Duration {
    // The kernel never gives negative times here.
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}
