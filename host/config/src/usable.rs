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
    fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.is_error())
    }

    /// The mistakes that keep nothing out of force.
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

fn load_usable_trusting(root: &Path, last_good: &Path, trust: Trust) -> Usable {
    let mut plan = Plan {
        told: Vec::new(),
        left_out: BTreeMap::new(),
        main_file: MainFile::OnDisk,
        held: None,
    };
    loop {
        let mut loader = Loader::new(root, trust);
        loader.left_out.clone_from(&plan.left_out);
        loader.main_file = plan.main_file;
        let config = loader.load();
        let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) =
            loader.found.into_iter().partition(Diagnostic::is_error);
        let (inner, outer): (Vec<Diagnostic>, Vec<Diagnostic>) = errors
            .into_iter()
            .partition(|found| is_in(SERVICES, &found.file) || is_in(KEYS, &found.file));
        if plan.held.is_none() && !outer.is_empty() {
            // What is wrong with the rest may be wrong because of it.
            plan.go_without(outer, last_good);
        } else if !plan.leave_out(inner) {
            return plan.usable(root, config, warnings);
        }
    }
}

/// What is used and what is not, as far as that is known.
struct Plan<'a> {
    told: Vec<Diagnostic>,
    /// See [`Loader::left_out`].
    left_out: BTreeMap<PathBuf, String>,
    main_file: MainFile<'a>,
    held: Option<String>,
}

impl<'a> Plan<'a> {
    /// Goes on without `prunella.toml`, or without the whole folder, for these mistakes.
    fn go_without(&mut self, mistakes: Vec<Diagnostic>, last_good: &'a Path) {
        let in_main = |found: &Diagnostic| found.file == Path::new(MAIN_FILE);
        let main_alone = mistakes.iter().all(in_main);
        let was_copy = matches!(self.main_file, MainFile::Copy(_));
        // The copy is not what anybody has to mend.
        if !was_copy {
            self.told.extend(mistakes);
        }
        if main_alone && !was_copy && last_good.is_file() {
            self.main_file = MainFile::Copy(last_good);
            return;
        }
        let why = self.told.first().map(Diagnostic::short);
        let why = why.unwrap_or_default();
        if main_alone {
            // What has no place is that somebody else may have written it.
            let is_ours = self.told.iter().all(|found| found.place.is_some());
            self.main_file = if is_ours {
                MainFile::Partly
            } else {
                MainFile::Nothing
            };
        } else {
            for folder in [SERVICES, KEYS] {
                self.left_out.insert(folder.into(), why.clone());
            }
            self.main_file = if last_good.is_file() {
                MainFile::Copy(last_good)
            } else {
                MainFile::Nothing
            };
        }
        self.held = Some(why);
    }

    /// Leaves out the files and folders of these mistakes. Whether there are any that were
    /// not left out before.
    fn leave_out(&mut self, mistakes: Vec<Diagnostic>) -> bool {
        let mut any = false;
        let before = self.left_out.clone();
        for found in mistakes {
            if before.contains_key(&found.file) {
                continue;
            }
            any = true;
            self.left_out
                .entry(found.file.clone())
                .or_insert_with(|| found.short());
            // It may come of what is not used anyway.
            if self.held.is_none() {
                self.told.push(found);
            }
        }
        any
    }

    fn usable(mut self, root: &Path, mut config: Config, warnings: Vec<Diagnostic>) -> Usable {
        let out_of_force = out_of_force::units(root, &self.left_out, &config.services);
        for (unit, out) in &out_of_force {
            config
                .services
                .insert(unit.clone(), out.service(root, unit));
        }
        config.out_of_force = out_of_force;
        if self.held.is_some() {
            // Whom it may ask, and what it may be told, is not known for sure.
            config.analysis = None;
            config.traces = None;
        }
        config.held = self.held;
        self.told.extend(warnings);
        Usable {
            main_file_is_good: self.main_file == MainFile::OnDisk,
            config,
            diagnostics: self.told,
        }
    }
}

/// Whether a file lies in the folder, or is the folder.
fn is_in(folder: &str, file: &Path) -> bool {
    file == Path::new(folder) || file.parent() == Some(Path::new(folder))
}
