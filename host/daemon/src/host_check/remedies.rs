//! Declared remedies that do not fit this host.

use std::fs;

use prunella_config::Diagnostic;
use prunella_core::{
    remedy::{Release, Remedy},
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
        Remedy::Release(release) => no_link(file, name, release),
        _ => None,
    }
}

/// A release that is no link.
fn no_link(file: &File, name: &str, release: &Release) -> Option<Diagnostic> {
    let path = &release.path;
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
