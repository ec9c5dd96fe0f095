//! The catalogue: what goes wrong, what "healed" means, and what must not
//! happen. A fault is one TOML file in `catalogue/`; its name is the file's.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Deserializer, Serialize};

/// What a healer is to do about a fault. In the order of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The service must answer again.
    MustHeal,
    /// Nothing of what [`Fault::must_not`] lists may happen.
    MustNotTouch,
    /// The service, or its host, sickens: people must be told.
    MustTell,
    /// It only looks like sickness: nobody must be told.
    MustNotTell,
}

impl Class {
    /// What it is called in a list.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::MustHeal => "must heal",
            Self::MustNotTouch => "must not touch",
            Self::MustTell => "must tell of",
            Self::MustNotTell => "must not tell of",
        }
    }
}

/// The groups of the catalogue in their order: a class, and whether Prunella lacks
/// something for it.
pub const GROUPS: [(Class, bool); 6] = [
    (Class::MustHeal, false),
    (Class::MustHeal, true),
    (Class::MustNotTouch, false),
    (Class::MustTell, false),
    (Class::MustTell, true),
    (Class::MustNotTell, false),
];

/// When the clock of crash-to-answering begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// With the last step of the injection.
    #[default]
    Injection,
    /// With the last of the later steps: only then it can be healed.
    Later,
}

/// One fault, as its file describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    /// The file's name.
    #[serde(skip)]
    pub name: String,
    /// What goes wrong, in a line.
    pub title: String,
    /// What a healer is to do about it.
    pub class: Class,
    /// What is made to fail, for people.
    pub software: String,
    /// What Prunella cannot do yet, and the fault needs: "have a standby take over". It is
    /// then counted apart, as *not yet*.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The services, in the order in which they are started.
    #[serde(rename = "service")]
    pub services: Vec<Service>,
    /// Units that are nobody's care.
    #[serde(default, rename = "unit")]
    pub units: Vec<Unit>,
    /// Files of the machine.
    #[serde(default, rename = "file")]
    pub files: Vec<File>,
    /// More of `prunella.toml`, for what no service file can say.
    #[serde(default)]
    pub prunella: String,
    /// A shell script that is run before anything is started.
    #[serde(default)]
    pub setup: String,
    /// A shell script that is run when the healer is there, before the fault.
    #[serde(default)]
    pub before: String,
    /// A service on which every healer is told, in its own way, to keep its
    /// hands off, before the fault.
    #[serde(default)]
    pub pause: Option<String>,
    /// How the fault is made.
    pub inject: Vec<Step>,
    /// What people do meanwhile.
    #[serde(default)]
    pub later: Vec<Later>,
    /// When the clock begins.
    #[serde(default)]
    pub clock: Clock,
    /// What has to answer.
    #[serde(default, rename = "probe")]
    pub probes: Vec<Probe>,
    /// Shell scripts that have to succeed as well.
    #[serde(default)]
    pub checks: Vec<String>,
    /// What must not happen.
    #[serde(default)]
    pub must_not: Vec<MustNot>,
    /// Whether people have to be told, since only they can help.
    #[serde(default)]
    pub people: bool,
    /// Of a fault that must be told: the subject of a message has one of these words.
    /// Without any, the name of a service.
    #[serde(default)]
    pub told: Vec<String>,
    /// How long is waited for the healing, or watched that nothing is done.
    #[serde(default, deserialize_with = "duration")]
    pub wait: Option<Duration>,
}

/// A service in care, and what its operator knows of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// The unit's name.
    pub unit: String,
    /// Its file; absent where Debian's package brings it.
    #[serde(default)]
    pub text: Option<String>,
    /// The port that it holds.
    #[serde(default)]
    pub port: Option<u16>,
    /// What it speaks there.
    #[serde(default)]
    pub speaks: Speaks,
    /// How monit finds its process: `pidfile PATH` or `matching "…"`. Without, it
    /// asks systemd.
    #[serde(default)]
    pub process: Option<String>,
    /// Further lines of its file in Prunella's `services.d`.
    #[serde(default)]
    pub care: String,
    /// Further lines of monit's check; `{start}` and `{restart}` stand for the
    /// commands that do so.
    #[serde(default)]
    pub monit: String,
    /// How long an answer may take before it counts as none: seconds.
    #[serde(default = "one")]
    pub answers_within: u32,
    /// How long monit lets it start: seconds. It asks nothing of a younger process.
    #[serde(default = "two")]
    pub monit_start: u32,
    /// A command that has to succeed before monit starts it.
    #[serde(default)]
    pub monit_start_if: Option<String>,
    /// Whether it is to end by itself: then being inactive is no failure.
    #[serde(default)]
    pub job: bool,
    /// After how many cycles without an answer monit restarts it.
    #[serde(default = "two")]
    pub monit_cycles: u32,
    /// Whether it is started before the fault.
    #[serde(default = "yes")]
    pub start: bool,
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn yes() -> bool {
    true
}

/// What a port speaks, for the healers that ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// HTTP: `GET /`.
    #[default]
    Http,
    /// Redis: `PING`.
    Redis,
    /// PostgreSQL's greeting.
    Postgres,
}

/// A unit that nobody cares for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unit {
    pub unit: String,
    pub text: String,
    /// Whether it is started before the services.
    #[serde(default)]
    pub start: bool,
}

/// A file of the machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    pub path: PathBuf,
    /// What it contains, …
    #[serde(default)]
    pub text: Option<String>,
    /// … or which file of `catalogue/` it is.
    #[serde(default)]
    pub from: Option<String>,
    /// Its permission bits, in octal.
    #[serde(default)]
    pub mode: Option<String>,
}

/// One step of an injection: a `run`, or a `signal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// A shell script; its failure is an error.
    #[serde(default)]
    pub run: Option<String>,
    /// The units whose main process the script ends. Its end is waited for, and the
    /// clock begins with it: the script itself takes a while.
    #[serde(default)]
    pub ends: Vec<String>,
    /// A signal, by name, …
    #[serde(default)]
    pub signal: Option<String>,
    /// … to the processes of these units.
    #[serde(default)]
    pub units: Vec<String>,
    /// Whether to all processes of the unit, or to its main process alone.
    #[serde(default)]
    pub to_all: bool,
}

/// Something that people do after a while.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Later {
    /// How long after the injection.
    #[serde(deserialize_with = "required_duration")]
    pub after: Duration,
    /// A shell script.
    pub run: String,
}

/// A question of the benchmark's own, asked from within the machine. Exactly one
/// of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Probe {
    /// A port of 127.0.0.1 that answers `GET /` with 200.
    #[serde(default)]
    pub http: Option<u16>,
    /// A Unix socket that does.
    #[serde(default)]
    pub http_unix: Option<PathBuf>,
    /// A port that answers PING with PONG.
    #[serde(default)]
    pub redis: Option<u16>,
    /// A port on which PostgreSQL is ready to let people in.
    #[serde(default)]
    pub postgres: Option<u16>,
}

/// Something that must not happen. Exactly one of `start`, `kill` and `unless`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MustNot {
    /// The wrong action, in the past: "killed the stranger on the port".
    pub what: String,
    /// This unit is started …
    #[serde(default)]
    pub start: Option<String>,
    /// … more often than this, counting what the injection itself does, …
    #[serde(default)]
    pub more_than: u32,
    /// … so long after the injection at most; without, ever, …
    #[serde(default, deserialize_with = "duration")]
    pub within: Option<Duration>,
    /// … before the first of the later steps.
    #[serde(default)]
    pub before_later: bool,
    /// The main process of this unit, as it was before the fault, ends.
    #[serde(default)]
    pub kill: Option<String>,
    /// This shell script fails at the end.
    #[serde(default)]
    pub unless: Option<String>,
}

impl Fault {
    /// How long is waited.
    #[must_use]
    pub fn waits(&self) -> Duration {
        self.wait.unwrap_or(match self.class {
            Class::MustHeal => Duration::from_secs(12),
            Class::MustNotTouch => Duration::from_secs(6),
            Class::MustTell | Class::MustNotTell => Duration::from_secs(60),
        })
    }

    /// The words of which one tells people of this fault.
    #[must_use]
    pub fn told_words(&self) -> Vec<String> {
        if !self.told.is_empty() {
            return self.told.clone();
        }
        let short = |service: &Service| {
            let name = service.unit.rsplit_once('.');
            name.map_or(service.unit.clone(), |(name, _)| name.to_owned())
        };
        self.services.iter().map(short).collect()
    }

    /// Whether Prunella lacks something that it needs.
    #[must_use]
    pub fn not_yet(&self) -> bool {
        !self.missing.is_empty()
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.services.is_empty(), "it has no service");
        ensure!(!self.inject.is_empty(), "nothing is injected");
        for step in &self.inject {
            ensure!(
                step.run.is_some() != step.signal.is_some(),
                "a step is either a `run` or a `signal`"
            );
            ensure!(
                step.signal.is_some() != step.units.is_empty(),
                "a signal, and only that, goes to `units`"
            );
            ensure!(
                step.run.is_some() || step.ends.is_empty(),
                "what a signal `ends` is known by its name"
            );
        }
        for probe in &self.probes {
            probe.check()?;
        }
        for wrong in &self.must_not {
            let ways = [&wrong.start, &wrong.kill, &wrong.unless];
            ensure!(
                ways.iter().filter(|way| way.is_some()).count() == 1,
                "`{}` needs one of start, kill, unless",
                wrong.what
            );
        }
        for file in &self.files {
            ensure!(
                file.text.is_some() != file.from.is_some(),
                "{} has either a `text` or a `from`",
                file.path.display()
            );
        }
        match self.class {
            Class::MustHeal => ensure!(
                !self.probes.is_empty() || !self.checks.is_empty(),
                "nothing says what healed means"
            ),
            Class::MustNotTouch => ensure!(
                !self.must_not.is_empty(),
                "nothing says what must not happen"
            ),
            Class::MustTell | Class::MustNotTell => {}
        }
        ensure!(
            self.told.is_empty() || self.class == Class::MustTell,
            "`told` is of what must be told"
        );
        ensure!(
            self.clock == Clock::Injection || !self.later.is_empty(),
            "the clock begins later, and nothing is done later"
        );
        Ok(())
    }
}

impl Service {
    /// Whether its own unit says how systemd is to restart it.
    #[must_use]
    pub fn own_restart(&self) -> bool {
        self.text
            .as_ref()
            .is_some_and(|text| text.lines().any(|line| line.starts_with("Restart=")))
    }

    /// Whether it is a socket unit.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.unit.ends_with(".socket")
    }
}

impl Probe {
    fn check(&self) -> Result<()> {
        let ways = [
            self.http.is_some(),
            self.http_unix.is_some(),
            self.redis.is_some(),
            self.postgres.is_some(),
        ];
        ensure!(
            ways.into_iter().filter(|way| *way).count() == 1,
            "a probe asks exactly one thing"
        );
        Ok(())
    }
}

/// The folder of the catalogue.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue")
}

/// Reads every fault, in the order of [`GROUPS`], each group by name.
///
/// # Errors
/// When a file is not as it should be; the error names it.
pub fn load() -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            faults.push(read(&path).with_context(|| path.display().to_string())?);
        }
    }
    faults.sort_by(|a, b| {
        let key = |fault: &Fault| (fault.class, fault.not_yet());
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    Ok(faults)
}

fn read(path: &Path) -> Result<Fault> {
    let text = fs::read_to_string(path)?;
    let mut fault: Fault = toml::from_str(&text)?;
    fault.name = path
        .file_stem()
        .context("a file without a name")?
        .to_string_lossy()
        .into_owned();
    fault.check()?;
    Ok(fault)
}

fn required_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    prunella_core::duration::parse(&text).map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    required_duration(from).map(Some)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_can_be_read_and_is_as_large_as_it_says() {
        let faults = load().unwrap();
        let of = |class| faults.iter().filter(|fault| fault.class == class).count();
        assert!(of(Class::MustHeal) >= 30, "{}", of(Class::MustHeal));
        assert!(of(Class::MustNotTouch) >= 12, "{}", of(Class::MustNotTouch));
        assert!(of(Class::MustTell) >= 15, "{}", of(Class::MustTell));
        assert!(of(Class::MustNotTell) >= 8, "{}", of(Class::MustNotTell));
        let titles: BTreeSet<&str> = faults.iter().map(|fault| fault.title.as_str()).collect();
        assert_eq!(titles.len(), faults.len(), "no fault is there twice");
    }

    #[test]
    fn scripts_of_faults_are_there() {
        for fault in load().unwrap() {
            for file in fault.files {
                if let Some(from) = file.from {
                    assert!(folder().join(&from).is_file(), "{}: {from}", fault.name);
                }
            }
        }
    }

    #[test]
    fn a_fault_that_says_nothing_of_what_is_right_is_refused() {
        let text = "title = 'x'\nclass = 'must-heal'\nsoftware = 'x'\n\
            [[service]]\nunit = 'x.service'\n[[inject]]\nrun = 'true'\n";
        let fault: Fault = toml::from_str(text).unwrap();
        let error = fault.check().unwrap_err().to_string();
        assert!(error.contains("what healed means"), "{error}");
        let unknown = text.replace("software", "hardware");
        assert!(toml::from_str::<Fault>(&unknown).is_err());
    }
}
