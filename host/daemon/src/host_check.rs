//! What of the configuration does not fit this host: units, accounts, files and programs
//! that are not there. Only warnings: a package may still be installed, and a healer that
//! refuses to start because of one service heals none.

mod cleanups;
mod config_updates;
mod declared_files;
mod failovers;
mod remedies;

use std::{
    fs, io,
    ops::Range,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_config::{Config, Diagnostic, Source};
use prunella_core::{
    FailureKind, UnitName,
    capability::UnitStatus,
    remedy::Remedy,
    secret::SecretSource,
    service::{DeclaredFile, ProbeKind, Service},
    text::one_line,
};
use prunella_linux::{Linux, accounts::Accounts, sockets};

use crate::{Paths, paths::CONFIG};

/// How long looking at one unit may take.
const LOOK: Duration = Duration::from_secs(5);

/// Whether a configuration is this host's own: only then does it have to fit.
pub fn is_of_this_host(paths: &Paths) -> bool {
    paths.config == Path::new(CONFIG)
}

/// Everything that does not fit. Units are left out when systemd cannot be asked.
pub fn warnings(paths: &Paths, config: &Config, linux: Option<&Linux>) -> Vec<Diagnostic> {
    let accounts = Accounts::read();
    let protected = config.protected();
    let mut found = Vec::new();
    for service in config.services.values() {
        let file = File::of(paths, service);
        let look = linux.map(|linux| look(linux, &service.unit));
        found.extend(look.as_ref().and_then(|look| unit(&file, service, look)));
        let canonical = match &look {
            Some(Look::Is(name)) => name,
            _ => &service.unit,
        };
        if let (Some(linux), Look::Is(name)) = (linux, look.as_ref().unwrap_or(&Look::Unknown)) {
            found.extend(wrapper(&file, linux, name));
        }
        if config.protect.contains(canonical) {
            found.push(
                file.warning(
                    file.value_of("unit"),
                    format!("{canonical} is protected: its failures are told, never healed"),
                )
                .help(format!(
                    "to have it healed all the same, take it out of `add` under [protect] in \
                     prunella.toml; `prunella disable {canonical}` takes it out of care"
                )),
            );
        } else if protected.covers(canonical) {
            found.push(
                file.warning(
                    file.value_of("unit"),
                    format!("{canonical} is protected: its failures are told, never healed"),
                )
                .help(format!(
                    "to have it healed all the same, write `remove = [\"{canonical}\"]` under \
                     [protect] in prunella.toml"
                )),
            );
        }
        for (name, declared) in &service.files {
            found.extend(owners(&file, &accounts, name, declared));
            found.extend(folder(&file, name, declared));
            found.extend(declared_files::wrong_with(&file, name, declared));
        }
        for (name, remedy) in &service.remedies {
            if let Remedy::Cleanup(cleanup) = remedy {
                found.extend(cleanups::wrong_with(&file, name, cleanup));
            }
        }
        for (name, check) in &service.checks {
            found.extend(program(&file, "check", name, &check.command));
        }
        for (name, probe) in &service.probes {
            if let ProbeKind::Command(command) = &probe.kind {
                found.extend(program(&file, "probe", name, command));
            }
        }
        for (name, remedy) in &service.remedies {
            found.extend(remedies::wrong_with(&file, name, remedy));
            if let (Remedy::Failover(group), Some(linux)) = (remedy, linux) {
                found.extend(failovers::wrong_with(
                    &file, name, service, group, config, linux,
                ));
            }
        }
        for needed in &service.depends_on {
            found.extend(linux.and_then(|linux| dependency(&file, linux, needed)));
        }
    }
    if let Some(linux) = linux {
        found.extend(protected_units(paths, config, linux));
    }
    found.extend(secrets(paths, config));
    found
}

/// Ports that nobody holds although their service is up: each healing would wait for
/// them in vain. A service that has just started may take one yet.
pub fn unheld_ports(paths: &Paths, config: &Config, linux: &Linux) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for service in config.services.values().filter(|one| !one.ports.is_empty()) {
        let shows_its_ports = |status: UnitStatus| {
            status.is_up() && status.main_pid.is_some() && !status.private_network
        };
        let status = linux.units().get(Instant::now() + LOOK, &service.unit);
        if !status.is_ok_and(shows_its_ports) {
            continue;
        }
        let file = File::of(paths, service);
        for port in &service.ports {
            let Ok(sockets) = sockets::bound(port.protocol, Some(port.number)) else {
                continue;
            };
            if sockets
                .iter()
                .any(|socket| port.is_served_at(socket.address))
            {
                continue;
            }
            found.push(
                file.warning(
                    file.value_of("ports"),
                    format!(
                        "nobody holds {port}, although {} is up: a healing is not proven without it",
                        service.unit
                    ),
                )
                .help("correct the port, or take it out; one that the service takes later is fine"),
            );
        }
    }
    found
}

/// Units that are to be protected, and are not there.
fn protected_units(paths: &Paths, config: &Config, linux: &Linux) -> Vec<Diagnostic> {
    let file = File::read(paths, paths.main_file());
    let missing = config
        .protect
        .iter()
        .filter(|unit| matches!(look(linux, unit), Look::Missing));
    missing
        .map(|unit| {
            let stem = unit.as_str().strip_suffix(".service");
            let span = file
                .quoted(unit.as_str())
                .or_else(|| file.quoted(stem.unwrap_or_default()));
            let message = format!("there is no unit {unit} on this host to protect");
            file.warning(span, message)
                .help("write its name as systemctl shows it, or take it out of `add`")
        })
        .collect()
}

/// A unit that does nothing itself, and whose failures are none.
fn wrapper(file: &File, linux: &Linux, unit: &UnitName) -> Option<Diagnostic> {
    let behind = linux.wrapped_by(Instant::now() + LOOK, unit).ok()?;
    if behind.is_empty() {
        return None;
    }
    let names: Vec<&str> = behind.iter().map(UnitName::as_str).collect();
    Some(
        file.warning(
            file.value_of("unit"),
            format!("{unit} is a wrapper that does nothing itself"),
        )
        .help(format!(
            "name what does, each in a file of its own: {}",
            names.join(", ")
        )),
    )
}

/// A file of the configuration, to find places in.
struct File(Source);

impl File {
    fn of(paths: &Paths, service: &Service) -> Self {
        let path = service.declared_in.clone().unwrap_or_default();
        Self::read(paths, paths.config.join(path))
    }

    fn read(paths: &Paths, path: PathBuf) -> Self {
        // Without its text there are no places, and the warnings are the same.
        let text = fs::read_to_string(&path).unwrap_or_default();
        let file = path
            .strip_prefix(&paths.config)
            .map_or_else(|_| path.clone(), Path::to_owned);
        Self(Source { file, text })
    }

    fn warning(&self, span: Option<Range<usize>>, message: String) -> Diagnostic {
        let mut found = self.0.error(span.clone().unwrap_or_default(), message);
        if span.is_none() {
            found.place = None;
        }
        found.warning()
    }

    /// Where the value of a key stands that is on a line of its own.
    fn value_of(&self, key: &str) -> Option<Range<usize>> {
        self.lines().find_map(|(start, line)| {
            let (before, value) = line.split_once('=')?;
            (before.trim() == key).then(|| {
                let at = start + line.len() - value.trim_start().len();
                at..at + value.trim().len()
            })
        })
    }

    /// Where a text stands, as a value of any key.
    fn quoted(&self, text: &str) -> Option<Range<usize>> {
        let quoted = format!("\"{text}\"");
        self.lines().find_map(|(start, line)| {
            if line.trim_start().starts_with('#') {
                return None;
            }
            let at = start + line.find(&quoted)?;
            Some(at..at + quoted.len())
        })
    }

    /// Each line, and where it begins.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut start = 0;
        self.0.text.split('\n').map(move |line| {
            let begin = start;
            start += line.len() + 1;
            (begin, line)
        })
    }
}

/// What systemd says of a unit.
enum Look {
    /// It is there, by this name.
    Is(UnitName),
    Missing,
    Unknown,
}

fn look(linux: &Linux, unit: &UnitName) -> Look {
    match linux.units().get(Instant::now() + LOOK, unit) {
        Ok(status) if status.exists() => Look::Is(status.name),
        Ok(_) => Look::Missing,
        Err(failure) if failure.kind == FailureKind::NotFound => Look::Missing,
        Err(_) => Look::Unknown,
    }
}

fn unit(file: &File, service: &Service, look: &Look) -> Option<Diagnostic> {
    let unit = &service.unit;
    let span = file.value_of("unit");
    match look {
        Look::Missing => Some(
            file.warning(span, format!("there is no unit {unit} on this host"))
                .help(format!(
                    "`systemctl list-unit-files --type={}` lists those there are; `prunella disable \
                     {unit}` takes it out of care",
                    unit.kind()
                )),
        ),
        Look::Is(name) if name != unit => Some(
            file.warning(
                span,
                format!("{unit} is another name of {name}, under which its failures are noticed"),
            )
            .help(format!("write `unit = \"{name}\"`")),
        ),
        Look::Is(_) | Look::Unknown => None,
    }
}

fn dependency(file: &File, linux: &Linux, needed: &UnitName) -> Option<Diagnostic> {
    if !matches!(look(linux, needed), Look::Missing) {
        return None;
    }
    let span = file
        .quoted(needed.as_str())
        .or_else(|| file.value_of("depends-on"));
    let message = format!("there is no unit {needed} on this host, on which this one is to depend");
    Some(
        file.warning(span, message)
            .help("write its name as systemctl shows it, or take it out of `depends-on`"),
    )
}

/// An owner or a group that nobody is.
fn owners(
    file: &File,
    accounts: &Accounts,
    name: &str,
    declared: &DeclaredFile,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let owner = file.0.value_in("file", name, "owner");
    if let Some(user) = &declared.owner
        && accounts.uid_of(user).is_none()
    {
        found.push(
            file.warning(
                owner.clone(),
                format!("there is no user `{user}` in /etc/passwd"),
            )
            .help("create it, or write its number if a directory service knows it"),
        );
    }
    if let Some(group) = &declared.group
        && accounts.gid_of(group).is_none()
    {
        found.push(
            file.warning(
                // `owner = "user:group"` names both.
                file.0.value_in("file", name, "group").or(owner),
                format!("there is no group `{group}` in /etc/group"),
            )
            .help("create it, or write its number if a directory service knows it"),
        );
    }
    found
}

/// A declared file that can never be there, because its folder is not.
fn folder(file: &File, name: &str, declared: &DeclaredFile) -> Option<Diagnostic> {
    let folder = declared.path.parent()?;
    // systemd makes folders there for as long as a service runs.
    if folder.starts_with("/run") || folder.starts_with("/var/run") || !is_missing(folder) {
        return None;
    }
    let message = format!(
        "the folder {} of the file `{name}` is not there",
        one_line(&folder.to_string_lossy(), 200)
    );
    Some(
        file.warning(file.0.value_in("file", name, "path"), message)
            .help("correct `path`, or create the folder"),
    )
}

/// A check or a probe whose program cannot be run.
fn program(file: &File, what_of: &str, name: &str, command: &[String]) -> Option<Diagnostic> {
    let program = command.first()?;
    let path = Path::new(program);
    let what = if is_missing(path) {
        "is not there"
    } else {
        let there = fs::metadata(path).ok()?;
        let runs = there.is_file() && there.permissions().mode() & 0o111 != 0;
        if runs {
            return None;
        }
        "is not executable"
    };
    let message = format!(
        "the program {} of the {what_of} `{name}` {what}",
        one_line(program, 200)
    );
    Some(
        file.warning(file.0.value_in(what_of, name, "command"), message)
            .help(format!(
                "the {what_of} cannot run: correct `command`, or install the program"
            )),
    )
}

/// Whether nothing is there. What this user may not look at counts as there.
fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    })
}

/// Files that are to hold secrets, and do not, or not for root alone.
fn secrets(paths: &Paths, config: &Config) -> Vec<Diagnostic> {
    let file = File::read(paths, paths.main_file());
    let channels = config.channels.values().flat_map(|channel| {
        let secrets = channel.kind.secrets().into_iter();
        secrets.map(move |secret| (secret, Some(channel)))
    });
    let key = config
        .analysis
        .as_ref()
        .and_then(|model| model.key.as_ref());
    let token = config
        .traces
        .as_ref()
        .and_then(|traces| traces.token.as_ref());
    let others = key.into_iter().chain(token);
    let mut found = Vec::new();
    for (secret, channel) in channels.chain(others.map(|secret| (secret, None))) {
        let SecretSource::File(path) = secret else {
            continue;
        };
        let wrong = || match channel {
            Some(channel) => prunella_notify::channel::wrong_with_secret(channel, secret),
            None => prunella_notify::wrong_with_secret(secret, false).map(str::to_owned),
        };
        let Some((message, help)) = wrong_with_secret(path, wrong) else {
            continue;
        };
        let span = file.quoted(&path.to_string_lossy());
        found.push(file.warning(span, message).help(help));
    }
    found
}

/// What is wrong with a file that is to hold a secret, and what would mend it. What only root
/// can tell is not said to others.
fn wrong_with_secret(
    path: &Path,
    wrong_inside: impl FnOnce() -> Option<String>,
) -> Option<(String, String)> {
    let shown = path.display();
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some((
                format!("the secret's file {shown} is not there"),
                format!(
                    "write the secret into it, and nothing else: mode 0600, owner root ({shown})"
                ),
            ));
        }
        Err(_) => return None,
    };
    if !there.is_file() {
        return Some((
            format!("{shown} is not a regular file, so no secret is read from it"),
            "name the file itself".to_owned(),
        ));
    }
    if there.uid() != 0 {
        return Some((
            format!(
                "{shown} belongs to the user {}, so no secret is read from it",
                there.uid()
            ),
            format!("chown root:root {shown}"),
        ));
    }
    let mode = there.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Some((
            format!(
                "{shown} can be read by others (mode {mode:04o}), so no secret is read from it"
            ),
            format!("chmod 600 {shown}"),
        ));
    }
    Some((
        format!("what is in {shown} cannot be used: {}", wrong_inside()?),
        "write the secret into it, and nothing else".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File(Source {
            file: "services.d/web.toml".into(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_place_is_found_by_key_and_by_value() {
        let file = file("# unit = \"x\"\n  unit = \"web.service\"\n\n[[file]]\nowner = \"www\"\n");
        let shown = |span| file.warning(span, "wrong".to_owned()).to_string();
        assert!(shown(file.value_of("unit")).contains("web.toml:2:10"));
        assert!(shown(file.quoted("www")).contains("web.toml:5:9"));
        assert_eq!(file.quoted("nobody"), None);
        assert!(!shown(None).contains("web.toml:"), "{}", shown(None));
    }

    const FILES: &str = "unit = \"web\"\n[[file]]\nname = \"data\"\n\
        path = \"/nowhere/at/all\"\nowner = 'nobody-at-all:nobody-at-all'\n\
        [[check]]\nname = \"config\"\ncommand = [\"/nowhere/check\"]\n";

    #[test]
    fn what_is_declared_and_not_there_is_told_with_its_line() {
        let file = file(FILES);
        let declared = DeclaredFile {
            path: "/nowhere/at/all".into(),
            ..declared("nobody-at-all", "nobody-at-all")
        };
        let accounts = owners(&file, &Accounts::read(), "data", &declared);
        let lines: Vec<usize> = accounts
            .iter()
            .filter_map(|found| Some(found.place.as_ref()?.line))
            .collect();
        assert_eq!(lines, [5, 5]);
        let shown = folder(&file, "data", &declared).unwrap().to_string();
        assert!(
            shown.contains("the folder /nowhere/at of the file `data` is not there"),
            "{shown}"
        );
        assert!(shown.contains("web.toml:4:"), "{shown}");
        let short_lived = DeclaredFile {
            path: "/run/nowhere/x.sock".into(),
            ..declared
        };
        assert_eq!(folder(&file, "data", &short_lived), None);
    }

    #[test]
    fn a_check_needs_a_program_that_runs() {
        let scratch = tempfile::tempdir().unwrap();
        let plain = scratch.path().join("plain");
        fs::write(&plain, "").unwrap();
        let said = |path: &str| {
            let command = [path.to_owned(), "-t".to_owned()];
            program(&file(FILES), "check", "config", &command).map(|found| found.to_string())
        };
        assert_eq!(said("/bin/sh"), None);
        let missing = said("/nowhere/check").unwrap();
        assert!(missing.contains("`config` is not there"), "{missing}");
        assert!(missing.contains("web.toml:8:"), "{missing}");
        for path in [plain.to_str().unwrap(), "/etc"] {
            let shown = said(path).unwrap();
            assert!(shown.contains("`config` is not executable"), "{shown}");
        }
    }

    fn declared(owner: &str, group: &str) -> DeclaredFile {
        DeclaredFile {
            path: "/x".into(),
            role: Default::default(),
            mode: None,
            owner: Some(owner.to_owned()),
            group: Some(group.to_owned()),
            target: None,
            keys: Vec::new(),
            optional: false,
            read_by: Default::default(),
            secret: false,
        }
    }

    #[test]
    fn accounts_that_are_not_there_are_named() {
        let accounts = Accounts::read();
        let found = |owner, group| owners(&file(""), &accounts, "x", &declared(owner, group)).len();
        assert_eq!(found("root", "root"), 0);
        assert_eq!(found("4711", "4711"), 0);
        assert_eq!(found("nobody-at-all", "root"), 1);
        assert_eq!(found("nobody-at-all", "nobody-at-all"), 2);
    }
}
