//! A probe that is a program: the operator's own question.
//!
//! It runs as a check does ([`DeclaredCommand`]), and never below the daemon.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{UnitName, capability::Answer};

use crate::{
    declared_command::{DeclaredCommand, output_shown},
    runs_as::Who,
    transient::{Ended, Runner},
};

/// Runs the commands of one service's probes.
pub(crate) struct CommandProbe {
    who: Arc<dyn Who>,
    runner: Arc<dyn Runner>,
}

impl CommandProbe {
    pub(crate) fn new(who: Arc<dyn Who>, runner: Arc<dyn Runner>) -> Self {
        Self { who, runner }
    }

    /// Runs it: whether that is an answer, and its last line.
    pub(super) fn run(
        &self,
        deadline: Instant,
        timeout: Duration,
        unit: &UnitName,
        name: &str,
        command: &[String],
    ) -> Answer<(bool, String)> {
        let command = DeclaredCommand {
            kind: "probe",
            name,
            unit,
            command,
            as_root: false,
            mutates: false,
            timeout,
            shown: Vec::new(),
        };
        let ended = command.run(deadline, &*self.who, &*self.runner)?;
        Ok(judge(&ended, timeout))
    }
}

fn judge(ended: &Ended, timeout: Duration) -> (bool, String) {
    let output = output_shown(&ended.output);
    let last = output.lines().next_back();
    let with_last = |how: String| match last {
        Some(last) => format!("{how}: {last}"),
        None => how,
    };
    if ended.timed_out {
        let how = format!("it did not end within {} s", timeout.as_secs_f64());
        return (false, with_last(how));
    }
    match (ended.exit_code, &ended.signal) {
        (Some(0), _) => (true, last.unwrap_or("exit code 0").to_owned()),
        (Some(code), _) => (false, with_last(format!("exit code {code}"))),
        (None, Some(signal)) => (false, with_last(format!("it was ended by SIG{signal}"))),
        (None, None) => (false, with_last("it did not end as it should".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::answers(Some(0), None, false, "one\nall well\n\n", true, "all well")]
    #[case::silent(Some(0), None, false, "", true, "exit code 0")]
    #[case::fails(Some(2), None, false, "queue: 17\n", false, "exit code 2: queue: 17")]
    #[case::killed(None, Some("KILL"), false, "", false, "it was ended by SIGKILL")]
    #[case::late(
        Some(0),
        None,
        true,
        "asking",
        false,
        "it did not end within 1.5 s: asking"
    )]
    fn verdicts(
        #[case] exit_code: Option<i32>,
        #[case] signal: Option<&str>,
        #[case] timed_out: bool,
        #[case] output: &str,
        #[case] healthy: bool,
        #[case] detail: &str,
    ) {
        let ended = Ended {
            exit_code,
            signal: signal.map(str::to_owned),
            timed_out,
            output: output.as_bytes().to_vec(),
        };
        let verdict = judge(&ended, Duration::from_millis(1_500));
        assert_eq!(verdict, (healthy, detail.to_owned()));
    }
}
