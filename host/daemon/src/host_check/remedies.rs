//! Declared remedies that do not fit this host.

use std::{fs, os::unix::fs::FileTypeExt as _, path::Path};

use prunella_config::Diagnostic;
use prunella_core::{
    remedy::{ReleaseOf, Remedy, TrafficWay},
    secret::SecretSource,
    text::one_line,
};

use super::{File, config_updates, is_missing, wrong_with_secret};

/// What is wrong with one.
pub(super) fn wrong_with(file: &File, name: &str, remedy: &Remedy) -> Option<Diagnostic> {
    match remedy {
        Remedy::Call(call) => {
            let source = &call.secret.as_ref()?.source;
            let SecretSource::File(path) = source else {
                return None;
            };
            let (message, help) = wrong_with_secret(path, || {
                prunella_notify::wrong_with_secret(source, false).map(str::to_owned)
            })?;
            let span = file.0.value_in("call", name, "secret-file");
            Some(file.warning(span, message).help(help))
        }
        Remedy::ConfigUpdate(update) => config_updates::wrong_with(file, name, update),
        Remedy::Release(release) => match &release.of {
            ReleaseOf::Path(path) => no_link(file, name, path),
            ReleaseOf::Packages(packages) => no_package(file, name, packages),
        },
        Remedy::Traffic(traffic) => match &traffic.way {
            TrafficWay::Haproxy(server) => no_socket(file, name, &server.socket),
            TrafficWay::TrackFile(tracked) => no_track_file(file, name, &tracked.path),
            TrafficWay::Checks(_) => None,
        },
        _ => None,
    }
}

/// A release that is no link.
fn no_link(file: &File, name: &str, path: &Path) -> Option<Diagnostic> {
    let shown = one_line(&path.to_string_lossy(), 200);
    let (message, help) = match fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => return None,
        Ok(_) => (
            format!("{shown} (`{name}`) is not a symbolic link"),
            "only a link can be rolled back: deploy with a link to the release in force",
        ),
        Err(_) if is_missing(path) => (
            format!("the release {shown} (`{name}`) is not there"),
            "correct `path`, or make the link: until then nothing is rolled back",
        ),
        Err(_) => return None,
    };
    let span = file.0.value_in("release", name, "path");
    Some(file.warning(span, message).help(help))
}

/// A release of a package that is not installed.
fn no_package(file: &File, name: &str, packages: &[String]) -> Option<Diagnostic> {
    let installed = prunella_linux::dpkg::installed(packages).ok()?;
    let mut both = packages.iter().zip(installed);
    let (missing, _) = both.find(|(_, installed)| installed.is_none())?;
    let span = file.0.value_in("release", name, "packages");
    Some(
        file.warning(
            span,
            format!("the package {missing} (`{name}`) is not installed"),
        )
        .help("correct `packages`, or install it: until then nothing is rolled back"),
    )
}

/// HAProxy's socket that is none, or not there: it may not run yet.
fn no_socket(file: &File, name: &str, path: &Path) -> Option<Diagnostic> {
    let shown = one_line(&path.to_string_lossy(), 200);
    let (message, help) = match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => return None,
        Ok(_) => (
            format!("{shown} (`{name}`) is not a socket"),
            "name the socket of `stats socket` in haproxy.cfg",
        ),
        Err(_) if is_missing(path) => (
            format!("{shown} (`{name}`) is not there"),
            "start HAProxy, and see that its `stats socket` has `level admin`: until then \
             nothing is drained",
        ),
        Err(_) => return None,
    };
    let span = file.0.value_in("traffic", name, "haproxy");
    Some(file.warning(span, message).help(help))
}

/// A track file that is none, or not there.
fn no_track_file(file: &File, name: &str, path: &Path) -> Option<Diagnostic> {
    let shown = one_line(&path.to_string_lossy(), 200);
    let (message, help) = match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => return None,
        Ok(_) => (
            format!("{shown} (`{name}`) is not a file"),
            "name the file of `track_file` in keepalived.conf",
        ),
        Err(_) if is_missing(path) => (
            format!("{shown} (`{name}`) is not there"),
            "have keepalived make it, with `init_file`: until then nothing is drained",
        ),
        Err(_) => return None,
    };
    let span = file.0.value_in("traffic", name, "track-file");
    Some(file.warning(span, message).help(help))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use prunella_config::Source;
    use prunella_core::remedy::{Call, CallMethod, CallSecret, SecretUse};

    use super::*;

    #[test]
    fn a_secret_that_is_not_there_is_told_with_its_line() {
        let text = "unit = \"web\"\n[[call]]\nname = \"purge\"\nurl = \"http://127.0.0.1\"\n\
                    secret-file = \"/nowhere/key\"\n";
        let file = File(Source {
            file: "services.d/web.toml".into(),
            text: text.to_owned(),
        });
        let remedy = Remedy::Call(Call {
            url: "http://127.0.0.1".to_owned(),
            method: CallMethod::Post,
            headers: BTreeMap::new(),
            body: None,
            expect_status: Vec::new(),
            timeout: Duration::from_secs(1),
            secret: Some(CallSecret {
                source: SecretSource::File("/nowhere/key".into()),
                used_as: SecretUse::Bearer,
            }),
        });
        let told = wrong_with(&file, "purge", &remedy).unwrap().to_string();
        assert!(told.contains("/nowhere/key is not there"), "{told}");
        assert!(told.contains("web.toml:5:"), "{told}");
    }
}
