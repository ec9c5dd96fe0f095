//! Declared files that are not what they are declared to be.

use std::{
    fs::{self, Metadata},
    io::Read as _,
    os::unix::fs::FileTypeExt as _,
    path::Path,
};

use prunella_config::Diagnostic;
use prunella_core::{
    service::{DeclaredFile, FileRole},
    text::one_line,
};
use prunella_linux::env_file;

use super::{File, is_missing};

/// More than this is no environment file.
const LONGEST_ENV_FILE: u64 = 1 << 20;

/// A file that is missing, of another kind than declared, or without a name that it has to
/// set. What comes and goes with the service is not looked at.
pub(super) fn wrong_with(file: &File, name: &str, declared: &DeclaredFile) -> Option<Diagnostic> {
    let path = &declared.path;
    let shown = one_line(&path.to_string_lossy(), 200);
    if declared.role == FileRole::Socket || path.starts_with("/run") || path.starts_with("/var/run")
    {
        return None;
    }
    // systemd follows links wherever it reads; only a link is looked at itself.
    let there = match declared.role {
        FileRole::Symlink => fs::symlink_metadata(path),
        _ => fs::metadata(path),
    };
    let Ok(there) = there else {
        // Of a folder that is not there is told already.
        let told = path.parent().is_none_or(is_missing);
        if declared.optional || told || !is_missing(path) {
            return None;
        }
        let message = format!("the file {shown} (`{name}`) is not there");
        return Some(
            file.warning(file.0.value_in("file", name, "path"), message)
                .help(
                    "while it is missing, the service is not started: correct `path`, create the \
                     file, or write `optional = true` if the service can do without it",
                ),
        );
    };
    if let Some(kind) = another_kind(declared.role, &there) {
        let role = declared.role.as_str();
        let span = file
            .0
            .value_in("file", name, "role")
            .or_else(|| file.0.value_in("file", name, "path"));
        return Some(
            file.warning(
                span,
                format!("{shown} (`{name}`) is declared as {role}, and is {kind}"),
            )
            .help("correct `role`, or `path`: the service is not healed while they differ"),
        );
    }
    missing_keys(file, name, declared, &shown)
}

/// What it is instead of what it is declared to be.
fn another_kind(role: FileRole, there: &Metadata) -> Option<&'static str> {
    let kind = there.file_type();
    let fits = match role {
        FileRole::Plain | FileRole::Env | FileRole::Database => kind.is_file(),
        FileRole::Directory => kind.is_dir(),
        FileRole::Symlink => kind.is_symlink(),
        FileRole::Socket => kind.is_socket(),
    };
    if fits {
        return None;
    }
    Some(if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a regular file"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "neither a regular file nor a directory"
    })
}

/// Names that an environment file has to set, and does not.
fn missing_keys(
    file: &File,
    name: &str,
    declared: &DeclaredFile,
    shown: &str,
) -> Option<Diagnostic> {
    if declared.keys.is_empty() {
        return None;
    }
    let content = read(&declared.path)?;
    let set = env_file::keys(&content).ok()?;
    let missing: Vec<String> = declared
        .keys
        .iter()
        .filter(|key| !set.iter().any(|set| set.name == **key && !set.empty))
        .map(|key| format!("`{}`", one_line(key, 60)))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(
        file.warning(
            file.0.value_in("file", name, "keys"),
            format!("{shown} (`{name}`) does not set {}", missing.join(", ")),
        )
        .help("the service is not healed without them: set them there, or correct `keys`"),
    )
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)
        .ok()?
        .take(LONGEST_ENV_FILE)
        .read_to_end(&mut content)
        .ok()?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use prunella_config::Source;

    use super::*;

    const TEXT: &str = "unit = \"web\"\n[[file]]\nname = \"x\"\npath = \"/x\"\nrole = \"env\"\n\
                        keys = [\"A\", \"B\"]\n";

    fn said(path: PathBuf, role: FileRole, keys: &[&str]) -> Option<String> {
        let file = File(Source {
            file: "services.d/web.toml".into(),
            text: TEXT.to_owned(),
        });
        let declared = DeclaredFile {
            path,
            role,
            mode: None,
            owner: None,
            group: None,
            target: None,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            optional: false,
            read_by: Default::default(),
            secret: false,
        };
        let found = wrong_with(&file, "x", &declared);
        let optional = DeclaredFile {
            optional: true,
            ..declared
        };
        let optional = wrong_with(&file, "x", &optional);
        found.map(|found| {
            let said = found.to_string();
            let missing = said.contains("is not there");
            assert_eq!(
                optional.is_none(),
                missing,
                "an optional one may be missing"
            );
            said
        })
    }

    #[test]
    fn what_is_there_is_of_the_declared_kind() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        fs::write(&plain, "A=1\n").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&plain, &link).unwrap();
        let inside = || folder.path().to_owned();

        for path in [&plain, &link] {
            assert_eq!(said(path.clone(), FileRole::Plain, &[]), None);
            let wrong = said(path.clone(), FileRole::Directory, &[]).unwrap();
            assert!(
                wrong.contains("is declared as directory, and is a regular file"),
                "{wrong}"
            );
            assert!(wrong.contains("web.toml:5:"), "{wrong}");
        }
        assert_eq!(said(inside(), FileRole::Directory, &[]), None);
        for role in [FileRole::Plain, FileRole::Env, FileRole::Database] {
            let wrong = said(inside(), role, &[]).unwrap();
            assert!(wrong.contains("and is a directory"), "{wrong}");
        }
        assert_eq!(said(link, FileRole::Symlink, &[]), None);
        assert!(said(plain.clone(), FileRole::Symlink, &[]).is_some());

        let wrong = said(folder.path().join("gone"), FileRole::Plain, &[]).unwrap();
        assert!(wrong.contains("gone (`x`) is not there"), "{wrong}");
        assert!(wrong.contains("web.toml:4:"), "{wrong}");
        // What the service itself makes.
        assert_eq!(said("/run/nothing".into(), FileRole::Plain, &[]), None);
        assert_eq!(
            said(folder.path().join("sock"), FileRole::Socket, &[]),
            None
        );
    }

    #[test]
    fn an_environment_file_sets_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        fs::write(&path, "A=1\nB=\n").unwrap();
        assert_eq!(said(path.clone(), FileRole::Env, &["A"]), None);
        let wrong = said(path, FileRole::Env, &["A", "B", "C"]).unwrap();
        assert!(wrong.contains("does not set `B`, `C`"), "{wrong}");
        assert!(wrong.contains("web.toml:6:"), "{wrong}");
    }
}
