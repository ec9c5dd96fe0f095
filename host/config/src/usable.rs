//! What can be used of a configuration that may have mistakes, for whoever has to heal
//! whatever else is wrong.
//!
//! | mistake | what follows |
//! |---|---|
//! | in a services file, or `services.d` cannot be trusted | those services are watched and not healed |
//! | in a key's file, or `keys` cannot be trusted | those keys are not used |
//! | in `prunella.toml`, and there is a last good copy | the copy is used |
//! | in `prunella.toml`, and there is none | nothing is healed |
//! | the whole folder cannot be trusted | nothing is healed |
//!
//! Where nothing is healed, services are watched and people are told all the same. A
//! `prunella.toml` that cannot be read may have forbidden what its defaults allow, so
//! the defaults are no way out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Config,
    diagnostic::Diagnostic,
    load::{KEYS, Loader, MAIN_FILE, MainFile, SERVICES, Trust},
    out_of_force,
};

/// What can be used of a configuration.
#[derive(Debug)]
pub struct Usable {
    pub config: Config,
    /// Every mistake, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether `prunella.toml` itself is in force.
    pub main_file_is_good: bool,
}

impl Config {
    /// Loads what can be used from the folder `root`, with `last_good` in place of a
    /// `prunella.toml` that has mistakes. Every mistake is told all the same.
    pub fn load_usable(root: &Path, last_good: &Path) -> Usable {
        load_usable_trusting(root, last_good, Trust::current())
    }
}

impl Usable {
    /// The mistakes that keep something out of force.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.is_error())
    }

    /// The others.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| !found.is_error())
    }

    /// What is wrong, and what follows from it, a sentence for each mistake. Each begins
    /// with the file and a colon.
    pub fn problems(&self) -> Vec<String> {
        self.errors()
            .map(|error| format!("{}: {}", error.short(), self.follows(error)))
            .collect()
    }

    fn follows(&self, error: &Diagnostic) -> String {
        if self.config.held.is_some() {
            return "nothing is healed until this is mended".to_owned();
        }
        let file = error.file.as_path();
        if is_in(KEYS, file) {
            return "what it signed may only observe until this is mended".to_owned();
        }
        if !is_in(SERVICES, file) {
            return "the last good prunella.toml is used until this is mended".to_owned();
        }
        let units: Vec<&str> = self
            .config
            .out_of_force
            .iter()
            .filter(|(_, out)| out.file == file || file == Path::new(SERVICES))
            .map(|(unit, _)| unit.as_str())
            .collect();
        match units.as_slice() {
            [] => "the file is out of force until this is mended".to_owned(),
            [unit] => format!("{unit} is not healed until this is mended"),
            units => format!("{} are not healed until this is mended", units.join(", ")),
        }
    }
}

pub(super) fn load_usable_trusting(root: &Path, last_good: &Path, trust: Trust) -> Usable {
    let mut told: Vec<Diagnostic> = Vec::new();
    let mut left_out: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut main_file = MainFile::OnDisk;
    let mut held: Option<String> = None;
    loop {
        let mut loader = Loader::new(root, trust);
        loader.left_out.clone_from(&left_out);
        loader.main_file = main_file;
        let mut config = loader.load();
        let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) =
            loader.found.into_iter().partition(Diagnostic::is_error);
        let (inner, outer): (Vec<Diagnostic>, Vec<Diagnostic>) = errors
            .into_iter()
            .partition(|found| is_in(SERVICES, &found.file) || is_in(KEYS, &found.file));

        if held.is_none() && !outer.is_empty() {
            // What is wrong with the rest may be wrong because of it.
            let in_main = outer.iter().all(|found| found.file == Path::new(MAIN_FILE));
            let copied = matches!(main_file, MainFile::Copy(_));
            if in_main && !copied && last_good.is_file() {
                main_file = MainFile::Copy(last_good);
                told.extend(outer);
                continue;
            }
            if !copied {
                told.extend(outer.iter().cloned());
            }
            let why = told.iter().chain(&outer).map(Diagnostic::short).next();
            main_file = if !in_main {
                for folder in [SERVICES, KEYS] {
                    left_out.insert(folder.into(), why.clone().unwrap_or_default());
                }
                if last_good.is_file() {
                    MainFile::Copy(last_good)
                } else {
                    MainFile::Nothing
                }
            } else if told.iter().all(|found| found.place.is_some()) {
                MainFile::Partly
            } else {
                // Somebody else may have written it.
                MainFile::Nothing
            };
            held = why;
            continue;
        }

        let new: Vec<Diagnostic> = inner
            .into_iter()
            .filter(|found| !left_out.contains_key(&found.file))
            .collect();
        if new.is_empty() {
            config.out_of_force = out_of_force::units(root, &left_out, &config.services);
            config.services.extend(
                config
                    .out_of_force
                    .iter()
                    .map(|(unit, out)| (unit.clone(), out.service(root, unit))),
            );
            if held.is_some() {
                // Whom it may ask, and what it may be told, is not known for sure.
                config.analysis = None;
            }
            config.held = held;
            told.extend(warnings);
            return Usable {
                main_file_is_good: main_file == MainFile::OnDisk,
                config,
                diagnostics: told,
            };
        }
        for found in new {
            left_out
                .entry(found.file.clone())
                .or_insert_with(|| found.short());
            if held.is_none() {
                told.push(found);
            }
        }
    }
}

/// Whether a file lies in the folder, or is the folder.
fn is_in(folder: &str, file: &Path) -> bool {
    file == Path::new(folder) || file.parent() == Some(Path::new(folder))
}
