//! systemd's properties as a [`UnitStatus`], whether they came over D-Bus or
//! from `systemctl show`.

use std::{collections::HashMap, time::Duration};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    capability::{ActiveState, OwnWord, PendingJob, UnitStatus},
    hash::hexadecimal,
    start_rules::StartRules,
    text::{one_line, redact},
};
use zbus::Variant;

/// Characters of what a service says of itself.
const OWN_STATUS: usize = 200;

/// Properties by systemd's names. An absent property is like an empty one:
/// which there are depends on the type of the unit and systemd's version.
pub(crate) trait Facts {
    /// A text; none when it is empty.
    fn text(&self, name: &str) -> Option<String>;
    /// A number, not negative; for a time span microseconds.
    fn number(&self, name: &str) -> Option<u64>;
    /// Yes or no.
    fn flag(&self, name: &str) -> bool;
    fn list(&self, name: &str) -> Vec<String>;
    /// 128 bits as 32 hexadecimal digits; none when there are none or all zero.
    fn id(&self, name: &str) -> Option<String>;
    /// The number of the pending job.
    fn job(&self) -> Option<u32>;
    /// A set of exit codes and signals, these without `SIG`.
    fn exit_statuses(&self, name: &str) -> (Vec<i32>, Vec<String>);
    /// The conditions or assertions under this name that were not met when they
    /// were tried last, each as its line in the unit file.
    fn unmet(&self, name: &str) -> Vec<String>;

    /// A time of the wall clock; systemd's 0 means that it never was.
    fn timestamp(&self, name: &str) -> Option<Timestamp> {
        let at = self.number(name).filter(|at| *at != 0);
        at.map(Timestamp::from_micros)
    }

    /// A time of the monotonic clock.
    fn monotonic(&self, name: &str) -> Option<Monotonic> {
        let at = self.number(name).filter(|at| *at != 0);
        at.map(Monotonic::from_micros)
    }

    /// A length of time.
    fn length(&self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_micros)
    }

    /// A number of 32 bits.
    fn small(&self, name: &str) -> u32 {
        self.number(name)
            .map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX))
    }
}

/// Properties as they are in a D-Bus message.
pub(crate) struct Bag<'a>(pub(crate) HashMap<&'a str, Variant<'a>>);

impl Facts for Bag<'_> {
    fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Variant::Str(text) if !text.is_empty() => Some(text.as_str().to_owned()),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        match *self.0.get(name)? {
            Variant::U8(number) => Some(u64::from(number)),
            Variant::U16(number) => Some(u64::from(number)),
            Variant::U32(number) => Some(u64::from(number)),
            Variant::U64(number) => Some(number),
            Variant::I16(number) => u64::try_from(number).ok(),
            Variant::I32(number) => u64::try_from(number).ok(),
            Variant::I64(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Variant::Bool(true)))
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Variant::Array(array)) => array
                .iter()
                .filter_map(|item| match item {
                    Variant::Str(text) => Some(text.as_str().to_owned()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn id(&self, name: &str) -> Option<String> {
        let Some(Variant::Array(bytes)) = self.0.get(name) else {
            return None;
        };
        let bytes: Vec<u8> = bytes
            .iter()
            .filter_map(|byte| match byte {
                Variant::U8(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        (bytes.len() == 16 && bytes.iter().any(|byte| *byte != 0)).then(|| hexadecimal(&bytes))
    }

    fn job(&self) -> Option<u32> {
        let Some(Variant::Structure(job)) = self.0.get("Job") else {
            return None;
        };
        match job.fields().first() {
            Some(Variant::U32(id)) if *id != 0 => Some(*id),
            _ => None,
        }
    }

    fn exit_statuses(&self, name: &str) -> (Vec<i32>, Vec<String>) {
        let Some(Variant::Structure(set)) = self.0.get(name) else {
            return (Vec::new(), Vec::new());
        };
        let signals = Self::numbers(set.fields().get(1));
        (
            Self::numbers(set.fields().first()),
            signals.into_iter().map(signal_name).collect(),
        )
    }

    fn unmet(&self, name: &str) -> Vec<String> {
        let Some(Variant::Array(array)) = self.0.get(name) else {
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|item| {
                let Variant::Structure(item) = item else {
                    return None;
                };
                match item.fields() {
                    [
                        Variant::Str(kind),
                        Variant::Bool(trigger),
                        Variant::Bool(negate),
                        Variant::Str(parameter),
                        Variant::I32(state),
                    ] if *state < 0 => Some(condition(
                        kind.as_str(),
                        *trigger,
                        *negate,
                        parameter.as_str(),
                    )),
                    _ => None,
                }
            })
            .collect()
    }
}

impl Bag<'_> {
    /// The numbers of an array in a structure.
    fn numbers(array: Option<&Variant<'_>>) -> Vec<i32> {
        match array {
            Some(Variant::Array(array)) => array
                .iter()
                .filter_map(|item| match item {
                    Variant::I32(number) => Some(*number),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A condition's line: `ConditionPathExists=!/etc/it`.
fn condition(kind: &str, trigger: bool, negate: bool, parameter: &str) -> String {
    let trigger = if trigger { "|" } else { "" };
    let negate = if negate { "!" } else { "" };
    format!("{kind}={trigger}{negate}{parameter}")
}

/// A unit's status. The kind of a pending job is not among the properties and
/// stays empty.
pub(crate) fn status(name: UnitName, facts: &impl Facts) -> UnitStatus {
    let is_service = name.kind() == "service";
    let (exit_code, signal) = main_end(facts);
    UnitStatus {
        names: {
            let mut names = units(facts, &["Names"]);
            if !names.contains(&name) {
                names.push(name.clone());
            }
            names
        },
        description: facts.text("Description").unwrap_or_default(),
        load_state: facts.text("LoadState").unwrap_or_default(),
        active_state: ActiveState::parse(&facts.text("ActiveState").unwrap_or_default()),
        sub_state: facts.text("SubState").unwrap_or_default(),
        // A mount has a Type= too: its file system.
        kind: facts.text("Type").filter(|_| is_service),
        result: facts.text("Result").unwrap_or_else(|| "success".to_owned()),
        exit_code,
        signal,
        main_pid: facts
            .number("MainPID")
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0),
        restarts: facts.small("NRestarts"),
        invocation: facts.id("InvocationID"),
        since: facts.timestamp("StateChangeTimestamp"),
        since_monotonic: facts.monotonic("StateChangeTimestampMonotonic"),
        active_exit_monotonic: facts.monotonic("ActiveExitTimestampMonotonic"),
        inactive_enter_monotonic: facts.monotonic("InactiveEnterTimestampMonotonic"),
        inactive_exit_monotonic: facts.monotonic("InactiveExitTimestampMonotonic"),
        main_exit_monotonic: facts.monotonic("ExecMainExitTimestampMonotonic"),
        restart_policy: facts.text("Restart").unwrap_or_else(|| "no".to_owned()),
        restart_delay: facts.length("RestartUSec").unwrap_or_default(),
        start_limit_burst: facts.small("StartLimitBurst"),
        start_limit_interval: facts.length("StartLimitIntervalUSec").unwrap_or_default(),
        start_limit_action: action(facts, "StartLimitAction"),
        failure_action: action(facts, "FailureAction"),
        success_action: action(facts, "SuccessAction"),
        remain_after_exit: facts.flag("RemainAfterExit"),
        job: facts.job().map(|id| PendingJob {
            id,
            kind: String::new(),
        }),
        requires: units(facts, &["Requires", "Requisite", "BindsTo"]),
        // PropagatesStopTo= (249 and later) stops others in the same way.
        required_by: units(
            facts,
            &[
                "RequiredBy",
                "RequisiteOf",
                "BoundBy",
                "ConsistsOf",
                "PropagatesStopTo",
            ],
        ),
        conflicts: units(facts, &["Conflicts", "ConflictedBy"]),
        on_failure: units(facts, &["OnFailure"]),
        triggered_by: units(facts, &["TriggeredBy"]),
        triggers: units(facts, &["Triggers"]),
        control_group: facts.text("ControlGroup"),
        user: facts.text("User").unwrap_or_default(),
        group: facts.text("Group").unwrap_or_default(),
        fragment: facts.text("FragmentPath"),
        needs_reload: facts.flag("NeedDaemonReload"),
        can_reload: facts.flag("CanReload"),
        private_network: facts.flag("PrivateNetwork")
            || facts.text("NetworkNamespacePath").is_some(),
        start_rules: start_rules(facts),
        own_word: own_word(facts),
        name,
    }
}

/// What the service says of itself.
fn own_word(facts: &impl Facts) -> OwnWord {
    OwnWord {
        status: facts
            .text("StatusText")
            .map(|status| one_line(&redact(&status), OWN_STATUS))
            .filter(|status| !status.is_empty()),
        watchdog: facts
            .length("WatchdogUSec")
            .filter(|every| !every.is_zero() && *every != Duration::from_micros(u64::MAX)),
        alive_monotonic: facts.monotonic("WatchdogTimestampMonotonic"),
    }
}

/// What the unit's author says of its starts.
fn start_rules(facts: &impl Facts) -> StartRules {
    let (prevented_by_codes, prevented_by_signals) =
        facts.exit_statuses("RestartPreventExitStatus");
    // systemd says `no` of what it has not tried yet, too.
    let not_met =
        |tried: &str, result: &str| facts.monotonic(tried).is_some() && !facts.flag(result);
    let conditions = not_met("ConditionTimestampMonotonic", "ConditionResult");
    let assertions = not_met("AssertTimestampMonotonic", "AssertResult");
    let mut unmet_lines = Vec::new();
    if conditions {
        unmet_lines.extend(facts.unmet("Conditions"));
    }
    if assertions {
        unmet_lines.extend(facts.unmet("Asserts"));
    }
    StartRules {
        prevented_by_codes,
        prevented_by_signals,
        refuses_manual_start: facts.flag("RefuseManualStart"),
        unmet: conditions || assertions,
        unmet_lines,
        start_timeout: facts
            .number("TimeoutStartUSec")
            .filter(|limit| *limit != u64::MAX)
            .map(Duration::from_micros),
        active_enter_monotonic: facts.monotonic("ActiveEnterTimestampMonotonic"),
    }
}

/// How the main process ended: its exit code, or the signal. Neither while it
/// runs, and neither when there was none.
pub(crate) fn main_end(facts: &impl Facts) -> (Option<i32>, Option<String>) {
    // waitid(2)'s si_code.
    const EXITED: u64 = 1;
    const KILLED: u64 = 2;
    const DUMPED: u64 = 3;
    let status = facts
        .number("ExecMainStatus")
        .and_then(|status| i32::try_from(status).ok());
    match facts.number("ExecMainCode") {
        Some(EXITED) => (status, None),
        Some(KILLED | DUMPED) => (None, status.map(signal_name)),
        _ => (None, None),
    }
}

fn action(facts: &impl Facts, name: &str) -> String {
    facts.text(name).unwrap_or_else(|| "none".to_owned())
}

/// The units in these properties, each once.
fn units(facts: &impl Facts, properties: &[&str]) -> Vec<UnitName> {
    let mut units: Vec<UnitName> = Vec::new();
    for name in properties.iter().flat_map(|property| facts.list(property)) {
        // Every name systemd gives is valid; one that Prunella did not know
        // could not be acted on either.
        if let Ok(unit) = UnitName::new(name)
            && !units.contains(&unit)
        {
            units.push(unit);
        }
    }
    units
}

/// A signal's name without `SIG`, or its number.
fn signal_name(number: i32) -> String {
    // The numbers of x86, ARM, RISC-V, s390x and POWER (signal(7)).
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    usize::try_from(number)
        .ok()
        .and_then(|number| NAMES.get(number.checked_sub(1)?))
        .map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use zbus::{Array, Structure};

    use super::*;

    fn bag(properties: Vec<(&'static str, Variant<'static>)>) -> Bag<'static> {
        Bag(properties.into_iter().collect())
    }

    fn name() -> UnitName {
        UnitName::new("web.service").unwrap()
    }

    #[test]
    fn a_unit_of_which_nothing_is_told() {
        let status = status(name(), &bag(vec![]));
        assert_eq!(status.result, "success");
        assert_eq!(status.restart_policy, "no");
        assert_eq!(status.failure_action, "none");
        assert_eq!(status.names, [name()]);
        assert_eq!(status.main_pid, None);
        assert_eq!(status.invocation, None);
        assert_eq!(status.job, None);
    }

    #[test]
    fn what_a_service_says_of_itself() {
        let said = status(
            name(),
            &bag(vec![
                ("StatusText", Variant::new("3 of 12\n password=hunter2")),
                ("WatchdogUSec", Variant::U64(30_000_000)),
                ("WatchdogTimestampMonotonic", Variant::U64(4_000)),
            ]),
        );
        let word = said.own_word;
        let text = word.status.unwrap();
        assert!(
            text.starts_with("3 of 12") && !text.contains("hunter2"),
            "{text}"
        );
        assert_eq!(word.watchdog, Some(Duration::from_secs(30)));
        assert_eq!(word.alive_monotonic, Some(Monotonic::from_micros(4_000)));
        let silent = status(
            name(),
            &bag(vec![
                ("StatusText", Variant::new("")),
                ("WatchdogUSec", Variant::U64(0)),
            ]),
        );
        assert_eq!(silent.own_word, OwnWord::default());
    }

    #[test]
    fn a_unit_killed_in_the_middle_of_its_life() {
        let job = Structure::from((
            7u32,
            zbus::ObjectPath::try_from("/org/freedesktop/systemd1/job/7").unwrap(),
        ));
        let status = status(
            name(),
            &bag(vec![
                ("ActiveState", Variant::new("failed")),
                ("SubState", Variant::new("failed")),
                ("Result", Variant::new("signal")),
                ("Type", Variant::new("simple")),
                ("ExecMainCode", Variant::I32(2)),
                ("ExecMainStatus", Variant::I32(9)),
                ("MainPID", Variant::U32(0)),
                ("NRestarts", Variant::U32(3)),
                ("InactiveEnterTimestampMonotonic", Variant::U64(4_000)),
                ("ActiveExitTimestampMonotonic", Variant::U64(0)),
                (
                    "InvocationID",
                    Variant::Array(Array::from(vec![0xabu8; 16])),
                ),
                ("Job", Variant::Structure(job)),
                (
                    "Names",
                    Variant::Array(Array::from(vec!["web.service", "www.service"])),
                ),
                ("Requires", Variant::Array(Array::from(vec!["db.service"]))),
                (
                    "BindsTo",
                    Variant::Array(Array::from(vec!["db.service", "dev-sda.device"])),
                ),
            ]),
        );
        assert_eq!(status.active_state, ActiveState::Failed);
        assert_eq!(status.signal.as_deref(), Some("KILL"));
        assert_eq!(status.exit_code, None);
        assert_eq!(status.restarts, 3);
        assert_eq!(
            status.inactive_enter_monotonic,
            Some(Monotonic::from_micros(4_000))
        );
        assert_eq!(status.active_exit_monotonic, None);
        assert_eq!(status.invocation, Some("ab".repeat(16)));
        assert_eq!(status.job.unwrap().id, 7);
        assert_eq!(status.names.len(), 2);
        assert_eq!(status.requires.len(), 2);
    }

    #[rstest]
    #[case::runs(0, 0, None, None)]
    #[case::exited(1, 3, Some(3), None)]
    #[case::killed(2, 15, None, Some("TERM"))]
    #[case::dumped(3, 11, None, Some("SEGV"))]
    #[case::real_time_signal(2, 34, None, Some("34"))]
    fn how_the_main_process_ended(
        #[case] code: i32,
        #[case] status: i32,
        #[case] exit_code: Option<i32>,
        #[case] signal: Option<&str>,
    ) {
        let facts = bag(vec![
            ("ExecMainCode", Variant::I32(code)),
            ("ExecMainStatus", Variant::I32(status)),
        ]);
        assert_eq!(main_end(&facts), (exit_code, signal.map(str::to_owned)));
    }

    #[test]
    fn start_rules_of_a_unit() {
        let prevented = Structure::from((vec![3i32, 4], vec![9i32]));
        let conditions = Array::from(vec![
            ("ConditionPathExists", false, true, "/run/off", -1i32),
            ("ConditionUser", false, false, "root", 1i32),
        ]);
        let rules = status(
            name(),
            &bag(vec![
                ("RestartPreventExitStatus", Variant::Structure(prevented)),
                ("Conditions", Variant::Array(conditions)),
                ("ConditionTimestampMonotonic", Variant::U64(7)),
                ("ConditionResult", Variant::Bool(false)),
                ("AssertTimestampMonotonic", Variant::U64(0)),
                ("AssertResult", Variant::Bool(false)),
                ("TimeoutStartUSec", Variant::U64(u64::MAX)),
            ]),
        )
        .start_rules;
        assert_eq!(rules.prevented_by_codes, [3, 4]);
        assert_eq!(rules.prevented_by_signals, ["KILL"]);
        assert!(rules.unmet);
        assert_eq!(rules.unmet_lines, ["ConditionPathExists=!/run/off"]);
        assert_eq!(rules.start_timeout, None);
        // Nothing was tried yet.
        let untried = bag(vec![("ConditionResult", Variant::Bool(false))]);
        assert!(!status(name(), &untried).start_rules.unmet);
    }

    #[test]
    fn an_invocation_of_zeros_is_none() {
        let facts = bag(vec![(
            "InvocationID",
            Variant::Array(Array::from(vec![0u8; 16])),
        )]);
        assert_eq!(facts.id("InvocationID"), None);
    }

    #[test]
    fn a_mounts_type_is_not_a_services() {
        let mount = UnitName::new("var.mount").unwrap();
        let facts = bag(vec![("Type", Variant::new("ext4"))]);
        assert_eq!(status(mount, &facts).kind, None);
    }
}
