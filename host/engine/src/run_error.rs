//! Why a run broke off.

use std::{fmt, time::Duration};

use prunella_core::StrategyName;
use serde::{Deserialize, Serialize};

/// What a strategy was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// Say who it is.
    Describe,
    /// Look, and say what it would do.
    Assess,
    Heal,
}

impl Call {
    /// `describe`, `assess` or `heal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Assess => "assess",
            Self::Heal => "heal",
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Describe => "describing itself",
            Self::Assess => "assessing",
            Self::Heal => "healing",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A run that broke off: which strategy, at what, and why. Its sentence ends
/// with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strategy `{strategy}` {}", cause.sentence(strategy, *call))]
pub struct RunError {
    pub strategy: StrategyName,
    /// What it was asked to do.
    pub call: Call,
    /// Why it broke off.
    pub cause: Cause,
}

impl RunError {
    /// A stable word for logs, the store and `--json`.
    pub fn kind(&self) -> &'static str {
        self.cause.kind()
    }
}

/// Why a run broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The strategy's own code panicked, and said so.
    Panic {
        message: String,
        /// The source file.
        file: String,
        /// The line in it.
        line: u32,
    },
    /// The strategy's own code trapped.
    Trap {
        /// What went wrong.
        what: String,
        /// The function it happened in, innermost first; empty when unknown.
        trace: Vec<String>,
    },
    /// Its stack is used up.
    StackOverflow {
        /// The function it happened in.
        trace: Vec<String>,
    },
    /// The time is up.
    Deadline {
        /// `deadline`.
        limit: Duration,
    },
    /// Its processor time is used up.
    CpuLimit {
        /// `cpu`.
        limit: Duration,
    },
    /// It wanted more memory than it may have.
    MemoryLimit {
        /// `memory`, in bytes.
        limit: usize,
        /// What it would have had, in bytes.
        wanted: usize,
    },
    /// It went on calling the host after its calls were used up.
    HostCallQuota {
        /// `host-calls`.
        limit: u32,
    },
    /// It asked for one more handle than it may hold, by a call that has no
    /// other way to refuse it.
    HandleQuota {
        /// `handles`.
        limit: usize,
    },
    /// It passed more data to the host, in one call or answer, than it may.
    DataLimit {
        /// `data-per-call`, in bytes.
        limit: usize,
    },
    /// The host could not run it: nothing that the strategy did.
    Host {
        /// What went wrong.
        reason: String,
    },
}

impl Cause {
    /// A stable word for logs, the store and `--json`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Panic { .. } => "panic",
            Self::Trap { .. } => "trap",
            Self::StackOverflow { .. } => "stack-overflow",
            Self::Deadline { .. } => "deadline",
            Self::CpuLimit { .. } => "cpu-limit",
            Self::MemoryLimit { .. } => "memory-limit",
            Self::HostCallQuota { .. } => "host-call-quota",
            Self::HandleQuota { .. } => "handle-quota",
            Self::DataLimit { .. } => "data-limit",
            Self::Host { .. } => "host",
        }
    }

    fn sentence(&self, strategy: &StrategyName, call: Call) -> String {
        let doing = call.doing();
        let raise = |key: &str| {
            format!(
                "if it rightly needs more, raise `{key}` under [strategy.{strategy}.limits], \
                 else tell its author"
            )
        };
        match self {
            Self::Panic {
                message,
                file,
                line,
            } => format!(
                "panicked while {doing}, at {file}:{line}: {message}; this is a bug in the \
                 strategy, tell its author"
            ),
            Self::Trap { what, trace } => format!(
                "broke off while {doing}: {what}{}; this is a bug in the strategy, tell its author",
                within(trace)
            ),
            Self::StackOverflow { trace } => format!(
                "used up its stack while {doing}{}, probably by a recursion without end; this is \
                 a bug in the strategy, tell its author",
                within(trace)
            ),
            Self::Deadline { limit } => format!(
                "was not done after {} of {doing} and was stopped; {}",
                seconds(*limit),
                raise("deadline")
            ),
            Self::CpuLimit { limit } => format!(
                "used up its {} of processor time while {doing} and was stopped; {}",
                seconds(*limit),
                raise("cpu")
            ),
            Self::MemoryLimit { limit, wanted } => format!(
                "wanted {} of memory while {doing}, may have {}, and was stopped; {}",
                bytes(*wanted),
                bytes(*limit),
                raise("memory")
            ),
            Self::HostCallQuota { limit } => format!(
                "made more than {limit} calls to the host while {doing} and was stopped; {}",
                raise("host-calls")
            ),
            Self::HandleQuota { limit } => format!(
                "held {limit} handles while {doing}, asked for one more, and was stopped; {}",
                raise("handles")
            ),
            Self::DataLimit { limit } => format!(
                "passed more than {} to the host at once while {doing} and was stopped; {}",
                bytes(*limit),
                raise("data-per-call")
            ),
            Self::Host { reason } => format!(
                "could not be run for {doing}: {reason}; the host is short of something, not the \
                 strategy"
            ),
        }
    }
}

/// ` in a, called by b`.
fn within(trace: &[String]) -> String {
    match trace {
        [] => String::new(),
        [only] => format!(" in {only}"),
        [first, second, ..] => format!(" in {first}, called by {second}"),
    }
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

fn bytes(number: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    if number >= MIB {
        format!("{} MiB", number.div_ceil(MIB))
    } else if number >= KIB {
        format!("{} KiB", number.div_ceil(KIB))
    } else {
        format!("{number} bytes")
    }
}
