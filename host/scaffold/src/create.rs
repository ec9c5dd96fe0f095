//! Writing a new project.

mod name;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    CreateError, Language,
    embedded::{CONTRACT, File, SOURCES, TEMPLATES},
};

use name::{camel_case, check, snake_case};

/// Where the sources of the SDK are put in a project.
const VENDORED: &str = "vendor/prunella";

/// A project to be written.
#[derive(Debug, Clone)]
pub struct Project<'a> {
    /// The name of the strategy, such as `cache-guard`.
    pub name: &'a str,
    /// In what it is written.
    pub language: Language,
    /// Where; it may exist if it is empty.
    pub folder: &'a Path,
    /// A checkout of Prunella to use, instead of the sources that come with
    /// this program. For Rust; the other languages need the contract only.
    pub sdk: Option<&'a Path>,
}

/// A project that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// What its author is going to change and read, by path in the project.
    pub files: Vec<String>,
    /// How many other files there are: the contract, and the SDK's sources.
    pub brought_along: usize,
}

/// Writes a project that builds, with a strategy that does something useful and
/// a test that passes. Overwrites nothing.
///
/// # Errors
/// When the name is no good, when something is there already, or when a file
/// cannot be written.
pub fn create(project: &Project<'_>) -> Result<Created, CreateError> {
    check(project.name, project.language)?;
    let sdk = project.sdk.map(checkout).transpose()?;
    empty(project.folder)?;

    let values = Values::of(project, sdk.as_deref());
    let mut created = Created {
        files: Vec::new(),
        brought_along: 0,
    };
    for (path, content) in of_templates(project.language) {
        let path = values.fill(path);
        write(project.folder, &path, &values.fill(content))?;
        created.files.push(path);
    }
    let mut bring = |path: &str, content: &str| {
        created.brought_along += 1;
        write(project.folder, path, content)
    };
    match (project.language, &sdk) {
        (Language::Rust, None) => {
            for file in SOURCES {
                // The project's own lock file is what counts.
                if file.path == "Cargo.lock" {
                    bring(file.path, file.content)?;
                } else {
                    bring(&format!("{VENDORED}/{}", file.path), file.content)?;
                }
            }
        }
        (Language::Rust, Some(_)) => {}
        (Language::C | Language::Python | Language::JavaScript, _) => {
            for File { path, content } in CONTRACT {
                bring(&format!("wit/deps/prunella-{path}"), content)?;
            }
        }
    }
    Ok(created)
}

/// The files of a language's template: its own, and those that it shares.
fn of_templates(language: Language) -> impl Iterator<Item = (&'static str, &'static str)> {
    let folders: &[&str] = match language {
        Language::Rust => &["rust/", "all/"],
        Language::C => &["c/", "world/", "all/"],
        Language::Python => &["python/", "world/", "all/"],
        Language::JavaScript => &["js/", "world/", "all/"],
    };
    TEMPLATES.iter().filter_map(move |file| {
        folders
            .iter()
            .find_map(|folder| file.path.strip_prefix(folder))
            .map(|path| (path, file.content))
    })
}

/// What stands for what in a template.
struct Values([(&'static str, String); 6]);

impl Values {
    fn of(project: &Project<'_>, sdk: Option<&Path>) -> Self {
        let sdk = sdk.map_or_else(
            || format!("{VENDORED}/sdk"),
            |sdk| sdk.display().to_string(),
        );
        Self([
            ("{{name}}", project.name.to_owned()),
            ("{{snake_name}}", snake_case(project.name)),
            ("{{TypeName}}", camel_case(project.name)),
            ("{{sdk}}", toml_text(&sdk)),
            ("{{contract}}", contract_version().to_owned()),
            ("{{prunella}}", env!("CARGO_PKG_VERSION").to_owned()),
        ])
    }

    fn fill(&self, template: &str) -> String {
        self.0
            .iter()
            .fold(template.to_owned(), |text, (key, value)| {
                text.replace(key, value)
            })
    }
}

/// As a value in a TOML file.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The version that the contract's packages carry.
fn contract_version() -> &'static str {
    CONTRACT
        .iter()
        .flat_map(|file| file.content.lines())
        .find_map(|line| line.strip_prefix("package prunella:strategy@"))
        .map_or("", |version| version.trim_end_matches(';'))
}

/// The SDK's folder in a checkout.
fn checkout(path: &Path) -> Result<PathBuf, CreateError> {
    let none = || CreateError::Sdk {
        path: path.to_path_buf(),
    };
    let sdk = path.join("sdk");
    if !sdk.join("Cargo.toml").is_file() {
        return Err(none());
    }
    sdk.canonicalize().map_err(|_| none())
}

fn empty(folder: &Path) -> Result<(), CreateError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CreateError::Exists {
            folder: folder.to_path_buf(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(CreateError::Exists {
            folder: folder.to_path_buf(),
        }),
        Err(error) => Err(CreateError::Write {
            path: folder.to_path_buf(),
            error,
        }),
    }
}

fn write(folder: &Path, path: &str, content: &str) -> Result<(), CreateError> {
    let path = folder.join(path);
    let cannot = |error| CreateError::Write {
        path: path.clone(),
        error,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(cannot)?;
    }
    fs::write(&path, content).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn new(name: &str, language: Language, folder: &Path) -> Result<Created, CreateError> {
        create(&Project {
            name,
            language,
            folder,
            sdk: None,
        })
    }

    #[rstest]
    #[case(Language::Rust)]
    #[case(Language::C)]
    #[case(Language::Python)]
    #[case(Language::JavaScript)]
    fn a_project_is_recognised_and_nothing_in_it_is_left_to_fill_in(#[case] language: Language) {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("projects/site-fix");
        let created = new("site-fix", language, &project).unwrap();
        assert_eq!(Language::of(&project).unwrap(), language);
        for path in ["README.md", "grants.toml", ".gitignore"] {
            assert!(created.files.iter().any(|file| file == path), "{path}");
        }
        for file in &created.files {
            let text = fs::read_to_string(project.join(file)).unwrap();
            assert!(!text.contains("{{"), "{file}: {text}");
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes"), "mine").unwrap();
        let error = new("site-fix", Language::C, folder.path()).unwrap_err();
        assert!(matches!(error, CreateError::Exists { .. }), "{error}");
        let error = new("site-fix", Language::C, &folder.path().join("notes")).unwrap_err();
        assert!(matches!(error, CreateError::Exists { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_checkout_has_an_sdk() {
        let folder = tempfile::tempdir().unwrap();
        let error = create(&Project {
            name: "site-fix",
            language: Language::Rust,
            folder: &folder.path().join("new"),
            sdk: Some(folder.path()),
        })
        .unwrap_err();
        assert!(matches!(error, CreateError::Sdk { .. }), "{error}");
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn the_sources_are_whole() {
        let has = |path: &str| SOURCES.iter().any(|file| file.path == path);
        for path in [
            "Cargo.toml",
            "Cargo.lock",
            "LICENSE",
            "sdk/Cargo.toml",
            "sdk/src/lib.rs",
            "wit/strategy/strategy.wit",
        ] {
            assert!(has(path), "{path}");
        }
        assert!(!contract_version().is_empty());
    }
}
