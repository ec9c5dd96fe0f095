//! What stands on the host, to be put together by a test.

use std::{sync::Arc, time::Duration};

use prunella_core::{
    Failure, UnitName, argument,
    capability::{ActiveState, CheckReport, EnvKey, OwnWord, Ownership, UnitStatus},
    health::{Metric, Subject},
    remedy::{Amount, AmountOf},
    service::{FileRole, Port, ReadBy},
    start_rules::StartRules,
};

use crate::{
    condition::{Condition, View},
    names::{name, port},
};

/// A unit: up, unless told otherwise.
#[derive(Clone)]
pub struct Unit {
    pub(crate) status: UnitStatus,
    pub(crate) start_takes: Duration,
    pub(crate) stop_takes: Duration,
    pub(crate) conditions: Vec<(String, Condition)>,
    pub(crate) listens: Vec<Port>,
    pub(crate) comes_up_after: Option<Duration>,
}

impl Unit {
    /// A simple service that is running.
    #[track_caller]
    pub fn new(unit: &str) -> Self {
        Self::named(name(unit))
    }

    /// The same, by a name that is known to be one.
    pub(crate) fn named(unit: UnitName) -> Self {
        Self {
            status: UnitStatus {
                names: vec![unit.clone()],
                description: format!("{unit}, simulated"),
                load_state: "loaded".to_owned(),
                active_state: ActiveState::Active,
                sub_state: "running".to_owned(),
                kind: (unit.kind() == "service").then(|| "simple".to_owned()),
                result: "success".to_owned(),
                exit_code: None,
                signal: None,
                main_pid: None,
                restarts: 0,
                invocation: None,
                since: None,
                since_monotonic: None,
                active_exit_monotonic: None,
                inactive_enter_monotonic: None,
                inactive_exit_monotonic: None,
                main_exit_monotonic: None,
                restart_policy: "no".to_owned(),
                restart_delay: Duration::from_millis(100),
                start_limit_burst: 5,
                start_limit_interval: Duration::from_secs(10),
                start_limit_action: "none".to_owned(),
                failure_action: "none".to_owned(),
                success_action: "none".to_owned(),
                remain_after_exit: false,
                job: None,
                requires: Vec::new(),
                required_by: Vec::new(),
                conflicts: Vec::new(),
                on_failure: Vec::new(),
                triggered_by: Vec::new(),
                triggers: Vec::new(),
                control_group: Some(format!("/system.slice/{unit}")),
                user: String::new(),
                group: String::new(),
                fragment: Some(format!("/etc/systemd/system/{unit}")),
                needs_reload: false,
                can_reload: false,
                private_network: false,
                own_word: OwnWord::default(),
                start_rules: StartRules {
                    start_timeout: Some(Duration::from_secs(90)),
                    ..StartRules::default()
                },
                name: unit,
            },
            start_takes: Duration::from_millis(100),
            stop_takes: Duration::from_millis(50),
            conditions: Vec::new(),
            listens: Vec::new(),
            comes_up_after: None,
        }
    }

    /// Failed, with systemd's word for it, such as `exit-code` or `signal`.
    pub fn failed(mut self, result: &str) -> Self {
        self.status.active_state = ActiveState::Failed;
        self.status.sub_state = "failed".to_owned();
        self.status.result = result.to_owned();
        match result {
            "exit-code" => self.status.exit_code = Some(1),
            "signal" => self.status.signal = Some("KILL".to_owned()),
            _ => {}
        }
        self
    }

    pub fn inactive(mut self) -> Self {
        self.status.active_state = ActiveState::Inactive;
        self.status.sub_state = "dead".to_owned();
        self
    }

    /// Another name for it.
    #[track_caller]
    pub fn alias(mut self, alias: &str) -> Self {
        self.status.names.push(name(alias));
        self
    }

    /// Holds this port while it is up, and does not start when it is taken.
    #[track_caller]
    pub fn listens(mut self, on: &str) -> Self {
        self.listens.push(port(on));
        self
    }

    /// A start fails, with `otherwise` in its log, while this does not hold.
    pub fn starts_when(
        mut self,
        otherwise: &str,
        condition: impl Fn(&View<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.conditions
            .push((otherwise.to_owned(), Arc::new(condition)));
        self
    }

    /// So long from now it is started by somebody else.
    pub fn comes_up_after(mut self, time: Duration) -> Self {
        self.comes_up_after = Some(time);
        self
    }

    /// How long a start takes.
    pub fn start_takes(mut self, time: Duration) -> Self {
        self.start_takes = time;
        self
    }

    /// Anything else about it.
    pub fn with(mut self, change: impl FnOnce(&mut UnitStatus)) -> Self {
        change(&mut self.status);
        self
    }
}

/// A process that holds a port or belongs to a unit.
#[derive(Debug, Clone)]
pub struct Process {
    pub(crate) executable: String,
    pub(crate) user: String,
    pub(crate) unit: Option<UnitName>,
    pub(crate) ownership: Ownership,
    pub(crate) evidence: String,
    pub(crate) ignores_term: bool,
    pub(crate) ends_after: Option<Duration>,
}

impl Process {
    fn new(executable: &str, ownership: Ownership, evidence: &str) -> Self {
        Self {
            executable: executable.to_owned(),
            user: "root".to_owned(),
            unit: None,
            ownership,
            evidence: evidence.to_owned(),
            ignores_term: false,
            ends_after: None,
        }
    }

    /// Of the service's own unit.
    pub fn own(executable: &str) -> Self {
        Self::new(
            executable,
            Ownership::Own,
            "it is in the unit's control group",
        )
    }

    /// Left over from an earlier run, and proven to be.
    pub fn leftover(executable: &str) -> Self {
        Self::new(
            executable,
            Ownership::Leftover,
            "its invocation id is that of an earlier run",
        )
    }

    pub fn stranger(executable: &str) -> Self {
        Self::new(
            executable,
            Ownership::Foreign,
            "nothing connects it with the service",
        )
    }

    /// Whose it is.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// The unit it belongs to.
    #[track_caller]
    pub fn of_unit(mut self, unit: &str) -> Self {
        self.unit = Some(name(unit));
        self
    }

    /// It has to be killed.
    pub fn ignoring_term(mut self) -> Self {
        self.ignores_term = true;
        self
    }

    /// So long from now it ends by itself.
    pub fn ends_after(mut self, time: Duration) -> Self {
        self.ends_after = Some(time);
        self
    }
}

/// A declared file: there and as declared, unless told otherwise.
#[derive(Debug, Clone)]
pub struct File {
    pub(crate) role: FileRole,
    pub(crate) exists: bool,
    pub(crate) mode: (u32, Option<u32>),
    pub(crate) owner: (String, Option<String>),
    pub(crate) target: (Option<String>, Option<String>),
    pub(crate) content: Vec<u8>,
    pub(crate) env: Vec<EnvKey>,
    pub(crate) required: Vec<String>,
    pub(crate) readable: bool,
    pub(crate) optional: bool,
    pub(crate) secret: bool,
    pub(crate) read_by: ReadBy,
    pub(crate) appears_after: Option<Duration>,
    pub(crate) age: Duration,
}

impl File {
    /// A file of this role.
    pub fn new(role: FileRole) -> Self {
        Self {
            role,
            exists: true,
            mode: (0o640, None),
            owner: ("root".to_owned(), None),
            target: (None, None),
            content: b"content".to_vec(),
            env: Vec::new(),
            required: Vec::new(),
            readable: true,
            optional: false,
            secret: false,
            read_by: ReadBy::Service,
            appears_after: None,
            age: Duration::from_secs(3600),
        }
    }

    pub fn plain() -> Self {
        Self::new(FileRole::Plain)
    }

    /// An environment file, which sets nothing yet: see [`sets`](Self::sets).
    pub fn env() -> Self {
        Self::new(FileRole::Env)
    }

    /// An SQLite database.
    pub fn database() -> Self {
        Self::new(FileRole::Database)
    }

    pub fn directory() -> Self {
        Self::new(FileRole::Directory)
    }

    /// A symbolic link, which leads to where it should.
    pub fn link(target: &str) -> Self {
        Self::new(FileRole::Symlink).target(Some(target), target)
    }

    /// So long from now it is there; until then it is not.
    pub fn appears_after(mut self, time: Duration) -> Self {
        self.exists = false;
        self.appears_after = Some(time);
        self
    }

    /// Since it was last modified: an hour, unless told otherwise.
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// It is not there.
    pub fn missing(mut self) -> Self {
        self.exists = false;
        self
    }

    /// Its mode, and the one it should have.
    pub fn mode(mut self, is: u32, declared: u32) -> Self {
        self.mode = (is, Some(declared));
        self
    }

    /// Its owner, and the one it should have.
    pub fn owner(mut self, is: &str, declared: &str) -> Self {
        self.owner = (is.to_owned(), Some(declared.to_owned()));
        self
    }

    /// Where the link leads, if it is there, and where it should.
    pub fn target(mut self, is: Option<&str>, declared: &str) -> Self {
        self.exists = is.is_some();
        self.target = (is.map(str::to_owned), Some(declared.to_owned()));
        self
    }

    /// `NAME=value` in an environment file.
    pub fn sets(mut self, key: &str, value: &str) -> Self {
        self.env.push(EnvKey {
            name: key.to_owned(),
            empty: value.is_empty(),
        });
        self
    }

    /// A name that an environment file must set.
    pub fn requires(mut self, key: &str) -> Self {
        self.required.push(key.to_owned());
        self
    }

    /// What is in it.
    pub fn content(mut self, content: &[u8]) -> Self {
        self.content = content.to_vec();
        self
    }

    /// Whoever reads it cannot.
    pub fn unreadable(mut self) -> Self {
        self.readable = false;
        self
    }

    /// The service can start without it.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Neither size nor hash may be told.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// systemd reads it, not the program.
    pub fn read_by_manager(mut self) -> Self {
        self.read_by = ReadBy::Manager;
        self
    }
}

/// A declared check, and what comes of it.
#[derive(Debug, Clone)]
pub struct Check {
    pub(crate) report: CheckReport,
    pub(crate) mutates: bool,
    pub(crate) validates: bool,
}

impl Check {
    /// One that passes.
    pub fn passes() -> Self {
        Self {
            report: CheckReport {
                passed: true,
                exit_code: Some(0),
                signal: None,
                output: String::new(),
            },
            mutates: false,
            validates: false,
        }
    }

    /// One that fails, and says why.
    pub fn fails(exit_code: i32, output: &str) -> Self {
        Self {
            report: CheckReport {
                passed: false,
                exit_code: Some(exit_code),
                signal: None,
                output: output.to_owned(),
            },
            mutates: false,
            validates: false,
        }
    }

    /// It changes something.
    pub fn changing(mut self) -> Self {
        self.mutates = true;
        self
    }

    /// It says if the configuration is valid.
    pub fn validating(mut self) -> Self {
        self.validates = true;
        self
    }
}

/// A declared remedy, and what it would do.
#[derive(Debug, Clone)]
pub struct Remedy {
    pub(crate) kind: String,
    pub(crate) about: Vec<String>,
    pub(crate) along: Vec<UnitName>,
    pub(crate) does: String,
    pub(crate) nothing: Option<String>,
    pub(crate) amount: Option<Amount>,
    pub(crate) gains: Option<u64>,
    pub(crate) undoable: bool,
    pub(crate) again: bool,
    pub(crate) applied: bool,
    pub(crate) fails: Option<Failure>,
    pub(crate) changes: Vec<RemedyChange>,
}

/// What a remedy changes of what can be looked at.
#[derive(Debug, Clone)]
pub(crate) enum RemedyChange {
    Answers(String),
    Disk { available: u64 },
    Metric(Subject, Metric, u64),
}

impl Remedy {
    /// One of a kind, such as `set-aside`, that does this once: `move the cache aside`.
    pub fn of(kind: &str, does: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            about: Vec::new(),
            along: Vec::new(),
            does: does.to_owned(),
            nothing: None,
            amount: None,
            gains: None,
            undoable: false,
            again: false,
            applied: false,
            fails: None,
            changes: Vec::new(),
        }
    }

    /// It has nothing to do, because of this.
    pub fn nothing(mut self, because: &str) -> Self {
        self.nothing = Some(because.to_owned());
        self
    }

    /// How much it says that it would do.
    pub fn amount(mut self, of: AmountOf, value: u64) -> Self {
        self.amount = Some(Amount { value, of });
        self
    }

    /// How much it does, where that is not what it says.
    pub fn gains(mut self, value: u64) -> Self {
        self.gains = Some(value);
        self
    }

    /// It can be undone.
    pub fn undoable(mut self) -> Self {
        self.undoable = true;
        self
    }

    /// It can be applied more than once.
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// It was applied before: a circuit is open.
    pub fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    /// It cannot be done.
    pub fn fails(mut self, because: &str) -> Self {
        self.fails = Some(Failure::failed("simulated", because));
        self
    }

    /// A [mute](crate::Sim::mute) probe is answered afterwards, and a
    /// [slow](crate::Sim::slow) one in time.
    pub fn answers(mut self, probe: &str) -> Self {
        self.changes.push(RemedyChange::Answers(probe.to_owned()));
        self
    }

    /// So many bytes are available on the host's file systems afterwards.
    pub fn leaves_available(mut self, available: u64) -> Self {
        self.changes.push(RemedyChange::Disk { available });
        self
    }

    /// What it is about, where its kind can be about several things: `memory-high`.
    pub fn about(mut self, about: &str) -> Self {
        self.about.push(about.to_owned());
        self
    }

    /// It would act on this unit, too: one that runs in a slice.
    #[track_caller]
    pub fn takes_along(mut self, unit: &str) -> Self {
        self.along.push(name(unit));
        self
    }

    /// What is measured of a unit, or of `host`, afterwards.
    #[track_caller]
    pub fn sets(mut self, subject: &str, metric: &str, value: u64) -> Self {
        let subject = argument::subject(subject);
        let subject = subject.unwrap_or_else(|failure: Failure| panic!("{failure}"));
        let metric = argument::metric(metric);
        let metric = metric.unwrap_or_else(|failure: Failure| panic!("{failure}"));
        self.changes
            .push(RemedyChange::Metric(subject, metric, value));
        self
    }
}
