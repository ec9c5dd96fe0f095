//! `prunella setup`: Prunella's own units and folders.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use prunella_api::{ApiError, Client, Orders as _};
use prunella_bundle::{Builtin, builtins};
use prunella_config::Config;
use prunella_core::{
    StrategyName,
    hash::sha256,
    policy::{Act, Grants},
};
use prunella_daemon::{
    configuration::lost_services,
    drop_ins,
    files::{self, Found},
    open_store,
};
use prunella_engine::{Engine, EngineSettings};

use crate::{
    args::SetupArgs,
    changes::Changes,
    exit::{Exit, Problem},
    output::{self, FAIR, STRONG},
    paths::{Paths, RUN, STATE},
    program, systemctl,
};

const HARDENING: &str = include_str!("units/hardening.conf");

/// Besides, for what is started anew for each failure.
const HARDENING_BRIEF: &str = include_str!("units/hardening-brief.conf");

/// The units, by file name.
pub(crate) const UNITS: [(&str, &str); 4] = [
    ("prunella.service", include_str!("units/prunella.service")),
    (
        "prunella-hook@.service",
        include_str!("units/prunella-hook@.service"),
    ),
    (
        "prunella-sweep.service",
        include_str!("units/prunella-sweep.service"),
    ),
    (
        "prunella-sweep.timer",
        include_str!("units/prunella-sweep.timer"),
    ),
];

/// What `prunella.toml` is when there is none.
const MAIN_FILE: &str = include_str!("units/prunella.toml");

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &SetupArgs) -> anyhow::Result<Exit> {
    let binary = binary(args.bin.as_deref())?;
    if !args.dry_run && !rustix::process::geteuid().is_root() {
        return Err(
            Problem::new(Exit::NoPermission, "only root can install units")
                .help(output::with_sudo())
                .help("`--dry-run` shows what it would do, for everybody")
                .into(),
        );
    }
    let mut report = Changes::new(args.dry_run);

    for (path, mode) in [
        (paths.config.clone(), 0o755),
        (paths.services(), 0o755),
        (paths.plugins(), 0o755),
        (paths.keys(), 0o755),
        (paths.state.clone(), 0o700),
        (paths.cache.clone(), 0o700),
    ] {
        if path.is_dir() {
            continue;
        }
        if !args.dry_run {
            files::folder(&path, mode)?;
        }
        report.changed("folder", &path.display().to_string())?;
    }
    let main_file = paths.main_file();
    if !main_file.exists() {
        if !args.dry_run {
            files::write(&main_file, MAIN_FILE)?;
        }
        report.changed("wrote", &main_file.display().to_string())?;
    }
    let store = paths.store();
    if !store.exists() {
        if !args.dry_run {
            // Made now: else the first service that fails would wait for it.
            open_store(paths).map_err(ApiError::from)?;
        }
        report.changed("made", &store.display().to_string())?;
    }

    compile_builtins(paths, &mut report)?;

    let command = command(&binary, paths)?;
    let mut units_changed = false;
    for (name, template) in UNITS {
        let path = args.place.unit_dir.join(name);
        let body = unit(template, &command, paths);
        match files::look(&path, &body)? {
            Found::Same => report.kept("unchanged", &path.display().to_string())?,
            Found::Edited if !args.force => {
                report.kept("kept", &format!("{} (edited)", path.display()))?;
                output::remark(
                    "note",
                    FAIR,
                    &format!(
                        "somebody edited {}, so it stays as it is; `--force` replaces it, and \
                         `systemctl edit {name}` is where changes are safe",
                        path.display()
                    ),
                );
            }
            Found::Nothing | Found::Ours | Found::Edited => {
                if !args.dry_run {
                    files::folder(&args.place.unit_dir, 0o755)?;
                    files::write(&path, files::marked(&body))?;
                }
                units_changed = true;
                report.changed("wrote", &path.display().to_string())?;
            }
        }
    }

    let drop_ins_changed = look_after_drop_ins(paths, args, &mut report)?;

    if !systemctl::booted() {
        output::remark(
            "note",
            FAIR,
            "systemd does not run here, so nothing was enabled or started",
        );
        return Ok(Exit::Ok);
    }
    if units_changed || drop_ins_changed {
        report.systemctl(&["daemon-reload"])?;
    }
    let mut runs_on = false;
    if args.hook_only {
        if systemctl::says(&["is-enabled", "prunella.service"])
            || systemctl::says(&["is-active", "prunella.service"])
        {
            report.systemctl(&["disable", "--now", "prunella.service"])?;
        }
        enable(&mut report, "prunella-sweep.timer", units_changed, &binary)?;
    } else {
        if systemctl::says(&["is-enabled", "prunella-sweep.timer"])
            || systemctl::says(&["is-active", "prunella-sweep.timer"])
        {
            report.systemctl(&["disable", "--now", "prunella-sweep.timer"])?;
        }
        runs_on = enable(&mut report, "prunella.service", units_changed, &binary)?;
    }
    end(&report, paths, args.hook_only, runs_on && !args.dry_run)
}

/// Removes the drop-ins of units in nobody's care, and writes those that services in care
/// lack. Answers whether there were any.
fn look_after_drop_ins(
    paths: &Paths,
    args: &SetupArgs,
    report: &mut Changes,
) -> anyhow::Result<bool> {
    let unit_dir = &args.place.unit_dir;
    let mut changed = false;
    // Of one with mistakes is told at the end.
    let Some(config) = Config::load(&paths.config).config else {
        return Ok(changed);
    };
    for (unit, path) in drop_ins::orphans(unit_dir, &config)? {
        if !args.dry_run {
            drop_ins::remove(&path)?;
        }
        changed = true;
        let which = format!("{} ({unit} is in nobody's care)", path.display());
        report.changed("removed", &which)?;
    }
    if let Some(lost) = lost_services(paths, &config) {
        output::remark("warning", FAIR, &lost);
    }
    if args.without_hooks {
        return Ok(changed);
    }
    for unit in drop_ins::missing(unit_dir, &config) {
        let path = drop_ins::path(unit_dir, unit);
        if !args.dry_run {
            drop_ins::write(&path)?;
        }
        changed = true;
        report.changed("wrote", &path.display().to_string())?;
    }
    Ok(changed)
}

/// Has the daemon that runs on read the configuration: it may have begun with an older one, or
/// with what it could use of one with mistakes.
fn have_it_read(paths: &Paths) -> anyhow::Result<String> {
    match Client::new(&paths.run).reload() {
        Ok(now) => Ok(format!(
            "The daemon has read the configuration: {}",
            crate::config::in_force(&now)
        )),
        // It has yet to begin to listen, and reads it as it begins.
        Err(ApiError::NotListening(_)) => Ok(String::new()),
        Err(error) => Err(error).context("the daemon does not use the configuration as it is now"),
    }
}

/// Enables and starts `unit`, and restarts it when what it runs changed. Answers whether it
/// runs on as it did.
fn enable(
    report: &mut Changes,
    unit: &str,
    units_changed: bool,
    binary: &Path,
) -> anyhow::Result<bool> {
    let enabled = systemctl::says(&["is-enabled", unit]);
    let active = systemctl::says(&["is-active", unit]);
    if !enabled {
        report.systemctl(&["enable", unit])?;
    }
    if !active {
        report
            .systemctl(&["start", unit])
            .with_context(|| format!("{unit} is installed, but does not start"))
            .map_err(|error| {
                error.context(
                    Problem::new(Exit::Trouble, "Prunella is not running")
                        .help(format!("see `journalctl -u {unit} -n 20`")),
                )
            })?;
        return Ok(false);
    }
    if units_changed {
        report.systemctl(&["try-restart", unit])?;
        return Ok(false);
    }
    if program::runs_another(unit, binary) {
        let so = format!("{unit} runs another program than {}", binary.display());
        report.kept("found", &so)?;
        report.systemctl(&["try-restart", unit])?;
        return Ok(false);
    }
    Ok(true)
}

/// Says what came of it, and what is next. Where the configuration has mistakes, those come
/// first: nothing else is of use until they are corrected.
fn end(
    report: &Changes,
    paths: &Paths,
    hook_only: bool,
    daemon_runs_on: bool,
) -> anyhow::Result<Exit> {
    let text = match (report.is_dry_run(), report.count(), hook_only) {
        (true, 0, _) => "Nothing would be changed.",
        (true, _, _) => "Nothing was changed: this was a dry run.",
        (false, 0, _) => "Nothing had to be changed.",
        (false, _, false) => "Prunella is set up, and its daemon runs.",
        (false, _, true) => "Prunella is set up: hooks heal, and a timer looks for what they miss.",
    };
    let loaded = Config::load(&paths.config);
    let count = loaded.errors().count();
    if let Some(first) = loaded.errors().next() {
        let more = match count - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        return Err(Problem::new(
            Exit::Config,
            format!("the configuration is not in force: {}{more}", first.short()),
        )
        .help(text)
        .help("`prunella config check` shows each mistake with its line")
        .help("once they are corrected: `prunella setup` again, which writes what is left")
        .into());
    }
    let read = match daemon_runs_on {
        true => have_it_read(paths)?,
        false => String::new(),
    };
    output::print(&format!(
        "\n{text}\n{read}Next: {STRONG}prunella enable UNIT{STRONG:#} puts a service in its care.\n"
    ))?;
    Ok(Exit::Ok)
}

/// Compiles the built-in strategies into the cache: else the first service that fails
/// would wait for it.
fn compile_builtins(paths: &Paths, report: &mut Changes) -> anyhow::Result<()> {
    let engine = Engine::new(EngineSettings {
        // To look into a cache that is not there would make it.
        cache_dir: paths.cache.is_dir().then(|| paths.cache.clone()),
    })?;
    for Builtin { name, wasm } in builtins() {
        if engine.is_cached(&sha256(wasm)) {
            continue;
        }
        if !report.is_dry_run() {
            engine.load(&StrategyName::new(*name)?, wasm, &Grants::on_self(Act::ALL))?;
        }
        report.changed("compiled", &format!("built-in strategy {name}"))?;
    }
    Ok(())
}

/// The binary that the units shall run.
pub(crate) fn binary(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => env::current_exe().context("cannot find out where this binary is")?,
    };
    let path = fs::canonicalize(&path).map_err(|error| {
        Problem::new(Exit::NotFound, format!("there is no {}", path.display())).because(error)
    })?;
    let executable = rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok();
    if !path.is_file() || !executable {
        return Err(Problem::new(
            Exit::Usage,
            format!("{} is not an executable file", path.display()),
        )
        .into());
    }
    Ok(path)
}

/// The start of the units' command line.
fn command(binary: &Path, paths: &Paths) -> anyhow::Result<String> {
    let mut command = quoted(binary)?;
    for (option, path) in paths.options() {
        command.push_str(&format!(" {option} {}", quoted(path)?));
    }
    Ok(command)
}

/// A path as it stands in a unit file. One that would need quoting there is
/// refused: it would need it in a dozen other places as well.
pub(crate) fn quoted(path: &Path) -> anyhow::Result<String> {
    let plain = path.to_str().filter(|text| {
        text.starts_with('/')
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || "/-_.+@:,=".contains(c))
    });
    plain.map(str::to_owned).ok_or_else(|| {
        Problem::new(
            Exit::Usage,
            format!("{} cannot stand in a unit file", path.display()),
        )
        .help("use an absolute path of letters, digits and /-_.+@:,=")
        .into()
    })
}

/// A unit file's text.
fn unit(template: &str, command: &str, paths: &Paths) -> String {
    let mut folders = Vec::new();
    // systemd makes and keeps the usual ones itself.
    if paths.run == Path::new(RUN) {
        folders.push("RuntimeDirectory=prunella".to_owned());
        folders.push("RuntimeDirectoryMode=0755".to_owned());
        folders.push("RuntimeDirectoryPreserve=yes".to_owned());
    } else {
        folders.push(format!("ReadWritePaths=-{}", paths.run.display()));
    }
    if paths.state == Path::new(STATE) {
        folders.push("StateDirectory=prunella".to_owned());
        folders.push("StateDirectoryMode=0700".to_owned());
        folders.push("CacheDirectory=prunella".to_owned());
        folders.push("CacheDirectoryMode=0700".to_owned());
    } else {
        folders.push(format!("ReadWritePaths=-{}", paths.state.display()));
        folders.push(format!("ReadWritePaths=-{}", paths.cache.display()));
    }
    // Where SQLite may put what does not fit into memory.
    folders.push(format!(
        "Environment=SQLITE_TMPDIR={}",
        paths.state.display()
    ));
    let groups = ["systemd-journal", prunella_api::WEB_GROUP];
    let groups: Vec<&str> = groups
        .into_iter()
        .filter(|name| group_exists(name))
        .collect();
    if !groups.is_empty() {
        folders.push(format!(
            "# So that the status socket and the web socket can be given to their groups.\n\
             SupplementaryGroups={}",
            groups.join(" ")
        ));
    }
    let hardening = HARDENING.replace("@FOLDERS@", &folders.join("\n"));
    template
        .replace("@HARDENING@", hardening.trim_end())
        .replace("@HARDENING-BRIEF@", HARDENING_BRIEF.trim_end())
        .replace("@COMMAND@", command)
}

/// A unit that names a group that does not exist would not start.
pub(crate) fn group_exists(name: &str) -> bool {
    Command::new("getent")
        .args(["group", name])
        .output()
        .is_ok_and(|output| output.status.success())
        || fs::read_to_string("/etc/group").is_ok_and(|text| {
            text.lines()
                .any(|line| line.split(':').next() == Some(name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        Paths {
            config: prunella_daemon::paths::CONFIG.into(),
            state: STATE.into(),
            run: RUN.into(),
            cache: "/var/cache/prunella".into(),
        }
    }

    /// A `#` that no space follows begins an example, which is valid without it.
    #[test]
    fn examples_are_valid() {
        let is_example = |line: &str| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(|c: char| c == '[' || c.is_alphabetic()))
        };
        let text: String = MAIN_FILE
            .lines()
            .map(|line| format!("{}\n", if is_example(line) { &line[1..] } else { line }))
            .collect();
        assert_ne!(text, MAIN_FILE);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("prunella.toml"), &text).unwrap();
        let loaded = Config::load(folder.path());
        let mistakes: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        assert_eq!(mistakes, Vec::<String>::new(), "{text}");
    }

    #[test]
    fn no_placeholder_is_left() {
        for (name, template) in UNITS {
            let text = unit(template, "/usr/bin/prunella", &paths());
            assert!(
                !text.contains("@COMMAND@") && !text.contains("@HARDENING@"),
                "{name}"
            );
            assert!(!text.contains("@FOLDERS@"), "{name}");
            assert!(!text.contains("@HARDENING-BRIEF@"), "{name}");
        }
    }

    #[test]
    fn every_service_is_hardened_alike() {
        for (name, template) in UNITS.iter().filter(|(name, _)| name.ends_with(".service")) {
            let text = unit(template, "/usr/bin/prunella", &paths());
            for line in [
                "MemoryDenyWriteExecute=yes",
                "ProtectSystem=strict",
                "NoNewPrivileges=yes",
                "StateDirectoryMode=0700",
            ] {
                assert!(text.lines().any(|l| l == line), "{line} in {name}");
            }
        }
    }

    #[test]
    fn the_hook_never_calls_itself() {
        let (_, hook) = UNITS[1];
        let text = unit(hook, "/usr/bin/prunella", &paths());
        for line in text.lines() {
            assert!(
                !line.starts_with("OnFailure=") && !line.starts_with("Restart="),
                "{line}"
            );
        }
    }

    #[test]
    fn moved_folders_reach_the_command_line_and_stay_writable() {
        let mut paths = paths();
        paths.state = "/srv/p".into();
        paths.cache = "/srv/p/cache".into();
        let command = command(Path::new("/opt/prunella"), &paths).unwrap();
        assert_eq!(command, "/opt/prunella --state-dir /srv/p");
        let text = unit(UNITS[0].1, &command, &paths);
        assert!(text.contains("ExecStart=/opt/prunella --state-dir /srv/p daemon\n"));
        assert!(text.contains("ReadWritePaths=-/srv/p\n"));
        assert!(!text.contains("StateDirectory="));
    }

    #[test]
    fn a_path_that_needs_quoting_is_refused() {
        assert!(quoted(Path::new("/a b")).is_err());
        assert!(quoted(Path::new("relative")).is_err());
        assert!(quoted(Path::new("/a%b")).is_err());
        assert_eq!(quoted(Path::new("/usr/bin/x")).unwrap(), "/usr/bin/x");
    }
}
