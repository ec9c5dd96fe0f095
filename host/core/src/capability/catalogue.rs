//! What is derived from the table of all capabilities: the values that go to the
//! host and back, the acts that grants name, and the list of interfaces.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Answer, Budget, CheckReport, Consequence, Described, Description, EnvKey, FileStatus, Job,
    Load, LogEntry, Memory, PastIncident, PortHolder, Pressure, ProbeAnswer, Process, Subject,
    Termination, UnitStatus, call, checks, circuit, cleanup, config_update, failover, file_repair,
    file_restore, instances, memory, mode, offenders, process_control, release, set_aside, signal,
    stale_file, traffic, unit_control, unit_limits, zombies,
};
use crate::remedy::REMEDY_KINDS;

/// One call and its answer, by name and by value.
pub trait Operation: Described + Sized {
    /// What the host answers.
    type Answer;

    fn into_call(self) -> Call;

    /// The answer to this call, as a reply.
    ///
    /// # Errors
    /// The failure that `answer` is.
    fn reply(&self, answer: Answer<Self::Answer>) -> Answer<Reply>;

    /// The answer in a reply; none when it is the reply to another call.
    fn answer(reply: Reply) -> Option<Self::Answer>;
}

macro_rules! calls {
    ($($package:ident $module:ident $name:literal $looking:literal {
        $($call:ident: $operation:ident -> $answer:ty;)*
    })*) => {
        /// Everything that can be asked of a host. What it serializes to is its
        /// arguments, by name.
        #[derive(Debug, Clone, Serialize)]
        #[serde(untagged)]
        pub enum Call {
            $($($call(super::$module::$operation),)*)*
        }

        /// What a host answers.
        #[derive(Debug, Clone, Serialize)]
        #[serde(untagged)]
        #[allow(
            clippy::large_enum_variant,
            reason = "moved a few times and dropped: a box would cost more"
        )]
        pub enum Reply {
            $($($call($answer),)*)*
        }

        $($(impl Operation for super::$module::$operation {
            type Answer = $answer;

            fn into_call(self) -> Call {
                Call::$call(self)
            }

            fn reply(&self, answer: Answer<$answer>) -> Answer<Reply> {
                answer.map(Reply::$call)
            }

            fn answer(reply: Reply) -> Option<$answer> {
                match reply {
                    Reply::$call(answer) => Some(answer),
                    _ => None,
                }
            }
        })*)*

        impl Described for Call {
            fn description(&self) -> Description {
                match self {
                    $($(Self::$call(call) => call.description(),)*)*
                }
            }

            fn subject(&mut self) -> Subject<'_> {
                match self {
                    $($(Self::$call(call) => call.subject(),)*)*
                }
            }
        }

        impl Call {
            /// Reads a reply to this call, as [`Reply`] serializes.
            ///
            /// # Errors
            /// It is none.
            pub fn read_reply<'de, D: Deserializer<'de>>(
                &self,
                from: D,
            ) -> Result<Reply, D::Error> {
                match self {
                    $($(Self::$call(_) => <$answer>::deserialize(from).map(Reply::$call),)*)*
                }
            }
        }

        /// Every interface of the contract, with what looking through it means.
        pub const INTERFACES: &[Interface] = &[
            $(Interface {
                package: Package::$package,
                name: $name,
                looking: $looking,
            },)*
        ];
    };
}

catalogue!(calls);

/// Which package of the contract an interface belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// `prunella:base`: what every strategy has.
    Base,
    /// `prunella:observe`: looking.
    Observe,
    /// `prunella:act`: acting.
    Act,
}

/// One interface of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    pub package: Package,
    /// Such as `unit-control`.
    pub name: &'static str,
    /// For people, of a component that imports it: `asks declared probes`. Empty
    /// where that goes without saying, or where each act has words of its own.
    pub looking: &'static str,
}

/// Names every act there is, with its description. An act that is not here cannot
/// be granted; and one without a budget, durability and oversight does not compile.
macro_rules! acts {
    ($($act:ident = $consequence:expr;)*) => {
        /// One function of an act interface: what a grant names.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub enum Act {
            $($act,)*
        }

        impl Act {
            /// All there are, in the order of the contract.
            pub const ALL: [Self; [$(stringify!($act)),*].len()] = [$(Self::$act,)*];

            /// What it means, and what it costs.
            pub fn consequence(self) -> &'static Consequence {
                match self {
                    $(Self::$act => &$consequence,)*
                }
            }
        }
    };
}

acts! {
    Start = unit_control::START;
    Restart = unit_control::RESTART;
    Stop = unit_control::STOP;
    Reload = unit_control::RELOAD;
    ResetFailed = unit_control::RESET_FAILED;
    Terminate = process_control::TERMINATE;
    RepairMode = file_repair::MODE;
    RepairOwner = file_repair::OWNER;
    RepairTarget = file_repair::TARGET;
    RunCheck = checks::RUN;
    MakeCall = call::SEND;
    OpenCircuit = circuit::OPEN;
    HalfOpenCircuit = circuit::HALF_OPEN;
    RollBack = release::ROLL_BACK;
    SendSignal = signal::SEND;
    Cleanup = cleanup::RUN;
    UpdateConfig = config_update::RUN;
    EnterMode = mode::ENTER;
    SwitchOver = failover::SWITCH;
    RestoreFile = file_restore::RUN;
    SetAside = set_aside::RUN;
    RemoveStale = stale_file::REMOVE;
    DrainTraffic = traffic::DRAIN;
    MaintainTraffic = traffic::MAINTAIN;
    RestoreTraffic = traffic::RESTORE;
    RaiseLimits = unit_limits::RAISE;
    LowerLimits = unit_limits::LOWER;
    ReclaimMemory = memory::RECLAIM;
    Throttle = offenders::THROTTLE;
    Freeze = offenders::FREEZE;
    Thaw = offenders::THAW;
    ReapZombies = zombies::REAP;
    ScaleUp = instances::UP;
    ScaleDown = instances::DOWN;
}

impl Act {
    /// Its name in a grant, such as `unit-control.restart`.
    pub fn name(self) -> &'static str {
        self.consequence().name
    }

    /// The interface it belongs to, such as `unit-control`.
    pub fn interface(self) -> &'static str {
        self.name()
            .split_once('.')
            .map_or("", |(interface, _)| interface)
    }

    /// The act of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }

    /// The acts that `pattern` names: one (`unit-control.start`) or an interface's
    /// all (`unit-control`). Empty when there are none.
    pub fn matching(pattern: &str) -> BTreeSet<Self> {
        Self::ALL
            .into_iter()
            .filter(|act| act.name() == pattern || act.interface() == pattern)
            .collect()
    }

    /// Whether it acts on a declared remedy.
    pub fn is_remedy(self) -> bool {
        REMEDY_KINDS.contains(&self.interface())
    }

    /// Whether it counts as a healing (one start or restart).
    pub fn is_healing(self) -> bool {
        self.consequence().budget == Budget::Healing
    }
}

impl Call {
    /// The act that this call is, if it acts.
    pub fn act(&self) -> Option<Act> {
        match self.description() {
            Description::Act(act) => Some(act),
            Description::Look(_) => None,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Act> for String {
    fn from(act: Act) -> Self {
        act.name().to_owned()
    }
}

impl TryFrom<String> for Act {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name).ok_or_else(|| format!("`{name}` is not an act"))
    }
}
