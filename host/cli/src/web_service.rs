//! `prunella web enable` and `disable`: the unit of the web process.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use prunella_api::{ApiError, Client, Orders as _};
use prunella_config::web::{self, Listen, TlsFiles, WebSettings};
use prunella_daemon::files::{self, Found};

use crate::{
    args::{WebDisableArgs, WebEnableArgs},
    changes::Changes,
    exit::{Exit, Problem},
    output::{self, FAIR, STRONG},
    paths::Paths,
    setup::{binary, group_exists, quoted},
    systemctl,
};

/// The unit's name.
pub(crate) const UNIT: &str = "prunella-web.service";

const TEMPLATE: &str = include_str!("units/prunella-web.service");

/// What web.toml is when there is none.
const SETTINGS: &str = include_str!("units/web.toml");

/// The group that the daemon gives its web socket to.
const GROUP: &str = "prunella-web";

/// Runs `prunella web enable`.
pub(crate) fn enable(paths: &Paths, args: &WebEnableArgs) -> anyhow::Result<Exit> {
    as_root(args.dry_run)?;
    let mut changes = Changes::new(args.dry_run);
    let file = paths.config.join("web.toml");
    let settings = web::load(&file).map_err(|mistakes| {
        let mut problem = Problem::new(
            Exit::Config,
            "web.toml has mistakes, so nothing was changed",
        );
        for mistake in mistakes {
            problem = problem.help(mistake.short());
        }
        problem
    })?;
    let binary = web_binary(args.bin.as_deref())?;
    let body = unit(&binary, paths, &settings)?;
    if !file.exists() {
        if !args.dry_run {
            files::folder(&paths.config, 0o755)?;
            files::write(&file, SETTINGS)?;
        }
        changes.changed("wrote", &file.display().to_string())?;
    }
    if !group_exists(GROUP) {
        if !args.dry_run {
            make_group()?;
        }
        changes.changed("made", &format!("group {GROUP}"))?;
    }
    let path = args.place.unit_dir.join(UNIT);
    let unit_changed = match files::look(&path, &body)? {
        Found::Same => {
            changes.kept("unchanged", &path.display().to_string())?;
            false
        }
        Found::Edited => {
            changes.kept("kept", &format!("{} (edited)", path.display()))?;
            let note = format!("somebody edited {}, so it stays as it is", path.display());
            output::remark("note", FAIR, &note);
            false
        }
        Found::Nothing | Found::Ours => {
            if !args.dry_run {
                files::folder(&args.place.unit_dir, 0o755)?;
                files::write(&path, files::marked(&body))?;
            }
            changes.changed("wrote", &path.display().to_string())?;
            true
        }
    };
    if !systemctl::booted() {
        let note = "systemd does not run here, so nothing was enabled or started";
        output::remark("note", FAIR, note);
        return Ok(Exit::Ok);
    }
    let joined = let_daemon_join(&mut changes, &args.place.unit_dir)?;
    if unit_changed || joined {
        changes.systemctl(&["daemon-reload"])?;
    }
    if joined {
        changes.systemctl(&["try-restart", "prunella.service"])?;
    }
    if !args.dry_run {
        // It gives its web socket to the group once that is there.
        match Client::new(&paths.run).reload() {
            Ok(_) => {}
            Err(ApiError::NotListening(_)) => output::remark(
                "note",
                FAIR,
                "the daemon does not run: the pages say so until it does",
            ),
            Err(error) => {
                return Err(error).context("the daemon could not be told of the web process");
            }
        }
    }
    changes.systemctl(&["enable", UNIT])?;
    // Settings are read as it begins.
    changes
        .systemctl(&["restart", UNIT])
        .with_context(|| format!("{UNIT} is installed, but does not start"))
        .map_err(|error| {
            error.context(
                Problem::new(Exit::Trouble, "the web pages are not there")
                    .help(format!("see `journalctl -u {UNIT} -n 20`")),
            )
        })?;
    let at = settings
        .url()
        .unwrap_or_else(|| settings.listen.to_string());
    output::print(&format!(
        "\nThe pages are at {at}.\nNext: {STRONG}prunella web login{STRONG:#} makes a link that logs you in.\n"
    ))?;
    Ok(Exit::Ok)
}

/// Runs `prunella web disable`.
pub(crate) fn disable(args: &WebDisableArgs) -> anyhow::Result<Exit> {
    as_root(args.dry_run)?;
    let mut changes = Changes::new(args.dry_run);
    stop(&mut changes)?;
    let path = args.place.unit_dir.join(UNIT);
    if files::look(&path, "")? != Found::Nothing {
        changes.remove_file(&path)?;
    }
    remove_drop_in(&mut changes, &args.place.unit_dir)?;
    if changes.count() > 0 && systemctl::booted() {
        changes.systemctl(&["daemon-reload"])?;
    }
    if changes.count() == 0 {
        output::print("Nothing had to be changed.\n")?;
    }
    Ok(Exit::Ok)
}

/// Has the daemon be in the group, so that it can give its socket to it: it has no right to
/// give anything to others. Answers whether it was not; `setup` writes it into the unit where
/// the group is there already.
fn let_daemon_join(changes: &mut Changes, unit_dir: &Path) -> anyhow::Result<bool> {
    let own = fs::read_to_string(unit_dir.join("prunella.service")).unwrap_or_default();
    let path = drop_in(unit_dir);
    if own.contains(GROUP) || path.exists() {
        return Ok(false);
    }
    if !changes.is_dry_run() {
        files::folder(&unit_dir.join("prunella.service.d"), 0o755)?;
        files::write(
            &path,
            files::marked(&format!("[Service]\nSupplementaryGroups={GROUP}\n")),
        )?;
    }
    changes.changed("wrote", &path.display().to_string())?;
    Ok(true)
}

/// Where the daemon is let into the group.
fn drop_in(unit_dir: &Path) -> PathBuf {
    unit_dir.join("prunella.service.d/prunella-web.conf")
}

/// Removes what lets the daemon into the group, and its folder if nothing else is in it.
pub(crate) fn remove_drop_in(changes: &mut Changes, unit_dir: &Path) -> anyhow::Result<bool> {
    let path = drop_in(unit_dir);
    if !path.exists() {
        return Ok(false);
    }
    changes.remove_file(&path)?;
    if !changes.is_dry_run() {
        // Somebody else's drop-ins stay.
        let _ = fs::remove_dir(unit_dir.join("prunella.service.d"));
    }
    Ok(true)
}

/// Stops the unit, where it is enabled or runs.
pub(crate) fn stop(changes: &mut Changes) -> anyhow::Result<()> {
    if !systemctl::booted() {
        return Ok(());
    }
    if systemctl::says(&["is-enabled", UNIT]) || systemctl::says(&["is-active", UNIT]) {
        changes.systemctl(&["disable", "--now", UNIT])?;
    }
    Ok(())
}

fn as_root(dry_run: bool) -> anyhow::Result<()> {
    if dry_run || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(
        Problem::new(Exit::NoPermission, "only root can install units")
            .help(output::with_sudo())
            .help("`--dry-run` shows what it would do, for everybody")
            .into(),
    )
}

/// The binary that is given, or the one beside this one.
fn web_binary(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if given.is_some() {
        return binary(given);
    }
    let beside = binary(None)?.with_file_name("prunella-web");
    if !beside.exists() {
        return Err(
            Problem::new(Exit::NotFound, format!("there is no {}", beside.display()))
                .help("install prunella-web beside prunella, or say where it is with --bin")
                .into(),
        );
    }
    binary(Some(&beside))
}

fn make_group() -> anyhow::Result<()> {
    let made = Command::new("systemd-sysusers")
        .args(["--inline", &format!("g {GROUP} - -")])
        .output()
        .context("systemd-sysusers cannot be run")?;
    if made.status.success() {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Trouble,
        format!("the group {GROUP} could not be made"),
    )
    .help(prunella_core::text::one_line(
        &String::from_utf8_lossy(&made.stderr),
        300,
    ))
    .help(format!("`groupadd --system {GROUP}` makes it, too"))
    .into())
}

/// The unit's text.
fn unit(binary: &Path, paths: &Paths, settings: &WebSettings) -> anyhow::Result<String> {
    let file = quoted(&paths.config.join("web.toml"))?;
    let run = quoted(&paths.run)?;
    let program = quoted(binary)?;
    let mut groups = vec![GROUP.to_owned()];
    let mut seen = vec![
        // Which time it is here, and where libraries are.
        "-/etc/localtime".to_owned(),
        "-/etc/ld.so.cache".to_owned(),
        program.clone(),
        file.clone(),
    ];
    if let Some(tls) = &settings.tls {
        groups.extend(group_of(tls)?);
        for path in [&tls.certificate, &tls.key] {
            // The folders: a file that is replaced is another one. A link leads elsewhere.
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            for folder in [path.parent(), real.parent()].into_iter().flatten() {
                let folder = quoted(folder)?;
                if !seen.contains(&folder) {
                    seen.push(folder);
                }
            }
        }
    }
    let place = match &settings.listen {
        // Nobody else's socket is in sight.
        Listen::Address(address) => {
            let mut place = vec![
                "TemporaryFileSystem=/run:ro".to_owned(),
                format!("BindReadOnlyPaths={run} -/run/systemd/notify"),
            ];
            if address.ip().is_loopback() {
                place.push("IPAddressDeny=any\nIPAddressAllow=localhost".to_owned());
            }
            place.join("\n")
        }
        Listen::Socket(path) if path.parent() == Some(Path::new("/run/prunella-web")) => {
            "RuntimeDirectory=prunella-web\nRuntimeDirectoryMode=0755\nPrivateNetwork=yes"
                .to_owned()
        }
        Listen::Socket(path) => {
            return Err(Problem::new(
                Exit::Config,
                format!("{} is not in /run/prunella-web", path.display()),
            )
            .help("the web process may make its socket there alone")
            .into());
        }
    };
    // A socket is for whoever is in front of it, such as a proxy; a login is asked for anyway.
    let umask = match &settings.listen {
        Listen::Socket(_) => "0000",
        Listen::Address(_) => "0077",
    };
    Ok(TEMPLATE
        .replace(
            "@COMMAND@",
            &format!("{program} --config {file} --daemon {run}/web.sock"),
        )
        .replace("@GROUPS@", &groups.join(" "))
        .replace("@UMASK@", umask)
        .replace("@FILES@", &seen.join(" "))
        .replace("@PLACE@", &place))
}

/// The group by which the web process reads the key; none, where everybody can.
fn group_of(tls: &TlsFiles) -> anyhow::Result<Option<String>> {
    let there = fs::metadata(&tls.key).map_err(|error| {
        Problem::new(
            Exit::Config,
            format!("{} cannot be read", tls.key.display()),
        )
        .because(error)
    })?;
    if there.mode() & 0o004 != 0 {
        return Ok(None);
    }
    if there.mode() & 0o040 == 0 || there.gid() == 0 {
        return Err(Problem::new(
            Exit::Config,
            format!("the web process could not read {}", tls.key.display()),
        )
        .help("give it to a group of its own: `chgrp ssl-cert FILE; chmod 0640 FILE`")
        .into());
    }
    Ok(Some(there.gid().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        Paths {
            config: "/etc/prunella".into(),
            state: "/var/lib/prunella".into(),
            run: "/run/prunella".into(),
            cache: "/var/cache/prunella".into(),
        }
    }

    fn text(settings: &WebSettings) -> String {
        unit(Path::new("/usr/bin/prunella-web"), &paths(), settings).unwrap()
    }

    #[test]
    fn it_has_no_rights_and_sees_one_socket() {
        let text = text(&WebSettings::default());
        for line in [
            "DynamicUser=yes",
            "CapabilityBoundingSet=",
            "SupplementaryGroups=prunella-web",
            "TemporaryFileSystem=/run:ro",
            "BindReadOnlyPaths=/run/prunella -/run/systemd/notify",
            "IPAddressDeny=any",
            "ExecStart=/usr/bin/prunella-web --config /etc/prunella/web.toml --daemon /run/prunella/web.sock",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(
            !text.lines().any(|it| it.contains("@")
                && !it.contains("=@")
                && !it.contains("~@")
                && !it.starts_with('#')),
            "{text}"
        );
    }

    #[test]
    fn a_socket_needs_no_network() {
        let settings = WebSettings {
            listen: Listen::Socket("/run/prunella-web/web.sock".into()),
            tls: None,
        };
        assert!(text(&settings).contains("PrivateNetwork=yes"));
        let elsewhere = WebSettings {
            listen: Listen::Socket("/tmp/x".into()),
            tls: None,
        };
        assert!(unit(Path::new("/usr/bin/prunella-web"), &paths(), &elsewhere).is_err());
    }

    #[test]
    fn a_key_is_read_by_its_group_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        fs::write(&key, "").unwrap();
        let tls = TlsFiles {
            certificate: key.clone(),
            key: key.clone(),
        };
        let mode = |mode| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o600);
        assert!(group_of(&tls).is_err());
        mode(0o644);
        assert_eq!(group_of(&tls).unwrap(), None);
    }

    #[test]
    fn the_first_settings_are_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.toml");
        fs::write(&path, SETTINGS).unwrap();
        assert_eq!(web::load(&path).unwrap(), WebSettings::default());
    }
}
