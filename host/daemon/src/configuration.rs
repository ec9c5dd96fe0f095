//! Reading the configuration: all of it without a mistake, or what can be used of it.
//!
//! A daemon that was started, a hook and a sweep have to heal whatever they find, so a
//! service's file with a mistake costs that service alone, and a broken `prunella.toml`
//! nothing but the changes in it: the last good one is kept beside the incidents. Without
//! that one, services are watched and none is healed. Whoever asks for a reload, on the
//! other hand, is there to mend the mistake, and nothing changes before that.

use std::{fs, io, path::Path};

use prunella_config::{Config, Diagnostic, Loaded, Usable};

use crate::{
    ConfigMistakes, DaemonError, Paths, drop_ins, explained, files, host_check::is_of_this_host,
};

/// What can be used of a configuration.
pub struct UsableConfig {
    pub config: Config,
    /// What is wrong with the rest, and what follows from it, a sentence each.
    pub problems: Vec<String>,
    main_file_is_good: bool,
}

/// Reads the configuration, or fails with every mistake in it.
pub fn load_config(paths: &Paths) -> Result<Config, ConfigMistakes> {
    usable(paths, Config::load(&paths.config))
}

/// What was loaded, if it can be used. Warnings are logged.
pub fn usable(paths: &Paths, loaded: Loaded) -> Result<Config, ConfigMistakes> {
    warn(loaded.warnings());
    let mistakes: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    loaded.config.ok_or_else(|| ConfigMistakes {
        folder: paths.config.clone(),
        mistakes,
    })
}

fn warn<'d>(warnings: impl Iterator<Item = &'d Diagnostic>) {
    for warning in warnings {
        tracing::warn!("{}", warning.short());
    }
}

/// Reads what can be used of the configuration; what cannot is logged as errors.
pub fn load_usable(paths: &Paths) -> UsableConfig {
    let loaded = on_disk(paths);
    warn(loaded.warnings());
    let problems = problems(paths, &loaded);
    for problem in &problems {
        tracing::error!("{problem}");
    }
    UsableConfig {
        problems,
        main_file_is_good: loaded.main_file_is_good,
        config: loaded.config,
    }
}

impl UsableConfig {
    /// Keeps a copy of the main file, if it is good. Not for a hook: a service is down.
    pub(crate) fn keep_main_file(&self, paths: &Paths) {
        if self.main_file_is_good {
            keep_main_file(paths);
        }
    }
}

/// What can be used of the configuration as it is on the disk, for somebody who looks.
pub(crate) fn on_disk(paths: &Paths) -> Usable {
    Config::load_usable(&paths.config, &paths.last_good_main_file())
}

/// What is wrong with what was read, and what follows from it, a sentence each.
pub(crate) fn problems(paths: &Paths, loaded: &Usable) -> Vec<String> {
    let mut problems = loaded.problems();
    problems.extend(lost_services(paths, &loaded.config));
    problems
}

/// That fewer services are in care than drop-ins call Prunella for that are not: their files
/// were lost, and nobody would hear of it. Begins with the folder and a colon, as a mistake
/// does.
pub fn lost_services(paths: &Paths, config: &Config) -> Option<String> {
    if !is_of_this_host(paths) {
        return None;
    }
    let drop_ins = drop_ins::lost(Path::new(drop_ins::UNIT_DIR), config).unwrap_or_else(|error| {
        tracing::warn!(
            "whether services files were lost is not known: {}",
            explained(&error)
        );
        Vec::new()
    });
    let (first, _) = drop_ins.first()?;
    let what = if config.services.is_empty() {
        "there is no services file"
    } else {
        "services files are missing"
    };
    let of_whom = match drop_ins.len() {
        1 => format!("the drop-in of {first} calls"),
        number => format!("the drop-ins of {first} and {} more units call", number - 1),
    };
    Some(format!(
        "services.d: {what}, though {of_whom} Prunella: put the files back, \
         or take the drop-in of each unit away with `prunella disable UNIT`; none of them is \
         healed until then"
    ))
}

/// What keeps services from being healed by a configuration that is in force, a sentence
/// each.
pub(crate) fn not_healed(config: &Config) -> Vec<String> {
    if let Some(mistake) = &config.held {
        return vec![format!("{mistake}: nothing is healed until this is mended")];
    }
    let out = config.out_of_force.iter();
    out.map(|(unit, out)| format!("{}: {unit} is not healed until this is mended", out.mistake))
        .collect()
}

/// Keeps a copy of the main file, which is good. Where there is none, none is kept.
pub(crate) fn keep_main_file(paths: &Paths) {
    if let Err(error) = try_keep_main_file(paths) {
        tracing::warn!(
            "a copy of {} cannot be kept, for the time that it is broken: {}",
            paths.main_file().display(),
            explained(&error)
        );
    }
}

fn try_keep_main_file(paths: &Paths) -> Result<(), DaemonError> {
    let (file, copy) = (paths.main_file(), paths.last_good_main_file());
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return remove(&copy).map_err(DaemonError::file("remove", copy));
        }
        Err(error) => return Err(DaemonError::file("read", file)(error)),
    };
    if fs::read(&copy).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    files::write(&copy, text)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
