//! Running a command that the operator declared: a check, or a probe.
//!
//! It runs in a transient unit, as the service's user and in a sandbox:
//! everything is read-only but `/run` and `/var/log`, which checks like
//! `nginx -t` open for writing; `/tmp` is its own; it gets no new privileges and
//! no devices. What the operator declared to change something may write
//! everywhere but in `/usr` and `/boot`. The network is left to it: checks bind
//! addresses and look up names.
//!
//! What would run as root, because it was declared so or because the service
//! does, only runs when nobody but root can change the program and the files
//! that its arguments name; else a declaration would be a way to become root.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use prunella_core::{Failure, UnitName, capability::Answer, text};

use crate::{
    runs_as::{RunsAs, Who},
    safe_path,
    transient::{Capability, Ended, OUTPUT, ProtectSystem, Runner, Sandbox, ShownInstead, Task},
};

/// A line of output is cut after so many characters.
const LINE: usize = 500;

/// A command, and what was declared about it.
pub(crate) struct DeclaredCommand<'a> {
    /// `check` or `probe`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    /// The service that it belongs to.
    pub(crate) unit: &'a UnitName,
    /// Program (absolute) and arguments.
    pub(crate) command: &'a [String],
    /// Whether it runs as root, and not as the service's user.
    pub(crate) as_root: bool,
    /// Whether it may change something.
    pub(crate) mutates: bool,
    /// Then it is stopped.
    pub(crate) timeout: Duration,
    /// What it sees in the place of other files.
    pub(crate) shown: Vec<ShownInstead>,
}

impl DeclaredCommand<'_> {
    /// Runs it to its end.
    pub(crate) fn run(
        &self,
        deadline: Instant,
        who: &dyn Who,
        runner: &dyn Runner,
    ) -> Answer<Ended> {
        let Self { kind, name, .. } = self;
        let program = self.command.first().map(Path::new);
        if !program.is_some_and(Path::is_absolute) {
            return Err(Failure::invalid(
                "bad-command",
                format!("{kind} `{name}` does not begin with the absolute path of a program"),
            ));
        }
        let runs_as = if self.as_root {
            RunsAs::default()
        } else {
            who.runs_as(deadline)?
        };
        let as_root = is_root(&runs_as);
        if as_root {
            self.only_roots()?;
        }
        let task = Task {
            purpose: self.kind,
            description: format!("{kind} `{name}` of {}", self.unit),
            command: self.command.to_vec(),
            runs_as,
            sandbox: sandbox(self.mutates, as_root),
            credentials: Vec::new(),
            shown: self.shown.clone(),
            timeout: self.timeout,
        };
        runner.run(deadline, &task)
    }

    /// Refuses what would let somebody else run a program as root.
    fn only_roots(&self) -> Answer<()> {
        for (index, word) in self.command.iter().enumerate() {
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
                        "{} `{}` would run as root, but somebody else could change what it runs or reads: {why}",
                        self.kind, self.name
                    ),
                )
            })?;
        }
        Ok(())
    }
}

fn is_root(runs_as: &RunsAs) -> bool {
    matches!(runs_as.user.as_str(), "" | "root" | "0")
}

fn sandbox(mutates: bool, as_root: bool) -> Sandbox {
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
        devices: Vec::new(),
    }
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
