//! Looks into `plugins/`: which components are there, and what
//! `prunella plugin add` wrote down beside them.
//!
//! | file | what |
//! |---|---|
//! | `NAME.wasm` | a component: makes the strategy NAME known |
//! | `NAME.wasm.minisig` | its signature |
//! | `NAME.toml` | what `prunella plugin add` installed |
//!
//! Whatever is wrong here is a warning: a broken plugin must not keep the rest
//! of the configuration from being used.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    Config, StrategySettings,
    diagnostic::Diagnostic,
    load::{Loader, Trust},
    reader::{Reader, Section},
};
use prunella_core::{StrategyName, policy::BUILTIN_STRATEGIES};

/// The folder's name, below the configuration's.
pub const PLUGINS: &str = "plugins";

/// What `prunella plugin add` wrote down of what it installed: `NAME.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Of the component's bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// The version that was signed, if it was.
    pub version: Option<String>,
    /// The key that signed it, if one did.
    pub signed_by: Option<String>,
}

impl Installed {
    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut text = format!("sha256 = \"{}\"\n", self.sha256);
        for (key, value) in [("version", &self.version), ("signed-by", &self.signed_by)] {
            if let Some(value) = value {
                // A version and a file's stem: nothing that would need escaping
                // but what `Debug` escapes as TOML does.
                text.push_str(&format!("{key} = {value:?}\n"));
            }
        }
        text
    }
}

impl Config {
    /// The same configuration with `plugins/` as it is now: what was set in
    /// `prunella.toml` stays, which components are there is looked at again.
    pub fn with_plugins(&self, root: &Path) -> (Self, Vec<Diagnostic>) {
        let mut config = self.clone();
        config
            .strategies
            .retain(|_, settings| settings.declared_at.is_some());
        for settings in config.strategies.values_mut() {
            settings.installed = None;
        }
        let mut loader = Loader::new(root, Trust::current());
        loader.load_plugins(&mut config);
        (config, loader.found)
    }
}

impl Loader<'_> {
    /// Adds the components of `plugins/` to the strategies.
    pub(super) fn load_plugins(&mut self, config: &mut Config) {
        if let Some(strategy) = self.expected.take() {
            let component = self.root.join(PLUGINS).join(format!("{strategy}.wasm"));
            config
                .strategies
                .entry(strategy)
                .or_insert_with(|| StrategySettings {
                    component: Some(component),
                    ..StrategySettings::default()
                });
        }
        let before = self.found.len();
        self.look_into_plugins(config);
        for found in self.found.iter_mut().skip(before) {
            *found = found.clone().warning();
        }
    }

    fn look_into_plugins(&mut self, config: &mut Config) {
        let folder = self.root.join(PLUGINS);
        let paths = match fs::read_dir(&folder) {
            Ok(entries) => {
                let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                paths.sort();
                paths
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                self.found.push(Diagnostic::about_file(
                    Path::new(PLUGINS),
                    format!("the folder cannot be read, so no plugin is found: {error}"),
                ));
                return;
            }
        };
        let mut installed = BTreeMap::new();
        for path in &paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // Half-written files have hidden names.
            if name.starts_with('.') {
                continue;
            }
            let shown = Path::new(PLUGINS).join(name);
            if let Some(stem) = name.strip_suffix(".wasm") {
                self.component(config, stem, path, &shown);
            } else if let Some(stem) = name.strip_suffix(".toml") {
                if let Ok(strategy) = StrategyName::new(stem)
                    && let Some(record) = self.installed(path, &shown)
                {
                    installed.insert(strategy, record);
                }
            } else if path.is_dir() {
                self.found.push(
                    Diagnostic::about_file(&shown, "folders in `plugins` are not looked into")
                        .help(format!(
                            "install it: prunella plugin add {}",
                            path.display()
                        )),
                );
            }
        }
        for (strategy, record) in installed {
            // Known even when its file is gone: then that is what is wrong, and
            // not the services that name it.
            let settings = config
                .strategies
                .entry(strategy)
                .or_insert_with_key(|name| StrategySettings {
                    component: Some(folder.join(format!("{name}.wasm"))),
                    ..StrategySettings::default()
                });
            settings.installed = Some(record);
        }
    }

    fn component(&mut self, config: &mut Config, stem: &str, path: &Path, shown: &Path) {
        let strategy = match StrategyName::new(stem) {
            Ok(strategy) => strategy,
            Err(error) => {
                self.found.push(
                    Diagnostic::about_file(
                        shown,
                        format!(
                            "this file makes no strategy: {}",
                            prunella_core::text::one_line(&error.to_string(), 300)
                        ),
                    )
                    .help("rename it: the file's name is the strategy's"),
                );
                return;
            }
        };
        if BUILTIN_STRATEGIES.contains(&strategy.as_str()) {
            self.found.push(
                Diagnostic::about_file(
                    shown,
                    format!("`{strategy}` is a built-in strategy, and its name is reserved: this file is not used"),
                )
                .help("give it another name"),
            );
            return;
        }
        match config.strategies.get(&strategy) {
            None => {
                config.strategies.insert(
                    strategy,
                    StrategySettings {
                        component: Some(path.to_owned()),
                        ..StrategySettings::default()
                    },
                );
            }
            Some(settings) => {
                if let (Some(component), Some(declared_at)) =
                    (&settings.component, &settings.declared_at)
                    && component != path
                {
                    self.found.push(
                        Diagnostic::about_file(
                            shown,
                            format!(
                                "`{strategy}` is there twice: {declared_at} names {}, so this file is not used",
                                component.display()
                            ),
                        )
                        .help("remove the file, or `component` in prunella.toml"),
                    );
                }
            }
        }
    }

    /// What stands in `NAME.toml`; nothing when anything about it is wrong.
    fn installed(&mut self, path: &Path, shown: &Path) -> Option<Installed> {
        let before = self.found.len();
        let source = self.read(path, shown)?;
        let record = self.parse(&source, read_installed).flatten();
        record.filter(|_| self.found.len() == before)
    }
}

fn read_installed<'t>(reader: &mut Reader<'_>, table: &'t DeTable<'t>) -> Option<Installed> {
    let top = Section {
        table,
        name: "what `prunella plugin add` wrote",
    };
    reader.only(top, &["sha256", "version", "signed-by"]);
    let owned = |text: Option<(&str, _)>| text.map(|(text, _)| text.to_owned());
    let version = owned(reader.text(top, "version", "1.2.0"));
    let signed_by = owned(reader.text(top, "signed-by", "acme"));
    let Some((sha256, span)) = reader.text(top, "sha256", "9f86d081884c7d65…") else {
        reader.error(0..0, "there is no `sha256`");
        return None;
    };
    Some(Installed {
        sha256: reader.sha256(sha256, span)?,
        version,
        signed_by,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        folder
    }

    fn shown(found: &[Diagnostic]) -> String {
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        shown.join("\n\n")
    }

    fn names(config: &Config) -> Vec<&str> {
        config.strategies.keys().map(StrategyName::as_str).collect()
    }

    #[test]
    fn an_installed_plugin_is_read_back_unchanged() {
        let record = Installed {
            sha256: SHA.to_owned(),
            version: Some("1.2.0-rc.1+x".to_owned()),
            signed_by: Some("acme".to_owned()),
        };
        let folder = folder(&[
            ("plugins/a.wasm", ""),
            ("plugins/a.toml", &record.to_toml()),
            ("plugins/gone.toml", &format!("sha256 = \"{SHA}\"\n")),
        ]);
        let loaded = Config::load(folder.path());
        assert_eq!(shown(&loaded.diagnostics), "");
        let config = loaded.config.unwrap();
        // One whose file is gone is known: then that is what is wrong with it.
        assert_eq!(names(&config), ["a", "gone"]);
        let installed = |name: &str| {
            let settings = config.strategies.iter().find(|(n, _)| n.as_str() == name);
            settings.unwrap().1.installed.clone()
        };
        assert_eq!(installed("a"), Some(record));
        assert!(installed("gone").is_some());
    }

    #[rstest]
    #[case::no_name("plugins/Site Fix.wasm", "this file makes no strategy")]
    #[case::reserved("plugins/service-restart.wasm", "its name is reserved")]
    #[case::twice("plugins/elsewhere.wasm", "is there twice: prunella.toml:1 names")]
    #[case::a_folder("plugins/sub/a.wasm", "folders in `plugins` are not looked into")]
    #[case::a_damaged_record("plugins/a.toml", "a SHA-256 is 64 hexadecimal digits")]
    fn a_mistake_beside_a_plugin_is_a_warning(#[case] file: &str, #[case] said: &str) {
        let folder = folder(&[
            (
                "prunella.toml",
                "[strategy.elsewhere]\ncomponent = \"x.wasm\"\n",
            ),
            (file, "sha256 = \"short\"\n"),
        ]);
        let loaded = Config::load(folder.path());
        let text = shown(&loaded.diagnostics);
        assert!(text.contains(said), "{text}");
        assert!(!text.contains("error:"), "{text}");
        assert_eq!(names(&loaded.config.unwrap()), ["elsewhere"]);
    }

    #[test]
    fn incomplete_and_foreign_files_are_ignored() {
        let folder = folder(&[
            ("plugins/.a.wasm.prunella-new", ""),
            ("plugins/README.md", ""),
            ("plugins/a.wasm.minisig", ""),
        ]);
        let loaded = Config::load(folder.path());
        assert_eq!(shown(&loaded.diagnostics), "");
        assert_eq!(names(&loaded.config.unwrap()), Vec::<&str>::new());
    }

    #[test]
    fn a_plugin_about_to_be_installed_may_be_named() {
        let folder = folder(&[(
            "services.d/a.toml",
            "unit = \"a.service\"\nstrategies = [\"new\"]\n",
        )]);
        assert!(Config::load(folder.path()).config.is_none());
        let name = |name| StrategyName::new(name).unwrap();
        let loaded = Config::load_expecting(folder.path(), &name("new"));
        assert_eq!(shown(&loaded.diagnostics), "");
        let other = Config::load_expecting(folder.path(), &name("other"));
        assert!(other.config.is_none());
    }

    #[test]
    fn the_folder_is_looked_at_again_and_the_rest_stays() {
        let folder = folder(&[
            ("prunella.toml", "[strategy.b]\nsettings = { depth = 3 }\n"),
            ("plugins/a.wasm", ""),
        ]);
        let config = Config::load(folder.path()).config.unwrap();
        assert_eq!(names(&config), ["a", "b"]);
        let plugins = folder.path().join("plugins");
        fs::remove_file(plugins.join("a.wasm")).unwrap();
        fs::write(plugins.join("c.wasm"), "").unwrap();
        fs::write(plugins.join("b.toml"), format!("sha256 = \"{SHA}\"")).unwrap();
        // Not asked to look at this.
        fs::write(folder.path().join("prunella.toml"), "nonsense").unwrap();
        let (config, warnings) = config.with_plugins(folder.path());
        assert_eq!(shown(&warnings), "");
        assert_eq!(names(&config), ["b", "c"]);
        let (_, b) = config.strategies.first_key_value().unwrap();
        assert_eq!(b.settings.get("depth").map(String::as_str), Some("3"));
        assert!(b.installed.is_some());
    }
}
