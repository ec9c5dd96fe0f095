//! Why there is no project, or no component.

use std::{io, path::PathBuf};

use prunella_engine::LoadError;

/// Why a project was not written.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Not a name that a strategy, a package of Rust and one of WIT can have.
    #[error(
        "`{name}` cannot be the name of a strategy: use words of lower-case letters and digits with one `-` between them, each beginning with a letter, at most 64 characters, such as `cache-guard`"
    )]
    Name {
        /// What was asked for.
        name: String,
    },
    /// A word that means something else in the language.
    #[error("`{name}` already means something in {language}; call it `{name}-guard`, for instance")]
    Reserved {
        /// What was asked for.
        name: String,
        /// Where it means something.
        language: &'static str,
    },
    /// One of Prunella's own strategies has that name.
    #[error("`{name}` is a built-in strategy, and its name is reserved; choose another")]
    Builtin {
        /// What was asked for.
        name: String,
    },
    /// Something is there that would be overwritten.
    #[error("{} is there already and not empty; choose another folder, or remove it first", folder.display())]
    Exists { folder: PathBuf },
    /// What `--sdk` names is no checkout.
    #[error("{} is no checkout of Prunella: it has no sdk/Cargo.toml", path.display())]
    Sdk {
        /// What was named.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing to build.
    #[error(
        "{} is not the project of a strategy: it has no Cargo.toml, src/strategy.c, pyproject.toml or package.json; `prunella plugin new` makes one",
        folder.display()
    )]
    NoProject { folder: PathBuf },
    /// It is not clear what to build.
    #[error(
        "{} is several projects at once: it has {}; keep one of them, or move the others to folders of their own",
        folder.display(),
        markers.join(" and ")
    )]
    SeveralProjects {
        folder: PathBuf,
        /// The files that say so.
        markers: Vec<&'static str>,
    },
    /// A program or library that the language needs is not installed.
    #[error("{what} is not installed, and {why}; install it with:\n\n    {}", install.join("\n    "))]
    MissingTool {
        what: String,
        /// What it is needed for.
        why: &'static str,
        /// Commands that get it, on Debian.
        install: Vec<String>,
    },
    /// A program of the toolchain could not be run.
    #[error("cannot run {}", program.display())]
    Run {
        program: PathBuf,
        #[source]
        error: io::Error,
    },
    /// A program of the toolchain has found a mistake.
    #[error("{} ended with {status}; what it says is above", program.display())]
    Failed {
        program: PathBuf,
        /// `exit status: 1`.
        status: String,
    },
    /// The project lacks something, or has it otherwise than it must be.
    #[error("{}: {what}", path.display())]
    Project {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The world in `wit/` cannot be used.
    #[error("the world in {} cannot be used: {reason}", path.display())]
    World {
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The code calls WASI.
    #[error(
        "the code calls {}, which belongs to WASI: a strategy reaches nothing but what Prunella offers it, so that its imports show all that it can do; use the contract's own clock, log and files instead, or leave out the library that calls it",
        calls.join(", ")
    )]
    Wasi {
        /// What it calls.
        calls: Vec<String>,
    },
    /// The linked module is no component in the making.
    #[error("no component can be made of {}: {reason}", path.display())]
    Encode {
        path: PathBuf,
        /// What the encoder says.
        reason: String,
    },
    /// It was built, and Prunella would not load it.
    #[error("the component was built, but Prunella would not load it")]
    Refused(#[source] LoadError),
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        #[source]
        error: io::Error,
    },
}

impl BuildError {
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::Io {
            action: "read",
            path,
            error,
        }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::Io {
            action: "write",
            path,
            error,
        }
    }
}
