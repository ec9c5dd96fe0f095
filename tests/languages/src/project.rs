//! Projects, and the toolchains to build them with: those that `cargo xtask setup`
//! has put into `target/tools`.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use prunella_scaffold::{Language, build, create};
use tempfile::TempDir;

use crate::Built;

/// A project in a folder of its own.
pub struct Project {
    folder: TempDir,
    language: Language,
}

/// The worked example in this language.
pub fn example(language: Language) -> Project {
    let project = Project::empty(language);
    let source = workspace().join("sdk/examples").join(language.as_str());
    copy(&source, project.folder.path());
    project.with_tools()
}

/// What `prunella plugin new` writes in this language.
pub fn template(language: Language, name: &str) -> Project {
    let project = Project::empty(language);
    create(&prunella_scaffold::Project {
        name,
        language,
        folder: project.folder.path(),
        sdk: None,
    })
    .unwrap_or_else(|error| panic!("{error}"));
    project.with_tools()
}

impl Project {
    fn empty(language: Language) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for the project"),
            language,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Changes a file of it, at the one place where `from` stands.
    #[must_use]
    pub fn with(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.folder().join(file);
        let text = fs::read_to_string(&path).expect("the file can be read");
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}");
        fs::write(&path, text.replace(from, to)).expect("the file can be written");
        self
    }

    /// Makes a component of it, and loads that.
    #[track_caller]
    pub fn build(&self) -> Built {
        let built = build(self.folder()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(built.language, self.language);
        assert!(
            !built
                .inspection
                .imports
                .iter()
                .any(|import| import.is_wasi())
        );
        let wasm = fs::read(&built.path).expect("what was built can be read");
        Built::load(&built.name, wasm)
    }

    /// Gives it what its author would have installed.
    fn with_tools(self) -> Self {
        let (installed, link) = match self.language {
            Language::Rust | Language::C => return self,
            Language::Python => ("python", ".venv"),
            Language::JavaScript => ("js/node_modules", "node_modules"),
        };
        let installed = tools().join(installed);
        assert!(
            installed.is_dir(),
            "{} is missing: run `cargo xtask setup`",
            installed.display()
        );
        symlink(installed, self.folder().join(link)).expect("the tools are linked");
        self
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the workspace is two folders up")
        .to_path_buf()
}

fn tools() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from)
        .join("tools")
}

/// Copies a folder; what links lead to is copied itself.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the example can be read") {
        let entry = entry.expect("the example can be read");
        let target = to.join(entry.file_name());
        let generated = ["build", ".venv", "node_modules"];
        if generated.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder is made");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file is copied");
        }
    }
}
