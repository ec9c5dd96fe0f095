//! Real servers that alerts are sent to in tests: a mail server and an
//! Alertmanager, from this host where it has them, else unpacked from Debian's
//! packages into the target folder. Nothing is installed on the host.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::software::{target_dir, unpack},
    step::find,
};

const ALERTMANAGER: (&str, &str) = ("prometheus-alertmanager", "usr/bin/prometheus-alertmanager");
const MAIL_SERVER: (&str, &str) = ("python3-aiosmtpd", "usr/lib/python3/dist-packages/aiosmtpd");

/// Gets what this host does not have, and lets `command` find it.
pub(crate) fn show_to(command: &mut Command) -> Result<()> {
    let mut missing = Vec::new();
    if find(ALERTMANAGER.0).is_none() {
        missing.push(ALERTMANAGER);
    }
    if !has_mail_server() {
        missing.push(MAIL_SERVER);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let tree = target_dir().join("machines/servers");
    let is_there = |tree: &Path| missing.iter().all(|(_, path)| tree.join(path).exists());
    if !is_there(&tree) {
        let packages: Vec<_> = missing.iter().map(|(package, _)| *package).collect();
        unpack(&packages, &tree).with_context(|| {
            format!(
                "alerts are tested against real servers: {}",
                packages.join(", ")
            )
        })?;
        ensure!(
            is_there(&tree),
            "Debian's packages did not bring what they should; please install {}",
            packages.join(" ")
        );
    }
    let folder = tree.join("wrappers");
    write_wrapper(&folder, &tree)?;
    let mut folders = vec![folder];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    command.env("PATH", env::join_paths(folders)?);
    command.env("PYTHONPATH", tree.join("usr/lib/python3/dist-packages"));
    Ok(())
}

/// Debian's Alertmanager reads its templates from `/usr/share` and from nowhere
/// else, so it is shown the unpacked one there: it, and nobody else.
fn write_wrapper(folder: &Path, tree: &Path) -> Result<()> {
    let program = folder.join(ALERTMANAGER.0);
    let tree = tree.display();
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind \"{tree}/usr/share\" /usr/share && exec \"{tree}/{}\" \"$@\"' sh \"$@\"\n",
        ALERTMANAGER.1
    );
    fs::create_dir_all(folder)?;
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn has_mail_server() -> bool {
    Command::new("/usr/bin/python3")
        .args(["-c", "import aiosmtpd"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
