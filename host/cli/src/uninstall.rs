//! `prunella uninstall`: takes back what `setup` and `enable` wrote.
//!
//! What carries Prunella's mark and nobody edited is removed. Configuration and incidents
//! stay, unless `--purge` is given. What somebody else wrote stays in any case.

use std::{
    fs, io,
    io::{BufRead as _, IsTerminal as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use prunella_config::Config;
use prunella_core::capability::ActiveState;
use prunella_daemon::{
    drop_ins,
    files::{self, Found},
};
use prunella_linux::{Linux, LinuxSettings};

use crate::{
    args::UninstallArgs,
    changes::Changes,
    exit::{Exit, Problem},
    output::{self, FAIR},
    paths::{CACHE, Paths, RUN},
    setup::UNITS,
    systemctl, web_service,
};

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(5);

/// What in the configuration folder is Prunella's, beside `services.d`.
fn of_configuration(paths: &Paths) -> [PathBuf; 6] {
    [
        paths.main_file(),
        paths.config.join("web.toml"),
        paths.kill_switch(),
        paths.plugins(),
        paths.keys(),
        paths.templates(),
    ]
}

/// Whether something in `services.d` is: services files, and those that `disable` has left.
fn is_of_services(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".toml") || name.ends_with(".toml.disabled")
}

/// Whether something in the state folder is: the databases with what SQLite keeps beside them,
/// damaged ones that were set aside, and the rest.
fn is_of_state(paths: &Paths, path: &Path) -> bool {
    let others = [
        paths.last_good_main_file(),
        paths.plugins_lock(),
        paths.plugin_versions(),
        paths.content(),
        paths.state.join("cache"),
    ];
    let is_of = |database: &PathBuf| {
        let (path, database) = (path.as_os_str(), database.as_os_str());
        let rest = path.as_bytes().strip_prefix(database.as_bytes());
        rest.is_some_and(|rest| {
            [&b""[..], b"-wal", b"-shm"].contains(&rest) || rest.starts_with(b".damaged-")
        })
    };
    [paths.store(), paths.metrics()].iter().any(is_of) || others.iter().any(|other| other == path)
}

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &UninstallArgs) -> anyhow::Result<Exit> {
    if !args.dry_run {
        if !rustix::process::geteuid().is_root() {
            return Err(
                Problem::new(Exit::NoPermission, "only root can uninstall Prunella")
                    .help(output::with_sudo())
                    .help("`--dry-run` shows what it would do, for everybody")
                    .into(),
            );
        }
        if args.purge && !args.yes && !is_confirmed(paths)? {
            output::print("Nothing was changed.\n")?;
            return Ok(Exit::Ok);
        }
    }
    let mut changes = Changes::new(args.dry_run);
    let down = down_in_care(paths);
    stop(&mut changes)?;
    let units_before = changes.count();
    unit_files(&mut changes, args)?;
    if changes.count() > units_before && systemctl::booted() {
        changes.systemctl(&["daemon-reload"])?;
    }
    // What is left over there outlives no reboot, or can be made anew.
    for (path, usual) in [(&paths.run, RUN), (&paths.cache, CACHE)] {
        let is_own = path == Path::new(usual);
        folder(&mut changes, path, |_| is_own)?;
    }
    if args.purge {
        folder(&mut changes, &paths.services(), is_of_services)?;
        let known = of_configuration(paths);
        folder(&mut changes, &paths.config, |path| {
            known.iter().any(|one| one == path)
        })?;
        folder(&mut changes, &paths.state, |path| is_of_state(paths, path))?;
    }
    end(paths, args, &changes, &down)
}

/// The services in care that are down and should not be, each with how it stands. What
/// cannot be looked at is left out.
fn down_in_care(paths: &Paths) -> Vec<String> {
    let Some(config) = Config::load(&paths.config).config else {
        return Vec::new();
    };
    let Ok(linux) = Linux::connect(LinuxSettings::default()) else {
        return Vec::new();
    };
    let status = |unit| linux.units().get(Instant::now() + LOOK, unit).ok();
    let down = config.services.keys().filter_map(|unit| {
        let status = status(unit)?;
        let how = match status.active_state {
            ActiveState::Failed => "failed",
            _ if status.is_auto_restarting() => "systemd keeps restarting it",
            _ => return None,
        };
        Some(format!("{unit} ({how})"))
    });
    down.collect()
}

/// Asks on the terminal whether configuration and incidents shall go.
fn is_confirmed(paths: &Paths) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(
            Problem::new(Exit::Usage, "--purge deletes configuration and incidents")
                .help("nobody can be asked here: add --yes to delete them")
                .into(),
        );
    }
    output::print(&format!(
        "This deletes the configuration in {} and all incidents in {}. Go on? [y/N] ",
        paths.config.display(),
        paths.state.display()
    ))?;
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Stops and disables Prunella's units: from here on nothing is healed.
fn stop(changes: &mut Changes) -> anyhow::Result<()> {
    if !systemctl::booted() {
        return Ok(());
    }
    web_service::stop(changes)?;
    for unit in ["prunella.service", "prunella-sweep.timer"] {
        let enabled = systemctl::says(&["is-enabled", unit]);
        if enabled || systemctl::says(&["is-active", unit]) {
            changes.systemctl(&["disable", "--now", unit])?;
        }
    }
    for units in ["prunella-sweep.service", "prunella-hook@*.service"] {
        let running = systemctl::run(&[
            "list-units",
            "--plain",
            "--no-legend",
            "--state=active,activating,failed",
            units,
        ])?;
        for unit in running
            .lines()
            .filter_map(|line| line.split_whitespace().next())
        {
            changes.systemctl(&["stop", unit])?;
            // Else it would be listed as failed for as long as the host is up.
            if systemctl::says(&["is-failed", unit]) {
                changes.systemctl(&["reset-failed", unit])?;
            }
        }
    }
    Ok(())
}

/// Removes Prunella's units and the drop-ins that call its hook.
fn unit_files(changes: &mut Changes, args: &UninstallArgs) -> anyhow::Result<()> {
    let names = UNITS.map(|(name, _)| name);
    for name in names.into_iter().chain([web_service::UNIT]) {
        let path = args.place.unit_dir.join(name);
        match files::look(&path, "")? {
            Found::Nothing => {}
            Found::Edited if !(args.purge && files::is_marked(&path)?) => {
                changes.kept("kept", &format!("{} (edited)", path.display()))?;
                output::remark(
                    "note",
                    FAIR,
                    &format!(
                        "somebody edited {}, so it stays; remove it by hand, or with --purge",
                        path.display()
                    ),
                );
            }
            Found::Edited | Found::Ours | Found::Same => changes.remove_file(&path)?,
        }
    }
    web_service::remove_drop_in(changes, &args.place.unit_dir)?;
    for (_, path) in drop_ins::all(&args.place.unit_dir)? {
        if !changes.is_dry_run() {
            drop_ins::remove(&path)?;
        }
        changes.changed("removed", &path.display().to_string())?;
    }
    for path in drop_ins::edited(&args.place.unit_dir)? {
        changes.kept("kept", &format!("{} (edited)", path.display()))?;
        output::remark(
            "note",
            FAIR,
            &format!(
                "somebody edited {}: systemd will look in vain for the hook that it names",
                path.display()
            ),
        );
    }
    Ok(())
}

/// Removes what is Prunella's of a folder, and the folder if it is empty then.
fn folder(
    changes: &mut Changes,
    path: &Path,
    is_ours: impl Fn(&Path) -> bool,
) -> anyhow::Result<()> {
    // A link leads to somebody else's.
    if fs::symlink_metadata(path).map_or(true, |there| !there.is_dir()) {
        return Ok(());
    }
    let listed = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", path.display()))?;
    let (ours, others): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|entry| is_ours(&entry.path()));
    for entry in ours {
        let inside = entry.path();
        if entry.file_type()?.is_dir() {
            if !changes.is_dry_run() {
                fs::remove_dir_all(&inside)
                    .with_context(|| format!("cannot remove {}", inside.display()))?;
            }
            changes.changed("removed", &inside.display().to_string())?;
        } else {
            changes.remove_file(&inside)?;
        }
    }
    if others.is_empty() {
        if !changes.is_dry_run() {
            fs::remove_dir(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        changes.changed("removed", &path.display().to_string())?;
    }
    Ok(())
}

fn and(paths: &[&PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(" and ")
}

/// Says what there is left.
fn end(
    paths: &Paths,
    args: &UninstallArgs,
    changes: &Changes,
    down: &[String],
) -> anyhow::Result<Exit> {
    let mut text = match (args.dry_run, changes.count()) {
        (true, 0) => "\nNothing would be removed.\n".to_owned(),
        (true, _) => "\nNothing was changed: this was a dry run.\n".to_owned(),
        (false, 0) => "Nothing had to be removed.\n".to_owned(),
        (false, _) => "\nPrunella is uninstalled, and heals nothing any more.\n".to_owned(),
    };
    let left: Vec<&PathBuf> = [&paths.config, &paths.state]
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    if !args.purge && !left.is_empty() {
        text.push_str(&format!(
            "Configuration and incidents stay in {}; `prunella uninstall --purge` deletes them.\n",
            and(&left)
        ));
    }
    if args.purge && !args.dry_run && !left.is_empty() {
        text.push_str(&format!(
            "What is not Prunella's stays in {}.\n",
            and(&left)
        ));
    }
    if let Ok(program) = std::env::current_exe() {
        text.push_str(&format!(
            "The program itself stays: {}\n",
            program.display()
        ));
    }
    output::print(&text)?;
    if !down.is_empty() {
        let (are, them) = match down {
            [_] => ("is", "it"),
            _ => ("are", "them"),
        };
        let nobody = if args.dry_run {
            format!("nobody would look after {them}")
        } else {
            format!("nobody looks after {them} any more")
        };
        output::remark(
            "warning",
            FAIR,
            &format!(
                "{} {are} down, and {nobody}; what people were told of {them} stays open",
                down.join(", ")
            ),
        );
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn only_prunellas_files_go() {
        let folder_of = tempfile::tempdir().unwrap();
        let path = folder_of.path().join("etc");
        let known = of_configuration(&Paths::new(path.clone(), "/state".into(), "/run".into()));
        let is_of_configuration = |path: &Path| known.iter().any(|one| one == path);
        fs::create_dir_all(path.join("keys")).unwrap();
        fs::write(path.join("prunella.toml"), "").unwrap();
        fs::write(path.join("passwd"), "").unwrap();

        let mut dry = Changes::new(true);
        folder(&mut dry, &path, is_of_configuration).unwrap();
        assert_eq!(dry.count(), 2);
        assert!(path.join("prunella.toml").exists());

        let mut changes = Changes::new(false);
        folder(&mut changes, &path, is_of_configuration).unwrap();
        assert_eq!(changes.count(), 2);
        let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(path.join("passwd").exists());

        fs::remove_file(path.join("passwd")).unwrap();
        folder(&mut changes, &path, is_of_configuration).unwrap();
        assert!(!path.exists());
        folder(&mut changes, &path, is_of_configuration).unwrap();
    }

    #[rstest]
    #[case("prunella.db", true)]
    #[case("prunella.db-wal", true)]
    #[case("metrics.db.damaged-1796028951", true)]
    #[case("plugins.lock", true)]
    #[case("content", true)]
    #[case("prunella.db.before-upgrade", false)]
    #[case("prunella.db-backup", false)]
    #[case("notes.txt", false)]
    fn what_of_the_state_is_prunellas(#[case] name: &str, #[case] is_ours: bool) {
        let paths = Paths::new("/etc/x".into(), "/state".into(), "/run".into());
        assert_eq!(is_of_state(&paths, &paths.state.join(name)), is_ours);
    }
}
