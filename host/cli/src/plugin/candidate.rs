//! A component that somebody offers: a file, or a folder with one component,
//! its signature, and what its author wrote about it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use prunella_core::{StrategyName, policy::BUILTIN_STRATEGIES};
use prunella_daemon::plugins::{
    component::{MAX_COMPONENT, MAX_SIGNATURE},
    install_paths::signature_of,
};
use rustix::fs::OFlags;

use crate::exit::{Exit, Problem};

/// What is offered, read once.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The component's file.
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// The text of the signature beside it, if there is one.
    pub(super) signature: Option<String>,
    /// What its author wrote for people: `README.md`, `grants.toml`.
    pub(super) extra_files: Vec<PathBuf>,
}

impl Candidate {
    /// Reads a file, or the one component of a folder.
    pub(super) fn read(path: &Path, signature: Option<&Path>) -> anyhow::Result<Self> {
        let (component, extra_files) = if path.is_dir() {
            (the_component_of(path)?, extra_files(path))
        } else {
            (path.to_owned(), Vec::new())
        };
        let bytes = read(&component, MAX_COMPONENT)?;
        let signature = match signature {
            Some(path) => Some(read(path, MAX_SIGNATURE)?),
            None => {
                let beside = signature_of(&component);
                match fs::symlink_metadata(&beside) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    _ => Some(read(&beside, MAX_SIGNATURE)?),
                }
            }
        };
        Ok(Self {
            path: component,
            bytes,
            signature: signature.map(|text| String::from_utf8_lossy(&text).into_owned()),
            extra_files,
        })
    }

    /// The name it will have: the one that is asked for, or its file's.
    pub(super) fn name(&self, asked: Option<&str>) -> anyhow::Result<StrategyName> {
        let stem = self
            .path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let name = asked.map(str::to_owned).or(stem).unwrap_or_default();
        let name =
            StrategyName::new(prunella_core::text::one_line(&name, 80)).map_err(|error| {
                Problem::new(Exit::Usage, error.to_string())
                    .help("give it a name: `--name site-fix`")
            })?;
        if BUILTIN_STRATEGIES.contains(&name.as_str()) {
            return Err(Problem::new(
                Exit::Usage,
                format!("`{name}` is a built-in strategy, and its name is reserved"),
            )
            .help("give it another name: `--name my-fix`")
            .into());
        }
        Ok(name)
    }
}

/// Reads a regular file that may belong to anybody, without waiting for a pipe.
pub(super) fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let failed = |error: io::Error| {
        let what = format!("{} cannot be looked at", path.display());
        Problem::new(Exit::of_io(&error), what).because(error)
    };
    let refused = |what: String| Problem::new(Exit::Usage, format!("{} {what}", path.display()));
    let nonblock = OFlags::NONBLOCK.bits().cast_signed();
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(refused("is not a regular file".to_owned())
            .help("name the component itself, a file that ends in `.wasm`")
            .into());
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(refused(format!("is larger than {limit} bytes")).into());
    }
    Ok(bytes)
}

fn the_component_of(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| {
            Problem::new(
                Exit::Trouble,
                format!("{} cannot be read", folder.display()),
            )
            .because(error)
        })?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect();
    found.sort();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Problem::new(
            Exit::NotFound,
            format!(
                "there is no component (a `.wasm` file) in {}",
                folder.display()
            ),
        )
        .into()),
        (Some(_), others) => Err(Problem::new(
            Exit::Usage,
            format!(
                "there are {} components in {}",
                others + 1,
                folder.display()
            ),
        )
        .help("name the file")
        .into()),
    }
}

fn extra_files(folder: &Path) -> Vec<PathBuf> {
    ["README.md", "README", "grants.toml"]
        .into_iter()
        .map(|name| folder.join(name))
        .filter(|path| path.is_file())
        .collect()
}
