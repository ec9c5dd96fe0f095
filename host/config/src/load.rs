//! Finds the files, checks who can write them, and looks at them together.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    Config,
    diagnostic::{Diagnostic, Source},
    keys,
    main_file::{self, Places},
    reader::{Reader, parse, parse_partly},
    service_file::{self, Parsed},
};
use prunella_core::{StrategyName, service::ProbeKind, text::one_line};

/// Far more than any configuration needs; whatever is larger is a mistake.
const FILE_MAX: u64 = 1 << 20;

/// The file of the host itself.
pub(super) const MAIN_FILE: &str = "prunella.toml";

/// The folder of the services' files.
pub(super) const SERVICES: &str = "services.d";

/// The folder of the keys.
pub(super) const KEYS: &str = "keys";

/// What [`Config::load`] found.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; absent when anything in it is an error.
    pub config: Option<Config>,
    /// Every mistake, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// The mistakes that make it unusable.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.is_error())
    }

    /// Those that don't.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| !found.is_error())
    }
}

/// Who may write configuration files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// Whoever reads the configuration, and root.
    reader: u32,
}

impl Trust {
    /// This process: `/proc/self` belongs to its effective user.
    pub(super) fn current() -> Self {
        Self {
            reader: fs::metadata("/proc/self").map_or(0, |found| found.uid()),
        }
    }

    /// As if this process belonged to `reader`.
    #[cfg(test)]
    pub(super) fn of(reader: u32) -> Self {
        Self { reader }
    }

    /// Why a file or folder of this owner and mode cannot be trusted.
    pub(super) fn objection(self, uid: u32, mode: u32) -> Option<(String, &'static str)> {
        if uid != 0 && uid != self.reader {
            return Some((
                format!("it belongs to the user {uid}, who could make Prunella run anything"),
                "chown root:root",
            ));
        }
        // The sticky bit keeps others from replacing what is in a folder.
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return Some((
                format!(
                    "others can write it (mode {:04o}), and could make Prunella run anything",
                    mode & 0o7777
                ),
                "chmod go-w",
            ));
        }
        None
    }
}

/// One run of the loader.
pub(super) struct Loader<'a> {
    pub(super) root: &'a Path,
    trust: Trust,
    pub(super) found: Vec<Diagnostic>,
    /// A strategy that is about to be there.
    pub(super) expected: Option<StrategyName>,
    /// Files and folders that are not used, each with its mistake in one line.
    pub(super) left_out: BTreeMap<PathBuf, String>,
    pub(super) main_file: MainFile<'a>,
}

/// What is read for `prunella.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MainFile<'a> {
    /// The file itself.
    OnDisk,
    /// The last good one.
    Copy(&'a Path),
    /// As much of the file itself as can be understood.
    Partly,
    Nothing,
}

impl Config {
    /// Loads `prunella.toml` and `services.d/*.toml` from the folder `root`
    /// (`/etc/prunella`). Both may be missing; then nothing is in care.
    ///
    /// All mistakes are collected. With any error among them there is no
    /// configuration: a half-read policy is no policy.
    pub fn load(root: &Path) -> Loaded {
        load_trusting(root, Trust::current())
    }

    /// The same as [`load`](Self::load), as if a component of this name lay in `plugins/` already: the
    /// services that name it are no mistake.
    pub fn load_expecting(root: &Path, strategy: &StrategyName) -> Loaded {
        let mut loader = Loader::new(root, Trust::current());
        loader.expected = Some(strategy.clone());
        loader.loaded()
    }
}

pub(super) fn load_trusting(root: &Path, trust: Trust) -> Loaded {
    Loader::new(root, trust).loaded()
}

impl<'a> Loader<'a> {
    pub(super) fn new(root: &'a Path, trust: Trust) -> Self {
        Self {
            root,
            trust,
            found: Vec::new(),
            expected: None,
            left_out: BTreeMap::new(),
            main_file: MainFile::OnDisk,
        }
    }

    fn loaded(mut self) -> Loaded {
        let config = self.load();
        let usable = self.found.iter().all(|found| !found.is_error());
        Loaded {
            config: usable.then_some(config),
            diagnostics: self.found,
        }
    }
}

impl Loader<'_> {
    /// Reads everything, with what is wrong in `found`.
    pub(super) fn load(&mut self) -> Config {
        let mut config = Config::default();
        match fs::metadata(self.root) {
            Ok(found) if found.is_dir() => self.check_trust(self.root, &found),
            Ok(_) => {
                self.found.push(
                    Diagnostic::about_file(self.root, "this is not a folder")
                        .help("name the folder in which prunella.toml lies"),
                );
                return config;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.found.push(
                    Diagnostic::about_file(
                        self.root,
                        "there is no such folder: no service is in Prunella's care",
                    )
                    .help("put one in its care with `prunella enable UNIT`")
                    .warning(),
                );
                return config;
            }
            Err(error) => {
                self.found.push(Diagnostic::about_file(
                    self.root,
                    format!("the folder cannot be read: {error}"),
                ));
                return config;
            }
        }
        let places = self.load_main(&mut config);
        self.load_keys(&mut config);
        self.load_plugins(&mut config);
        let services = self.load_services(&config);
        self.check_together(&mut config, services, &places);
        config
    }

    fn load_main(&mut self, config: &mut Config) -> Places {
        let name = Path::new(MAIN_FILE);
        let path = match self.main_file {
            MainFile::OnDisk | MainFile::Partly => self.root.join(name),
            MainFile::Copy(path) => path.to_owned(),
            MainFile::Nothing => return Places::default(),
        };
        if let Err(error) = fs::symlink_metadata(&path)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Places::default();
        }
        let Some(source) = self.read(&path, name) else {
            return Places::default();
        };
        let root = self.root;
        let read = |reader: &mut Reader<'_>, table: &DeTable<'_>| {
            main_file::read(reader, table, root, config)
        };
        if self.main_file == MainFile::Partly {
            let (places, found) = parse_partly(&source, read);
            self.found.extend(found);
            return places;
        }
        self.parse(&source, read).unwrap_or_default()
    }

    /// The TOML files of a folder below the configuration's, in their order.
    fn files(&mut self, name: &str) -> Vec<PathBuf> {
        let folder = self.root.join(name);
        let listed = fs::metadata(&folder).and_then(|found| {
            if !self.is_left_out(Path::new(name)) {
                self.check_trust(&folder, &found);
            }
            fs::read_dir(&folder)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<PathBuf>>>()
        });
        let paths: Vec<PathBuf> = match listed {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(_) if self.is_left_out(Path::new(name)) => return Vec::new(),
            Err(error) => {
                self.found.push(Diagnostic::about_file(
                    Path::new(name),
                    format!("the folder cannot be read: {error}"),
                ));
                return Vec::new();
            }
        };
        let hidden: Vec<PathBuf> = paths
            .iter()
            .filter(|path| is_hidden_service(path))
            .cloned()
            .collect();
        let (paths, others) = toml_files(paths);
        if name == SERVICES {
            self.tell_of_ignored(others.into_iter().chain(hidden));
        }
        paths
    }

    /// Files that look like services' files and are not read.
    fn tell_of_ignored(&mut self, paths: impl Iterator<Item = PathBuf>) {
        for path in paths {
            let name = path.file_name().unwrap_or_default();
            let name = one_line(&name.to_string_lossy(), 200);
            // What `prunella disable` and editors leave behind, and notes.
            if name.ends_with(".disabled") || name.ends_with('~') || name.starts_with("README") {
                continue;
            }
            let (message, help) = if path.is_dir() {
                (
                    "this is a folder: the files in it are not read",
                    format!("move its files into {SERVICES} itself, or the folder out of it"),
                )
            } else if name.starts_with('.') {
                (
                    "the file is not read: it is hidden, since its name begins with a dot",
                    self.better_name(name.trim_start_matches('.')),
                )
            } else {
                (
                    "the file is not read: its name does not end in `.toml`",
                    self.better_name(&name),
                )
            };
            self.found.push(
                Diagnostic::about_file(&Path::new(SERVICES).join(&*name), message)
                    .help(help)
                    .warning(),
            );
        }
    }

    /// What to do about a services file of this name.
    fn better_name(&self, name: &str) -> String {
        // Of `shop.toml.bak` as well as of `shop.tml`.
        let stem = name
            .split_once(".toml")
            .or_else(|| name.rsplit_once('.'))
            .map_or(name, |(stem, _)| stem);
        let better = format!("{stem}.toml");
        if stem.is_empty() || self.root.join(SERVICES).join(&better).exists() {
            return format!("move it out of {SERVICES}");
        }
        format!("name it `{better}`, or move it out of {SERVICES}")
    }

    fn load_keys(&mut self, config: &mut Config) {
        for path in self.files(KEYS) {
            let name = Path::new(KEYS).join(path.file_name().unwrap_or_default());
            if self.is_left_out(&name) {
                continue;
            }
            let Some(source) = self.read(&path, &name) else {
                continue;
            };
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            let key = self.parse(&source, |reader, table| keys::read(reader, table, &stem));
            if let Some(key) = key.flatten() {
                config.keys.insert(stem, key);
            }
        }
    }

    fn load_services(&mut self, config: &Config) -> Vec<(PathBuf, Parsed)> {
        let paths = self.files(SERVICES);
        let mut services = Vec::new();
        for path in paths {
            let name = Path::new(SERVICES).join(path.file_name().unwrap_or_default());
            if self.is_left_out(&name) {
                continue;
            }
            let Some(source) = self.read(&path, &name) else {
                continue;
            };
            let parsed = self.parse(&source, |reader, table| {
                service_file::read(reader, table, &path, config)
            });
            let Some(read) = parsed.flatten() else {
                continue;
            };
            // Whatever else is wrong with the file.
            for (strategy, place) in &read.strategies_at {
                self.check_strategy(config, strategy, &name, place);
            }
            if let Some(parsed) = read.parsed {
                self.check_secrets(&path, &name, &parsed);
                services.push((name, parsed));
            }
        }
        services
    }

    /// Whether a file or folder, or the folder that it is in, is not used.
    fn is_left_out(&self, name: &Path) -> bool {
        let folder = name.parent().unwrap_or(Path::new(""));
        self.left_out.contains_key(name) || self.left_out.contains_key(folder)
    }

    /// The text of a file, if it is one that can be read and trusted.
    pub(super) fn read(&mut self, path: &Path, name: &Path) -> Option<Source> {
        let text = match read_text(path) {
            Ok((found, text)) => {
                self.check_trust_of(name, path, &found);
                text
            }
            Err(diagnostic) => {
                self.found.push(Diagnostic {
                    file: name.to_owned(),
                    ..*diagnostic
                });
                return None;
            }
        };
        match String::from_utf8(text) {
            Ok(text) => Some(Source {
                file: name.to_owned(),
                text,
            }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let byte = error.as_bytes().get(at).copied().unwrap_or_default();
                let (valid, rest) = error.as_bytes().split_at_checked(at).unwrap_or_default();
                let source = Source {
                    file: name.to_owned(),
                    text: format!("{}{}", String::from_utf8_lossy(valid), escaped(rest)),
                };
                self.found.push(
                    source
                        .error(
                            at..at + "\\x00".len(),
                            format!("the file is not UTF-8 (byte 0x{byte:02x})"),
                        )
                        .help("save it as UTF-8"),
                );
                None
            }
        }
    }

    /// Parses a file and has it read; nothing when it is not TOML.
    pub(super) fn parse<T>(
        &mut self,
        source: &Source,
        read: impl for<'t> FnOnce(&mut Reader<'_>, &'t DeTable<'t>) -> T,
    ) -> Option<T> {
        let (value, found) = parse(source, read);
        self.found.extend(found);
        value
    }

    fn check_trust(&mut self, path: &Path, found: &fs::Metadata) {
        let name = path.strip_prefix(self.root).unwrap_or(path);
        let name = if name.as_os_str().is_empty() {
            path
        } else {
            name
        };
        self.check_trust_of(name, path, found);
    }

    fn check_trust_of(&mut self, name: &Path, path: &Path, found: &fs::Metadata) {
        if let Some((objection, remedy)) = self.trust.objection(found.uid(), found.mode()) {
            self.found.push(
                Diagnostic::about_file(name, objection)
                    .help(format!("{remedy} {}", path.display())),
            );
        }
    }

    /// Commands may hold secrets, and then nobody else should read the file.
    fn check_secrets(&mut self, path: &Path, name: &Path, parsed: &Parsed) {
        let readable = fs::metadata(path).is_ok_and(|found| found.mode() & 0o004 != 0);
        let service = &parsed.service;
        let checks = service
            .checks
            .iter()
            .map(|(name, check)| ("check", name, check.command.join(" ")));
        let probes = service.probes.iter().filter_map(|(name, probe)| {
            let ProbeKind::Command(command) = &probe.kind else {
                return None;
            };
            Some(("probe", name, command.join(" ")))
        });
        let secret = checks
            .chain(probes)
            .find(|(_, _, command)| prunella_core::text::redact(command) != *command);
        if let (true, Some((what, of, _))) = (readable, secret) {
            self.found.push(
                Diagnostic::about_file(
                    name,
                    format!(
                        "everybody can read this file, and the command of the {what} `{of}` seems to hold a secret"
                    ),
                )
                .help(format!("chmod 600 {}", path.display()))
                .warning(),
            );
        }
    }
}

/// The rest of a line that is no text, as far as it is worth showing.
fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let shown = line.get(..SHOWN).unwrap_or(line);
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("{}{more}", shown.escape_ascii())
}

/// The files of a folder that are configuration, by name, and the others. Editors leave
/// hidden files behind, which are neither.
pub(super) fn toml_files(mut paths: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    paths.retain(|path| {
        !path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    paths.sort();
    paths
        .into_iter()
        .partition(|path| path.extension().is_some_and(|e| e == "toml"))
}

/// A hidden file that is meant to declare a service. Emacs marks a file that is being edited
/// with a link `.#NAME`.
fn is_hidden_service(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.as_encoded_bytes();
        name.starts_with(b".") && !name.starts_with(b".#") && name.ends_with(b".toml")
    })
}

/// Opens once, and looks at what was opened: metadata and text are of the same
/// file, whatever happens to the name meanwhile.
pub(super) fn read_text(path: &Path) -> Result<(fs::Metadata, Vec<u8>), Box<Diagnostic>> {
    let failed = |error: io::Error| {
        Box::new(Diagnostic::about_file(
            path,
            format!("the file cannot be read: {error}"),
        ))
    };
    // A pipe would block the opening.
    let kind = fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else {
            "something else"
        };
        return Err(Box::new(Diagnostic::about_file(
            path,
            format!("this must be a file, and it is {what}"),
        )));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let mut text = Vec::new();
    file.take(FILE_MAX + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > FILE_MAX) {
        return Err(Box::new(Diagnostic::about_file(
            path,
            "the file is larger than 1 MiB: it cannot be a configuration",
        )));
    }
    Ok((found, text))
}
