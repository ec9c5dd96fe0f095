//! Running the commands that the operator declared.
//!
//! A check runs in a transient unit, as the service's user and in a sandbox:
//! everything is read-only but `/run` and `/var/log`, which checks like
//! `nginx -t` open for writing; `/tmp` is its own; it gets no new privileges and
//! no devices. A check that the operator declared to change something may write
//! everywhere but in `/usr` and `/boot`. The network is left to it: checks bind
//! addresses and look up names.
//!
//! What would run as root, because it was declared so or because the service
//! does, only runs when nobody but root can change the program and the files
//! that its arguments name; else a check would be a way to become root.

use std::{path::Path, sync::Arc, time::Instant};

use prunella_core::{
    Failure,
    capability::{Answer, CheckReport},
    service::{DeclaredCheck, Service},
    text,
};

use crate::{
    runs_as::{RunsAs, Who},
    safe_path,
    transient::{Capability, Ended, OUTPUT, ProtectSystem, Runner, Sandbox, Task},
};

/// A line of output is cut after so many characters.
const LINE: usize = 500;

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
    pub(crate) fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport> {
        let check = self.service.check(name)?;
        let program = check.command.first().map(Path::new);
        if !program.is_some_and(Path::is_absolute) {
            return Err(Failure::invalid(
                "bad-command",
                format!("check `{name}` does not begin with the absolute path of a program"),
            ));
        }
        let runs_as = if check.as_root {
            RunsAs::default()
        } else {
            self.who.runs_as(deadline)?
        };
        let as_root = is_root(&runs_as);
        if as_root {
            only_roots(&format!("check `{name}`"), &check.command)?;
        }
        let task = Task {
            purpose: "check",
            description: format!("check `{name}` of {}", self.service.unit),
            command: check.command.clone(),
            runs_as,
            sandbox: sandbox(check.mutates, as_root),
            timeout: check.timeout,
        };
        let ended = self.runner.run(deadline, &task)?;
        Ok(report(check, ended))
    }
}

pub(crate) fn is_root(runs_as: &RunsAs) -> bool {
    matches!(runs_as.user.as_str(), "" | "root" | "0")
}

/// What a declared command may reach.
pub(crate) fn sandbox(mutates: bool, as_root: bool) -> Sandbox {
    Sandbox {
        protect_system: if mutates {
            ProtectSystem::Programs
        } else {
            ProtectSystem::Strict
        },
        protect_home: !mutates,
        private_tmp: true,
        private_network: false,
        writable: if mutates {
            Vec::new()
        } else {
            vec!["/run".to_owned(), "/var/log".to_owned()]
        },
        capabilities: if as_root {
            // `nginx -t` as root opens logs that belong to www-data, hands its
            // folders to it, and binds ports below 1024.
            vec![
                Capability::Chown,
                Capability::DacOverride,
                Capability::DacReadSearch,
                Capability::Fowner,
                Capability::NetBindService,
                Capability::Setgid,
                Capability::Setuid,
            ]
        } else {
            Vec::new()
        },
        // The C library asks netlink for addresses when it looks up a name.
        families: vec!["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"],
    }
}

/// Refuses what would let somebody else run a program as root.
pub(crate) fn only_roots(what: &str, command: &[String]) -> Answer<()> {
    for (index, word) in command.iter().enumerate() {
        let Some(path) = path_in(word) else {
            continue;
        };
        // Not there, or no file or folder (`/dev/null`): nothing to be changed.
        let matters = index == 0
            || std::fs::metadata(path).is_ok_and(|there| there.is_file() || there.is_dir());
        if !matters {
            continue;
        }
        safe_path::belongs_to_root(path).map_err(|why| {
            Failure::denied(
                "check-not-root-owned",
                format!(
                    "{what} would run as root, but somebody else could change what it runs or reads: {why}"
                ),
            )
        })?;
    }
    Ok(())
}

/// The path that an argument names: `/a/b`, `--config=/a/b` or `-c/a/b`.
fn path_in(word: &str) -> Option<&Path> {
    if word.starts_with('/') {
        return Some(Path::new(word));
    }
    if let Some((_, value)) = word.split_once('=')
        && value.starts_with('/')
    {
        return Some(Path::new(value));
    }
    let option = word.strip_prefix('-')?;
    let path = option.get(1..)?;
    path.starts_with('/').then(|| Path::new(path))
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

/// The output fit to show: redacted, line by line without control characters.
pub(crate) fn output_shown(output: &[u8]) -> String {
    let whole = String::from_utf8_lossy(output);
    // Where only the end was kept, the first line is but a part of one, and
    // could be a secret that has lost the name it is known by.
    let rest = if output.len() < OUTPUT {
        &whole
    } else {
        whole
            .split_once('\n')
            .or_else(|| whole.split_once(char::is_whitespace))
            .map_or("", |(_, rest)| rest)
    };
    text::redact(rest)
        .lines()
        .map(|line| text::one_line(line, LINE))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Mutex, time::Duration};

    use prunella_core::{FailureKind, UnitName};
    use rstest::rstest;

    use super::*;

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
