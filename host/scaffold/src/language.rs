//! The languages that strategies are written in.

use std::{fmt, path::Path};

use crate::BuildError;

/// A language for which there is a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Rust, with the SDK.
    Rust,
    /// C, with clang.
    C,
    /// Python, with componentize-py.
    Python,
    /// JavaScript, with componentize-js.
    JavaScript,
}

impl Language {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::Python, Self::JavaScript];

    /// The short word for it: `rust`, `c`, `python`, `js`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Python => "python",
            Self::JavaScript => "js",
        }
    }

    /// The file that makes a folder a project in it.
    pub fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::C => "src/strategy.c",
            Self::Python => "pyproject.toml",
            Self::JavaScript => "package.json",
        }
    }

    /// In what the project in `folder` is written.
    ///
    /// # Errors
    /// When there is no project, or several in one folder.
    pub fn of(folder: &Path) -> Result<Self, BuildError> {
        let found: Vec<Self> = Self::ALL
            .into_iter()
            .filter(|language| folder.join(language.marker()).is_file())
            .collect();
        match found.as_slice() {
            [language] => Ok(*language),
            [] => Err(BuildError::NoProject {
                folder: folder.to_path_buf(),
            }),
            _ => Err(BuildError::SeveralProjects {
                folder: folder.to_path_buf(),
                markers: found.into_iter().map(Self::marker).collect(),
            }),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        })
    }
}
