//! Declared values in configuration files that could not be changed.

use prunella_config::Diagnostic;
use prunella_core::{
    remedy::{ConfigUpdate, NoNextValue},
    text::{one_line, redact},
};
use prunella_linux::config_file::{self, Unread, Unusable};

use super::File;

/// A file that is missing or no regular file, a key that is not in it, or a value that is none
/// of those that are declared.
pub(super) fn wrong_with(file: &File, name: &str, update: &ConfigUpdate) -> Option<Diagnostic> {
    let path = &update.path;
    let shown = one_line(&path.to_string_lossy(), 200);
    let at = |key: &str| file.0.value_in("config-update", name, key);
    let warning =
        |key: &str, message: String, help: &str| Some(file.warning(at(key), message).help(help));
    let content = match config_file::read(path) {
        Ok(content) => content,
        Err(Unread::Missing) => {
            return warning(
                "path",
                format!("the file {shown} (`{name}`) is not there"),
                "correct `path`, or make the file: until then nothing is changed",
            );
        }
        Err(Unread::Other(why)) => {
            return warning(
                "path",
                format!("{shown} (`{name}`) is left alone: {why}"),
                "name the file itself",
            );
        }
    };
    let value = match config_file::value(&content, update.format, &update.key) {
        Ok(value) => value,
        Err(why) => {
            let (key, help) = match why {
                Unusable::NotText | Unusable::NotRead { .. } => (
                    "path",
                    "correct the file, or say its `format`: until then nothing is changed",
                ),
                _ => (
                    "key",
                    "correct `key`, or write the value once and plainly: until then it is left \
                     alone",
                ),
            };
            return warning(key, format!("{shown} (`{name}`): {why}"), help);
        }
    };
    match update.values.next(&value) {
        Ok(_) | Err(NoNextValue::Last) => None,
        Err(NoNextValue::NotDeclared) => {
            let key = if at("values").is_some() {
                "values"
            } else {
                "min"
            };
            let message = if update.is_secret() {
                format!(
                    "the value of {} in {shown} (`{name}`) is none of those that are declared",
                    update.key
                )
            } else {
                format!(
                    "{} is {} in {shown} (`{name}`), and declared are {}",
                    update.key,
                    one_line(&redact(&value), 60),
                    update.values
                )
            };
            let help = "add the value, in its place: until then it is left alone";
            warning(key, message, help)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Duration};

    use prunella_config::Source;
    use prunella_core::remedy::{ConfigFormat, ConfigValues, Lease, LeaseEnds};

    use super::*;

    const TEXT: &str = "unit = \"web\"\n[[config-update]]\nname = \"web\"\npath = \"/x\"\n\
                        key = \"workers\"\nvalues = [\"8\", \"4\"]\ncheck = \"config\"\n";

    fn said(path: PathBuf, key: &str) -> Option<String> {
        let file = File(Source {
            file: "services.d/web.toml".into(),
            text: TEXT.to_owned(),
        });
        let update = ConfigUpdate {
            path,
            format: ConfigFormat::Toml,
            key: key.to_owned(),
            values: ConfigValues::Listed(vec!["8".to_owned(), "4".to_owned()]),
            check: "config".to_owned(),
            secret: false,
            untouched_for: Duration::ZERO,
            lease: Lease {
                lasts: Duration::from_secs(1),
                ends: LeaseEnds::Kept,
                calm: Duration::ZERO,
            },
        };
        wrong_with(&file, "web", &update).map(|found| found.to_string())
    }

    #[test]
    fn what_could_not_be_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.toml");
        for (content, key, message, line) in [
            ("workers = 6\n", "workers", "workers is 6 in", 6),
            (
                "port = 8\n",
                "workers",
                "workers does not stand in the file",
                5,
            ),
            ("workers = [8]\n", "workers", "workers is a list", 5),
            ("workers = \n", "workers", "cannot be read as TOML", 4),
            (
                "password = \"hunter2\"\n",
                "password",
                "is none of those that are declared",
                6,
            ),
        ] {
            fs::write(&path, content).unwrap();
            let said = said(path.clone(), key).unwrap();
            assert!(said.contains(message), "{said}");
            assert!(said.contains(&format!("web.toml:{line}:")), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn what_is_there_and_declared_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.toml");
        let missing = said(path.clone(), "workers").unwrap();
        assert!(missing.contains("is not there"), "{missing}");
        for content in ["workers = 8\n", "workers = 4\n"] {
            fs::write(&path, content).unwrap();
            assert_eq!(said(path.clone(), "workers"), None);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let said = said(link, "workers").unwrap();
        assert!(said.contains("it is no regular file"), "{said}");
    }
}
