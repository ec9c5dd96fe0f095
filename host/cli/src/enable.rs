//! `prunella enable` and `prunella disable`: putting services in Prunella's
//! care, and taking them out.

mod restore;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use prunella_api::{ApiError, Client, Orders as _};
use prunella_config::Config;
use prunella_core::{
    FailureKind, UnitName,
    capability::{ActiveState, UnitStatus},
    protected,
    text::one_line,
};
use prunella_daemon::{
    drop_ins,
    files::{self, Found},
};
use prunella_healer::Protected;
use prunella_linux::{Linux, LinuxSettings, learn::Learned};

use self::restore::SetAside;
use crate::{
    args::{DisableArgs, EnableArgs},
    exit::{Exit, Problem},
    learn,
    output::{self, BAD, FAIR, GOOD, QUIET, STRONG},
    paths::Paths,
    systemctl, time,
};

/// For each question to systemd.
const PATIENCE: Duration = Duration::from_secs(10);

/// For learning of one unit, which asks the service itself too.
const LEARNING: Duration = Duration::from_secs(30);

/// A unit that systemd would let start for ever is waited for so long.
const STARTING: Duration = Duration::from_secs(90);

/// A unit that has been up for so long has opened the ports that it will.
const OPENS_PORTS: Duration = Duration::from_secs(5);

/// How often a unit that is starting is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs `prunella enable`.
pub(crate) fn enable(paths: &Paths, args: &EnableArgs) -> anyhow::Result<Exit> {
    if !args.dry_run {
        only_root("put services in Prunella's care")?;
    }
    let loaded = Config::load(&paths.config);
    let Some(config) = loaded.config else {
        return Err(Problem::new(Exit::Config, "the configuration has mistakes")
            .help("`prunella config check` lists them; mend them first")
            .into());
    };
    let linux = Linux::connect(LinuxSettings::default())?;
    let mut enabling = Enabling {
        paths,
        args,
        protected: config.protected(),
        config,
        linux,
        changed: false,
    };
    let candidates = if args.all {
        everything()?
    } else {
        named(&args.units)?
    };
    let mut seen = BTreeSet::new();
    let mut worst = Exit::Ok;
    let mut taken = 0_u32;
    for candidate in candidates {
        match enabling.one(&candidate, &mut seen) {
            Ok(true) => taken += 1,
            Ok(false) => {}
            Err(error) => {
                worst = crate::exit::code_of(&error);
                output::remark("error", BAD, &crate::exit::explain(&error));
            }
        }
    }
    if taken == 0 && worst == Exit::Ok {
        output::print("No unit was found that could be put in Prunella's care.\n")?;
    }
    if enabling.changed && !args.dry_run {
        apply(paths)?;
    }
    Ok(worst)
}

/// A unit that may be put in care.
struct Candidate {
    unit: UnitName,
    /// Whether the operator named it, and wants to hear why it is refused.
    named: bool,
}

/// What the operator named, patterns resolved.
fn named(words: &[String]) -> anyhow::Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for word in words {
        if !word.contains(['*', '?', '[']) {
            candidates.push(Candidate {
                unit: crate::unit_name(word)?,
                named: true,
            });
            continue;
        }
        let found = listed(&["--all", word])?;
        if found.is_empty() {
            return Err(
                Problem::new(Exit::NotFound, format!("no loaded service fits `{word}`"))
                    .help("see `systemctl list-units --all --type=service`")
                    .into(),
            );
        }
        candidates.extend(
            found
                .into_iter()
                .map(|unit| Candidate { unit, named: false }),
        );
    }
    Ok(candidates)
}

/// Every service that runs, is starting or has failed.
fn everything() -> anyhow::Result<Vec<Candidate>> {
    Ok(listed(&["--state=active,activating,failed"])?
        .into_iter()
        .map(|unit| Candidate { unit, named: false })
        .collect())
}

fn listed(words: &[&str]) -> anyhow::Result<Vec<UnitName>> {
    let fixed = [
        "list-units",
        "--type=service",
        "--plain",
        "--full",
        "--no-legend",
    ];
    let output = systemctl::run(&[&fixed, words].concat())?;
    Ok(output
        .lines()
        .filter_map(|line| UnitName::new(line.split_whitespace().next()?).ok())
        .collect())
}

struct Enabling<'a> {
    paths: &'a Paths,
    args: &'a EnableArgs,
    config: Config,
    protected: Protected,
    linux: Arc<Linux>,
    changed: bool,
}

impl Enabling<'_> {
    /// Puts one in care; false when it was passed over.
    fn one(
        &mut self,
        candidate: &Candidate,
        seen: &mut BTreeSet<UnitName>,
    ) -> anyhow::Result<bool> {
        let asked = &candidate.unit;
        if asked.is_template() {
            let stem = asked.stem();
            return Err(Problem::new(
                Exit::Usage,
                format!("{asked} is a template, and only its instances run"),
            )
            .help(format!(
                "enable those that are loaded: `prunella enable '{stem}*.service'`"
            ))
            .into());
        }
        let mut learned = self.learn(asked)?;
        let unit = learned.status.name.clone();
        if !seen.insert(unit.clone()) {
            return Ok(false);
        }
        if let Err(refusal) = self.may(&learned) {
            if candidate.named {
                return Err(refusal.into());
            }
            // Of a pattern nobody expects every match to fit.
            output::print(&format!("{QUIET}passed over  {refusal}{QUIET:#}\n"))?;
            return Ok(false);
        }
        let status = &learned.status;
        if !candidate.named && (status.is_oneshot() || is_transient(status)) {
            let why = if status.is_oneshot() {
                "it runs and ends (Type=oneshot)"
            } else {
                "it is transient and vanishes when it stops"
            };
            output::print(&format!("{QUIET}passed over  {unit}: {why}{QUIET:#}\n"))?;
            return Ok(false);
        }

        if is_starting(status) && !status.is_oneshot() {
            learned = self.started(learned)?;
        }
        learned = self.listening(learned)?;
        if &unit == asked {
            output::print(&format!("{STRONG}{unit}{STRONG:#}\n"))?;
        } else {
            output::print(&format!("{STRONG}{unit}{STRONG:#} (also called {asked})\n"))?;
        }
        self.drop_in(&unit)?;
        self.services_file(&learned)?;
        if self.is_asked(&unit) {
            learned.not_asked = None;
        }
        for warning in warnings(&learned) {
            output::remark("note", FAIR, &warning);
        }
        output::print("\n")?;
        Ok(true)
    }

    fn learn(&self, unit: &UnitName) -> anyhow::Result<Learned> {
        let missing = || {
            Problem::new(Exit::NotFound, format!("there is no unit {unit}"))
                .help("see `systemctl list-unit-files --type=service`")
        };
        let deadline = Instant::now() + LEARNING;
        match self.linux.learn(deadline, unit) {
            Ok(learned) if learned.status.exists() => Ok(learned),
            Ok(_) => Err(missing().into()),
            Err(failure) if failure.kind == FailureKind::NotFound => Err(missing().into()),
            Err(failure) => Err(failure).with_context(|| format!("cannot look at {unit}")),
        }
    }

    /// Waits for a unit that is starting, as long as systemd does, and learns of it
    /// again: before it has started it holds no port and answers nobody.
    fn started(&self, learned: Learned) -> anyhow::Result<Learned> {
        let unit = &learned.status.name;
        let limit = learned.start_timeout.unwrap_or(STARTING);
        let seconds = limit.as_secs();
        output::print(&format!(
            "{QUIET}waiting      {unit} is starting; for {seconds} s at most{QUIET:#}\n"
        ))?;
        let end = Instant::now() + limit;
        loop {
            let status = self.linux.units().get(Instant::now() + PATIENCE, unit)?;
            let out_of_time = Instant::now() >= end;
            if is_starting(&status) && !out_of_time {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            let mut learned = self.learn(unit)?;
            if out_of_time {
                learned.notes.push(format!(
                    "it was still starting after {seconds} s, so what is learned of a running \
                     service is missing: once it is up, `disable` and `enable` it again"
                ));
            }
            return Ok(learned);
        }
    }

    /// Waits for a unit that has just started to open its port: systemd counts most as
    /// started before they listen.
    fn listening(&self, mut learned: Learned) -> anyhow::Result<Learned> {
        while learned.status.is_up()
            && !learned.status.is_oneshot()
            && learned.ports.is_empty()
            && learned.probe.is_none()
            && learned
                .status
                .since
                .is_some_and(|since| time::now().since(since) < OPENS_PORTS)
        {
            std::thread::sleep(LOOK_EVERY);
            learned = self.learn(&learned.status.name.clone())?;
        }
        Ok(learned)
    }

    /// Whether the file that declares it has a question that it is asked, which needs no
    /// other.
    fn is_asked(&self, unit: &UnitName) -> bool {
        self.config.services.get(unit).is_some_and(|service| {
            service
                .own_probes()
                .any(|(_, probe)| probe.interval.is_some())
        })
    }

    /// Whether it may be put in care.
    fn may(&self, learned: &Learned) -> Result<(), Problem> {
        let status = &learned.status;
        let unit = &status.name;
        if unit.kind() != "service" {
            return Err(Problem::new(
                Exit::Usage,
                format!("{unit} is a {}: only services can be healed", unit.kind()),
            )
            .help(match status.triggers.first() {
                Some(service) => format!("enable what it starts: `prunella enable {service}`"),
                None => "enable the service behind it".to_owned(),
            }));
        }
        if self.protected.covers(unit) && protected::is_for_logins(unit) {
            return Err(Problem::new(
                Exit::Usage,
                format!("{unit} is protected: people log in by it"),
            )
            .help(
                "healing it could end their sessions; who wants it all the same sets \
                 `[protect] remove` in prunella.toml",
            ));
        }
        if self.protected.covers(unit) {
            return Err(Problem::new(
                Exit::Usage,
                format!("{unit} is protected: Prunella never acts on it"),
            )
            .help(
                "healing it could take the host or its logins down; who wants it all the same \
                 sets `[protect] remove` in prunella.toml",
            ));
        }
        if status.load_state == "masked" {
            return Err(Problem::new(Exit::Usage, format!("{unit} is masked"))
                .help(format!("`systemctl unmask {unit}` first, if it should run")));
        }
        if !learned.wrapper_of.is_empty() {
            let real: Vec<&str> = learned.wrapper_of.iter().map(UnitName::as_str).collect();
            return Err(Problem::new(
                Exit::Usage,
                format!("{unit} is a wrapper that does nothing itself"),
            )
            .help(format!(
                "enable what does: `prunella enable {}`",
                real.join(" ")
            )));
        }
        Ok(())
    }

    fn drop_in(&mut self, unit: &UnitName) -> anyhow::Result<()> {
        let path = drop_ins::path(&self.args.place.unit_dir, unit);
        match files::look(&path, drop_ins::BODY)? {
            Found::Same => {
                output::print(&format!(
                    "  {QUIET}unchanged  {}{QUIET:#}\n",
                    path.display()
                ))?;
            }
            Found::Edited => output::remark(
                "note",
                FAIR,
                &format!("somebody edited {}, so it stays as it is", path.display()),
            ),
            Found::Nothing | Found::Ours => {
                let set_aside = restore::set_aside_name(&path);
                if set_aside.is_file() && !path.exists() {
                    if !self.args.dry_run {
                        fs::rename(&set_aside, &path)
                            .with_context(|| format!("cannot restore {}", path.display()))?;
                    }
                    self.changed = true;
                    let text =
                        fs::read_to_string(if self.args.dry_run { &set_aside } else { &path })
                            .with_context(|| format!("cannot read {}", path.display()))?;
                    return self.wrote(&path, &text);
                }
                if !self.args.dry_run {
                    drop_ins::write(&path)?;
                }
                self.changed = true;
                self.wrote(&path, drop_ins::BODY)?;
            }
        }
        Ok(())
    }

    fn services_file(&mut self, learned: &Learned) -> anyhow::Result<()> {
        let unit = &learned.status.name;
        if let Some(service) = self.config.services.get(unit) {
            let place = service.declared_in.as_ref().map_or_else(
                || self.paths.services().display().to_string(),
                |path| path.display().to_string(),
            );
            let file = service.declared_in.clone();
            let critical = self.args.critical || service.critical;
            if let Some(file) = file
                && learned.status.is_up()
            {
                let path = self.paths.config.join(file);
                let body = learn::services_file(learned, critical);
                return self.learned_since(&path, &body);
            }
            return kept(&place);
        }
        let path = services_file(self.paths, unit);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Problem::new(
                Exit::Config,
                format!("{} is there, but does not declare {unit}", path.display()),
            )
            .help("rename that file, or set its `unit` right")
            .into());
        }
        let body = learn::services_file(learned, self.args.critical);
        if let Some(set_aside) = restore::find(self.paths, unit, &path)? {
            // A service that is down shows none of its ports: what was known of it counts.
            if !files::is_unedited(&set_aside.path)? || !learned.status.is_up() {
                return self.restore(&set_aside, &body);
            }
            if !self.args.dry_run {
                fs::remove_file(&set_aside.path)
                    .with_context(|| format!("cannot remove {}", set_aside.path.display()))?;
            }
        }
        if !self.args.dry_run {
            files::folder(&self.paths.services(), 0o755)?;
            files::write(&path, files::marked(&body))?;
        }
        self.changed = true;
        self.wrote(&path, &body)
    }

    /// What can be learned of a service that runs, and could not when its file was written:
    /// written to a file that nobody edited, and else offered.
    fn learned_since(&mut self, path: &Path, body: &str) -> anyhow::Result<()> {
        let place = path.display().to_string();
        let Ok(text) = fs::read_to_string(path) else {
            return kept(&place);
        };
        let news = restore::news(&text, body);
        if news.is_empty() {
            return kept(&place);
        }
        // What was known then and is not now, such as a server that is down, would be lost.
        let loses = !restore::lost(&text, body).is_empty();
        if loses || !files::is_unedited(path)? {
            kept(&place)?;
            offer(&news);
            return Ok(());
        }
        if !self.args.dry_run {
            files::write(path, files::marked(body))?;
        }
        self.changed = true;
        self.wrote(path, body)
    }

    /// Puts back what `disable` set aside, and says what would be written now.
    fn restore(&mut self, set_aside: &SetAside, body: &str) -> anyhow::Result<()> {
        let what = if self.args.dry_run {
            "would restore"
        } else {
            set_aside.restore()?;
            "restored"
        };
        self.changed = true;
        let mut text = format!(
            "  {GOOD}{what}{GOOD:#}  {} (from {})\n",
            set_aside.in_force.display(),
            set_aside.path.display()
        );
        for line in set_aside.shown() {
            text.push_str(&format!("      {QUIET}{line}{QUIET:#}\n"));
        }
        output::print(&text)?;
        let news = restore::news(&set_aside.text, body);
        if !news.is_empty() {
            offer(&news);
        }
        Ok(())
    }

    fn wrote(&self, path: &Path, body: &str) -> anyhow::Result<()> {
        let what = if self.args.dry_run {
            "would write"
        } else {
            "wrote"
        };
        let mut text = format!("  {GOOD}{what}{GOOD:#}  {}\n", path.display());
        for line in body.lines() {
            text.push_str(&format!("      {QUIET}{line}{QUIET:#}\n"));
        }
        Ok(output::print(&text)?)
    }
}

fn kept(place: &str) -> anyhow::Result<()> {
    Ok(output::print(&format!(
        "  {QUIET}kept       {place}{QUIET:#}\n"
    ))?)
}

/// Tells what a file does not have that its operator has written.
fn offer(news: &[&str]) {
    output::remark(
        "note",
        FAIR,
        &format!(
            "this was found out now, and is not in the file; put what you want of it there, in \
             place of a line with the same key:\n    {}",
            news.join("\n    ")
        ),
    );
}

fn only_root(what: &str) -> Result<(), Problem> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(
        Problem::new(Exit::NoPermission, format!("only root can {what}"))
            .help(output::with_sudo())
            .help("`--dry-run` shows what it would do, for everybody"),
    )
}

fn services_file(paths: &Paths, unit: &UnitName) -> PathBuf {
    paths.services().join(format!("{}.toml", unit.stem()))
}

/// Whether it is on its way up. What systemd is about to start again after a failure
/// is not: that may go on for ever.
fn is_starting(status: &UnitStatus) -> bool {
    status.active_state == ActiveState::Activating && !status.is_auto_restarting()
}

fn is_transient(status: &UnitStatus) -> bool {
    status
        .fragment
        .as_deref()
        .is_some_and(|path| path.starts_with("/run/systemd/transient/"))
}

/// What else looks after this unit already.
fn warnings(learned: &Learned) -> Vec<String> {
    let status = &learned.status;
    let unit = &status.name;
    let mut warnings: Vec<String> = learned
        .notes
        .iter()
        .chain(&learned.not_asked)
        .map(|note| format!("{unit}: {note}"))
        .collect();
    let others: Vec<&str> = status
        .on_failure
        .iter()
        .map(UnitName::as_str)
        .filter(|name| !name.starts_with("prunella-hook@"))
        .collect();
    if !others.is_empty() {
        warnings.push(format!(
            "{unit} already has OnFailure={}: it will be started as well as Prunella's hook",
            others.join(" ")
        ));
    }
    if !matches!(status.restart_policy.as_str(), "" | "no") {
        let limit = if status.start_limit_burst == 0 || status.start_limit_interval.is_zero() {
            "and has no start limit, so systemd never gives up and Prunella only reports a loop"
                .to_owned()
        } else {
            "so Prunella waits until systemd has given up at the start limit".to_owned()
        };
        warnings.push(format!(
            "{unit} has Restart={}: systemd restarts it by itself, {limit}",
            status.restart_policy
        ));
    }
    for (setting, value) in [
        ("StartLimitAction", &status.start_limit_action),
        ("FailureAction", &status.failure_action),
    ] {
        if !matches!(value.as_str(), "" | "none") {
            warnings.push(format!(
                "{unit} has {setting}={value}: Prunella reports its failures and never starts it, \
                 since one start too many may reboot the host"
            ));
        }
    }
    if status.is_oneshot() {
        let timer = status.triggered_by.iter().find(|by| by.kind() == "timer");
        let by = timer.map_or_else(String::new, |timer| format!(", started by {timer}"));
        warnings.push(format!(
            "{unit} is a job (Type=oneshot{by}): Prunella runs it again when it fails; \
             `strategies = []` in its services file forbids that, and people are only told"
        ));
    }
    if is_transient(status) {
        warnings.push(format!(
            "{unit} is transient: it vanishes when it is stopped, and this with it"
        ));
    }
    for watch in &learned.monit {
        warnings.push(format!(
            "monit looks after it too, as `{}` ({}:{}): two healers fight each other, so take it \
             out there",
            one_line(&watch.name, 80),
            watch.file.display(),
            watch.line
        ));
    }
    warnings
}

/// Makes systemd and a running daemon see what was written.
fn apply(paths: &Paths) -> anyhow::Result<()> {
    if systemctl::booted() {
        systemctl::run(&["daemon-reload"])?;
    }
    match Client::new(&paths.run).reload() {
        Ok(now) => output::print(&crate::config::in_force(&now))?,
        Err(ApiError::NotListening(_)) => {
            if systemctl::says(&["is-active", "prunella-sweep.timer"]) {
                // A probe counts from its first answer on. The sweep also heals what is down,
                // which nobody waits for here.
                systemctl::run(&["start", "--no-block", "prunella-sweep.service"])?;
            } else if !systemctl::says(&["is-enabled", "prunella-sweep.timer"]) {
                output::remark(
                    "note",
                    FAIR,
                    "no daemon runs; start it with `systemctl start prunella.service`, or run \
                     `prunella setup` if this host has none yet",
                );
            }
        }
        Err(error) => {
            return Err(error).context("the files are written, but the daemon does not use them");
        }
    }
    Ok(())
}

/// Runs `prunella disable`.
pub(crate) fn disable(paths: &Paths, args: &DisableArgs) -> anyhow::Result<Exit> {
    if !args.dry_run {
        only_root("take services out of Prunella's care")?;
    }
    // With a broken configuration the files still have their usual names.
    let config = Config::load(&paths.config).config.unwrap_or_default();
    let units: Vec<UnitName> = if args.all {
        config.services.keys().cloned().collect()
    } else {
        let mut units = Vec::new();
        for word in &args.units {
            units.push(canonical(&crate::unit_name(word)?, &config, args, paths));
        }
        units
    };
    let mut worst = Exit::Ok;
    let mut changed = false;
    for unit in &units {
        match out_of_care(paths, args, &config, unit) {
            Ok(true) => changed = true,
            Ok(false) => {
                worst = Exit::NotFound;
                output::remark("error", BAD, &format!("{unit} is not in Prunella's care"));
            }
            Err(error) => {
                worst = crate::exit::code_of(&error);
                output::remark("error", BAD, &crate::exit::explain(&error));
            }
        }
    }
    if units.is_empty() {
        output::print("No service is in Prunella's care.\n")?;
    }
    if changed && !args.dry_run {
        apply(paths)?;
    }
    Ok(worst)
}

/// The name under which a unit is in care: an alias is resolved with systemd's
/// help, and a unit that is gone by now keeps the name it is known by.
fn canonical(unit: &UnitName, config: &Config, args: &DisableArgs, paths: &Paths) -> UnitName {
    let known = config.services.contains_key(unit)
        || drop_ins::path(&args.place.unit_dir, unit).exists()
        || services_file(paths, unit).exists();
    if known {
        return unit.clone();
    }
    Linux::connect(LinuxSettings::default())
        .ok()
        .and_then(|linux| linux.units().get(Instant::now() + PATIENCE, unit).ok())
        .map_or_else(|| unit.clone(), |status| status.name)
}

/// Removes what `enable` wrote; false when there was nothing.
fn out_of_care(
    paths: &Paths,
    args: &DisableArgs,
    config: &Config,
    unit: &UnitName,
) -> anyhow::Result<bool> {
    let declared = config
        .services
        .get(unit)
        .and_then(|service| service.declared_in.clone())
        .map(|path| paths.config.join(path))
        .unwrap_or_else(|| services_file(paths, unit));
    let dropped = drop_ins::path(&args.place.unit_dir, unit);
    let mut found = false;
    for path in [&dropped, &declared] {
        if fs::symlink_metadata(path).is_err() {
            continue;
        }
        if !found {
            output::print(&format!("{STRONG}{unit}{STRONG:#}\n"))?;
        }
        found = true;
        let unedited = files::is_unedited(path)?;
        let kept = restore::set_aside_name(path);
        // A drop-in is written anew; what is known of the service may not be found out again.
        let remove = unedited && *path == dropped;
        let edited = if unedited { "" } else { " (edited)" };
        let text = if remove {
            format!("removed   {}", path.display())
        } else {
            format!("renamed   {}{edited} to {}", path.display(), kept.display())
        };
        if !remove && !args.dry_run {
            restore::make_room(&kept)?;
        }
        if !args.dry_run {
            let done = if remove {
                fs::remove_file(path)
            } else {
                fs::rename(path, &kept)
            };
            done.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        let would = if args.dry_run { "would: " } else { "" };
        output::print(&format!("  {GOOD}{would}{text}{GOOD:#}\n"))?;
    }
    if found
        && !args.dry_run
        && let Some(folder) = dropped.parent()
    {
        drop_ins::remove_folder(folder)?;
    }
    Ok(found)
}
