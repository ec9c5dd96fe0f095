//! Running the checks that the operator declared.

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, CheckReport},
    service::{DeclaredCheck, Service},
};

use crate::{
    declared_command::{DeclaredCommand, output_shown},
    runs_as::Who,
    transient::{Ended, Runner, ShownInstead},
};

/// In the names of the transient units, and for people.
const KIND: &str = "check";
/// In a command: the unit that the check is asked about.
const UNIT: &str = "{unit}";

/// The declared checks of one service.
pub(crate) struct LinuxChecks {
    service: Arc<Service>,
    who: Arc<dyn Who>,
    runner: Arc<dyn Runner>,
}

impl LinuxChecks {
    pub(crate) fn new(service: Arc<Service>, who: Arc<dyn Who>, runner: Arc<dyn Runner>) -> Self {
        Self {
            service,
            who,
            runner,
        }
    }
}

impl LinuxChecks {
    /// Stops checks of a process that was killed, before something that they do is undone.
    pub(crate) fn stop_orphans(&self, deadline: Instant) -> Answer<()> {
        self.runner.stop_orphans(deadline, KIND)
    }

    pub(crate) fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport> {
        self.run_with(deadline, name, Vec::new())
    }

    /// Runs a check that has to pass.
    pub(crate) fn pass(&self, deadline: Instant, name: &str) -> Answer<()> {
        let report = self.run(deadline, name)?;
        if report.passed {
            return Ok(());
        }
        let said = report.output.lines().next_back().unwrap_or_default();
        Err(Failure::failed(
            "check-failed",
            format!("check `{name}` did not pass: {said}"),
        ))
    }

    /// Runs a check to which files are shown in the place of others.
    pub(crate) fn run_with(
        &self,
        deadline: Instant,
        name: &str,
        shown: Vec<ShownInstead>,
    ) -> Answer<CheckReport> {
        self.run_about(deadline, name, &self.service.unit, shown)
    }

    /// The same, of one that is asked about this unit: `{unit}` in its command is its name.
    pub(crate) fn run_about(
        &self,
        deadline: Instant,
        name: &str,
        unit: &UnitName,
        shown: Vec<ShownInstead>,
    ) -> Answer<CheckReport> {
        let check = self.service.check(name)?;
        let about = |word: &String| word.replace(UNIT, unit.as_str());
        let words: Vec<String> = check.command.iter().map(about).collect();
        let command = DeclaredCommand {
            kind: KIND,
            name,
            unit: &self.service.unit,
            command: &words,
            as_root: check.as_root,
            mutates: check.mutates,
            timeout: check.timeout,
            shown,
        };
        let ended = command.run(deadline, &*self.who, &*self.runner)?;
        Ok(report(check, ended))
    }
}

fn report(check: &DeclaredCheck, ended: Ended) -> CheckReport {
    let mut output = output_shown(&ended.output);
    if ended.timed_out {
        let note = format!(
            "(stopped: it took longer than {} s)",
            check.timeout.as_secs_f64()
        );
        if !output.is_empty() {
            output.push('\n');
        }
        output.push_str(&note);
    }
    CheckReport {
        passed: ended.exit_code == Some(0) && !ended.timed_out,
        exit_code: ended.exit_code,
        signal: ended.signal,
        output,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Mutex, time::Duration};

    use prunella_core::FailureKind;
    use rstest::rstest;

    use super::*;
    use crate::{
        runs_as::RunsAs,
        transient::{OUTPUT, ProtectSystem, Task},
    };

    struct As(&'static str);

    impl Who for As {
        fn runs_as(&self, _deadline: Instant) -> Answer<RunsAs> {
            Ok(RunsAs {
                user: self.0.to_owned(),
                ..RunsAs::default()
            })
        }
    }

    /// Ends every run in one way, and remembers what was to be run.
    struct Canned(Ended, Mutex<Vec<Task>>);

    impl Runner for Canned {
        fn stop_orphans(&self, _: Instant, _: &str) -> Answer<()> {
            Ok(())
        }

        fn run(&self, _deadline: Instant, task: &Task) -> Answer<Ended> {
            self.1.lock().unwrap().push(task.clone());
            Ok(self.0.clone())
        }
    }

    fn ended(exit_code: i32, output: &str) -> Ended {
        Ended {
            exit_code: Some(exit_code),
            signal: None,
            timed_out: false,
            output: output.as_bytes().to_vec(),
        }
    }

    fn check(command: &[&str]) -> DeclaredCheck {
        DeclaredCheck {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: Duration::from_secs(7),
            mutates: false,
            as_root: false,
            validates: true,
        }
    }

    fn run(
        user: &'static str,
        check: DeclaredCheck,
        ended: Ended,
    ) -> (Answer<CheckReport>, Vec<Task>) {
        let mut service = Service::new(UnitName::new("a.service").unwrap());
        service.checks.insert("config".to_owned(), check);
        let runner = Arc::new(Canned(ended, Mutex::default()));
        let checks = LinuxChecks::new(
            Arc::new(service),
            Arc::new(As(user)),
            Arc::clone(&runner) as Arc<dyn Runner>,
        );
        let answer = checks.run(Instant::now() + Duration::from_secs(60), "config");
        let tasks = runner.1.lock().unwrap().clone();
        (answer, tasks)
    }

    #[test]
    fn a_check_runs_as_the_services_user_in_a_sandbox() {
        let (answer, tasks) = run("app", check(&["/bin/true", "-x"]), ended(0, ""));
        assert!(answer.unwrap().passed);
        assert_eq!(tasks[0].command, ["/bin/true", "-x"]);
        assert_eq!(tasks[0].runs_as.user, "app");
        assert_eq!(tasks[0].sandbox.protect_system, ProtectSystem::Strict);
        assert_eq!(tasks[0].sandbox.capabilities, []);
        assert_eq!(tasks[0].timeout, Duration::from_secs(7));
    }

    #[test]
    fn output_of_a_failing_check() {
        let (answer, _) = run(
            "app",
            check(&["/bin/true"]),
            ended(1, "password=hunter2\n\x1b[31mline two\n\n"),
        );
        let report = answer.unwrap();
        assert!(!report.passed);
        assert_eq!(report.exit_code, Some(1));
        assert!(!report.output.contains("hunter2"), "{}", report.output);
        assert!(
            report.output.ends_with("\n\\u{1b}[31mline two"),
            "{}",
            report.output
        );
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let long = format!("{}\nlast", "x".repeat(OUTPUT));
        let kept = &long[long.len() - OUTPUT..];
        let report = run("app", check(&["/bin/true"]), ended(1, kept)).0.unwrap();
        assert_eq!(report.output, "last");
    }

    #[test]
    fn a_check_that_took_too_long_has_not_passed() {
        let slow = Ended {
            exit_code: Some(0),
            timed_out: true,
            ..ended(0, "working")
        };
        let report = run("app", check(&["/bin/true"]), slow).0.unwrap();
        assert!(!report.passed);
        assert_eq!(report.output, "working\n(stopped: it took longer than 7 s)");
    }

    #[test]
    fn a_command_is_an_absolute_path() {
        for command in [&["true"][..], &[]] {
            let (answer, tasks) = run("app", check(command), ended(0, ""));
            assert!(answer.unwrap_err().is("bad-command"));
            assert_eq!(tasks.len(), 0);
        }
    }

    #[rstest]
    #[case::declared_so("app", true)]
    #[case::service_of_root("", false)]
    #[case::by_name("root", false)]
    fn as_root_only_what_is_roots(#[case] user: &'static str, #[case] as_root: bool) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("checker");
        fs::copy("/bin/true", &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mine = DeclaredCheck {
            as_root,
            ..check(&[program.to_str().unwrap()])
        };
        let (answer, tasks) = run(user, mine, ended(0, ""));
        let failure = answer.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.is("check-not-root-owned"), "{failure:?}");
        assert_eq!(tasks.len(), 0);

        let roots = DeclaredCheck {
            as_root,
            ..check(&["/bin/true", "/etc/passwd", "--log=/dev/null", "--to=/none"])
        };
        let (answer, tasks) = run(user, roots, ended(0, ""));
        assert!(answer.unwrap().passed);
        assert_eq!(tasks[0].runs_as.user.trim_start_matches("root"), "");
        assert!(!tasks[0].sandbox.capabilities.is_empty());
    }

    #[rstest]
    #[case::plain("{}", "config")]
    #[case::long("--config={}", "config")]
    #[case::short("-c{}", "config")]
    fn as_root_only_with_a_configuration_of_root(#[case] form: &str, #[case] name: &str) {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join(name);
        fs::write(&config, "").unwrap();
        let word = form.replace("{}", config.to_str().unwrap());
        let (answer, _) = run("", check(&["/bin/true", &word]), ended(0, ""));
        assert!(answer.unwrap_err().is("check-not-root-owned"));
    }
}
