//! What the author of a unit says of its starts: when systemd must not start it,
//! and how long a start may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Monotonic;

/// What a unit file says of starts, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRules {
    /// The exit codes in RestartPreventExitStatus=.
    pub prevented_by_codes: Vec<i32>,
    /// The signals in RestartPreventExitStatus=, without `SIG`.
    pub prevented_by_signals: Vec<String>,
    /// RefuseManualStart=: only another unit may have it started.
    pub refuses_manual_start: bool,
    /// Whether systemd skipped or refused the last start, since a Condition…= or
    /// Assert…= was not met.
    pub unmet: bool,
    /// Which of them were not met, such as `ConditionPathExists=/etc/it`, as far
    /// as systemd tells.
    pub unmet_lines: Vec<String>,
    /// TimeoutStartSec=; absent when a start may take for ever.
    #[serde(default, with = "crate::span::in_micros")]
    pub start_timeout: Option<Duration>,
    /// When it last became active.
    pub active_enter_monotonic: Option<Monotonic>,
}

impl StartRules {
    /// Whether a main process that ended so is not to be started again, in the
    /// words of RestartPreventExitStatus=.
    pub fn prevents(&self, exit_code: Option<i32>, signal: Option<&str>) -> Option<String> {
        if let Some(code) = exit_code.filter(|code| self.prevented_by_codes.contains(code)) {
            return Some(format!("exit status {code}"));
        }
        let signal = signal?;
        self.prevented_by_signals
            .iter()
            .any(|prevented| prevented == signal)
            .then(|| format!("SIG{signal}"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::code(Some(3), None, Some("exit status 3"))]
    #[case::another_code(Some(4), None, None)]
    #[case::signal(None, Some("KILL"), Some("SIGKILL"))]
    #[case::another_signal(None, Some("SEGV"), None)]
    #[case::neither(None, None, None)]
    fn settings_that_prevent_a_restart(
        #[case] exit_code: Option<i32>,
        #[case] signal: Option<&str>,
        #[case] prevented: Option<&str>,
    ) {
        let rules = StartRules {
            prevented_by_codes: vec![3],
            prevented_by_signals: vec!["KILL".to_owned()],
            ..StartRules::default()
        };
        assert_eq!(rules.prevents(exit_code, signal).as_deref(), prevented);
    }
}
