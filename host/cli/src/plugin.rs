//! `prunella plugin`: strategies, built in and the operator's own.

use std::{fmt::Write as _, fs, path::Path};

use anstyle::Style;
use anyhow::Context as _;
use prunella_api::AwaitingGrant;
use prunella_bundle::{Builtin, builtins};
use prunella_core::{
    StrategyName,
    config::{Config, StrategySettings},
    policy::{Act, Grants, Permission, Scope, builtin_grants},
};
use prunella_engine::{Engine, EngineSettings, Inspection, LoadError, Source};
use serde::Serialize;

use crate::{
    args::{PluginCommand, PluginInspectArgs, PluginListArgs},
    assembly::MAX_COMPONENT,
    exit::{Exit, Problem},
    output::{self, BAD, FAIR, GOOD, QUIET, STRONG, wrap},
    paths::Paths,
};

/// Runs `prunella plugin …`.
pub(crate) fn run(paths: &Paths, command: &PluginCommand) -> anyhow::Result<Exit> {
    match command {
        PluginCommand::List(args) => list(paths, args),
        PluginCommand::Inspect(args) => inspect(args),
    }
}

/// How a strategy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Loaded, with what it was granted.
    Ready,
    /// It would act, but may only observe.
    AwaitingGrant,
    /// It does not load.
    Refused,
}

/// One strategy, as `prunella plugin list --json` has it.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    /// `built-in`, or the component's file.
    source: String,
    state: State,
    sha256: Option<String>,
    /// What it was granted: act, and on what.
    granted: Vec<Granted>,
    /// What it can call, by its imports; absent when it cannot be read.
    imports: Option<Vec<String>>,
    /// The acts among those that were not granted.
    not_granted: Vec<Act>,
    /// Why it is in this state, and what to do about it.
    why: Option<String>,
    declared_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Granted {
    what: String,
    on: Vec<String>,
}

fn list(paths: &Paths, args: &PluginListArgs) -> anyhow::Result<Exit> {
    let loaded = Config::load(&paths.config);
    let broken = loaded.errors().count();
    let config = loaded.config.unwrap_or_default();
    let engine = engine()?;
    let listed = all(&engine, &config);
    if args.json {
        for strategy in &listed {
            output::print_json(strategy)?;
        }
    } else {
        let width = output::width();
        let mut text = String::new();
        for strategy in &listed {
            show(&mut text, strategy, width);
        }
        output::print(&text)?;
    }
    if broken > 0 {
        output::remark(
            "note",
            FAIR,
            "the configuration has mistakes, so what it sets is not shown: see `prunella config check`",
        );
    }
    Ok(Exit::Ok)
}

/// An engine without a cache: to look at components, not to run them.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    Ok(Engine::new(EngineSettings { cache_dir: None })?)
}

/// Every strategy there is: the built-in ones, and the configured ones by name.
fn all(engine: &Engine, config: &Config) -> Vec<Listed> {
    let mut listed: Vec<Listed> = builtins()
        .iter()
        .map(|builtin| built_in(engine, config, builtin))
        .collect();
    for (name, settings) in &config.strategies {
        if let Some(path) = &settings.component {
            listed.push(configured(engine, name, path, settings));
        }
    }
    listed
}

fn built_in(engine: &Engine, config: &Config, builtin: &Builtin) -> Listed {
    let settings = config
        .strategies
        .iter()
        .find(|(name, _)| name.as_str() == builtin.name)
        .map(|(_, settings)| settings);
    let grants = settings
        .and_then(|settings| settings.grants.clone())
        .or_else(|| builtin_grants(builtin.name))
        .unwrap_or_default();
    let source = Source::Builtin {
        wasm: builtin.wasm,
        precompiled: builtin.precompiled,
    };
    let declared_at = settings.and_then(|settings| settings.declared_at.clone());
    let mut listed = Listed::new(
        builtin.name,
        "built-in".to_owned(),
        engine.inspect(builtin.wasm),
        &grants,
    );
    listed.declared_at = declared_at;
    if let Ok(name) = StrategyName::new(builtin.name) {
        listed.judge(engine.load(&name, source, &grants).err());
    }
    listed
}

fn configured(
    engine: &Engine,
    name: &StrategyName,
    path: &Path,
    settings: &StrategySettings,
) -> Listed {
    let given = settings.grants.clone().unwrap_or_default();
    let source = path.display().to_string();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let mut listed = Listed::new(name.as_str(), source, Err(()), &given);
            listed.declared_at.clone_from(&settings.declared_at);
            listed.state = State::Refused;
            listed.why = Some(crate::exit::explain(&error));
            return listed;
        }
    };
    let inspection = engine.inspect(&bytes);
    let pinned = match (&inspection, &settings.sha256) {
        (Ok(inspection), Some(sha256)) => inspection.sha256.eq_ignore_ascii_case(sha256),
        _ => false,
    };
    // Rights to act follow the bytes; other bytes may only observe.
    let grants = if pinned {
        given.clone()
    } else {
        observing(&given)
    };
    let error = engine.load(name, Source::Wasm(&bytes), &grants).err();
    let actual = inspection.as_ref().ok().map(|i| i.sha256.clone());
    let mut listed = Listed::new(name.as_str(), source, inspection, &grants);
    listed.declared_at.clone_from(&settings.declared_at);
    listed.judge(error);
    if !pinned && !given.acts().is_empty() && listed.state != State::Refused {
        listed.state = State::AwaitingGrant;
        listed.why = Some(match (&settings.sha256, actual) {
            (Some(_), Some(actual)) => format!(
                "the file is not the one that its rights were given to; if you trust it, set \
                 sha256 = \"{actual}\""
            ),
            (None, Some(actual)) => format!(
                "rights to act are given to one file, not to a name: add sha256 = \"{actual}\""
            ),
            (_, None) => "its sha256 is not known".to_owned(),
        });
    }
    listed
}

/// What of `grants` is only about looking.
fn observing(grants: &Grants) -> Grants {
    Grants(
        grants
            .0
            .iter()
            .filter(|grant| matches!(grant.permission, Permission::Observe(_)))
            .cloned()
            .collect(),
    )
}

impl Listed {
    fn new<E>(
        name: &str,
        source: String,
        inspection: Result<Inspection, E>,
        grants: &Grants,
    ) -> Self {
        let inspection = inspection.ok();
        let granted_acts = grants.acts();
        Self {
            name: name.to_owned(),
            source,
            state: State::Ready,
            sha256: inspection.as_ref().map(|i| i.sha256.clone()),
            granted: granted(grants),
            not_granted: inspection.as_ref().map_or_else(Vec::new, |i| {
                i.acts()
                    .into_iter()
                    .filter(|act| !granted_acts.contains(act))
                    .collect()
            }),
            imports: inspection.map(|i| imports(&i)),
            why: None,
            declared_at: None,
        }
    }

    /// Sets the state by how loading went.
    fn judge(&mut self, error: Option<LoadError>) {
        match error {
            None => {}
            Some(error @ LoadError::NotGranted { .. }) => {
                self.state = State::AwaitingGrant;
                self.why = Some(error.to_string());
            }
            Some(error) => {
                self.state = State::Refused;
                self.why = Some(error.to_string());
            }
        }
    }
}

fn granted(grants: &Grants) -> Vec<Granted> {
    let mut granted = Vec::new();
    for grant in &grants.0 {
        let on: Vec<String> = grant.on.iter().map(Scope::to_string).collect();
        match &grant.permission {
            Permission::Act(acts) => granted.extend(acts.iter().map(|act| Granted {
                what: act.to_string(),
                on: on.clone(),
            })),
            Permission::Observe(observe) => granted.push(Granted {
                what: format!("observe {}", observe.name()),
                on,
            }),
        }
    }
    granted
}

/// The imports that are capabilities.
fn imports(inspection: &Inspection) -> Vec<String> {
    inspection
        .imports
        .iter()
        .filter(|import| import.is_capability())
        .map(|import| import.name.clone())
        .collect()
}

/// What keeps strategies from being ready, for `prunella config check`: whether
/// it is an error, and what to say.
pub(crate) fn complaints(config: &Config) -> anyhow::Result<Vec<(bool, String)>> {
    let engine = engine()?;
    Ok(all(&engine, config)
        .into_iter()
        .filter(|strategy| strategy.state != State::Ready)
        .map(|strategy| {
            let place = strategy
                .declared_at
                .map_or_else(String::new, |place| format!(" ({place})"));
            let state = match strategy.state {
                State::AwaitingGrant => "awaits a grant",
                _ => "does not load",
            };
            (
                strategy.state == State::Refused,
                format!(
                    "strategy `{}` {state}{place}: {}",
                    strategy.name,
                    strategy.why.unwrap_or_default()
                ),
            )
        })
        .collect())
}

/// Strategies that may observe only, for the overview. Loads nothing that
/// needs compiling: what a component imports is read from it.
pub(crate) fn awaiting_grant(config: &Config) -> Vec<AwaitingGrant> {
    let Ok(engine) = engine() else {
        return Vec::new();
    };
    let mut awaiting = Vec::new();
    for (name, settings) in &config.strategies {
        let Some(path) = &settings.component else {
            continue;
        };
        let Some(inspection) = read(path).ok().and_then(|b| engine.inspect(&b).ok()) else {
            continue;
        };
        let grants = settings.grants.clone().unwrap_or_default();
        let pinned = settings
            .sha256
            .as_ref()
            .is_some_and(|sha256| inspection.sha256.eq_ignore_ascii_case(sha256));
        let wanted = inspection.acts();
        let reason = if wanted.is_empty() {
            continue;
        } else if grants.acts().is_disjoint(&wanted) {
            "nothing that it would do was granted, so it may only observe"
        } else if !pinned {
            "its file is not the one its rights were given to, so it may only observe"
        } else {
            continue;
        };
        awaiting.push(AwaitingGrant {
            strategy: name.to_string(),
            reason: format!("{reason}: see `prunella plugin list`"),
        });
    }
    awaiting
}

fn show(text: &mut String, strategy: &Listed, width: usize) {
    let (state, style): (&str, Style) = match strategy.state {
        State::Ready => ("ready", GOOD),
        State::AwaitingGrant => ("awaiting a grant", FAIR),
        State::Refused => ("refused", BAD),
    };
    let _ = writeln!(
        text,
        "{STRONG}{}{STRONG:#}  {style}{state}{style:#}  {QUIET}{}{QUIET:#}",
        strategy.name, strategy.source
    );
    if let Some(sha256) = &strategy.sha256 {
        field(text, "sha256", sha256, width);
    }
    if let Some(imports) = &strategy.imports {
        let short: Vec<&str> = imports
            .iter()
            .filter_map(|name| name.split('@').next())
            .map(|name| name.strip_prefix("prunella:").unwrap_or(name))
            .collect();
        field(text, "imports", &short.join(", "), width);
    }
    let may: Vec<String> = strategy
        .granted
        .iter()
        .map(|granted| format!("{} on {}", granted.what, granted.on.join(", ")))
        .collect();
    let may = if may.is_empty() {
        "only observe".to_owned()
    } else {
        may.join("; ")
    };
    field(text, "may", &may, width);
    if !strategy.not_granted.is_empty() && strategy.state == State::Ready {
        let denied: Vec<&str> = strategy.not_granted.iter().map(|act| act.name()).collect();
        field(text, "denied", &denied.join(", "), width);
    }
    if let Some(why) = &strategy.why {
        // Lines to add to the configuration keep their shape.
        let mut lines = why.lines();
        field(text, "why", lines.next().unwrap_or_default(), width);
        for line in lines {
            let _ = writeln!(text, "           {line}");
        }
    }
    text.push('\n');
}

fn field(text: &mut String, name: &str, value: &str, width: usize) {
    let mut name = name;
    for line in wrap(value, width.saturating_sub(11)) {
        let _ = writeln!(text, "  {QUIET}{name:<8}{QUIET:#} {line}");
        name = "";
    }
}

/// Reads a component as the daemon would: no links, and nobody but root may
/// have been able to write it.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(prunella_linux::trusted_file::read(path, MAX_COMPONENT)?)
}

/// Runs `prunella plugin inspect`. Nothing of the component is run, so
/// anybody's file may be looked at.
fn inspect(args: &PluginInspectArgs) -> anyhow::Result<Exit> {
    let path = &args.file;
    let size = fs::metadata(path)
        .map_err(|error| {
            let exit = match error.kind() {
                std::io::ErrorKind::NotFound => Exit::NotFound,
                std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
                _ => Exit::Trouble,
            };
            Problem::new(exit, format!("{} cannot be looked at", path.display())).because(error)
        })?
        .len();
    if size > MAX_COMPONENT {
        return Err(Problem::new(
            Exit::Usage,
            format!("{} is larger than {MAX_COMPONENT} bytes", path.display()),
        )
        .into());
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let inspection = engine()?.inspect(&bytes).map_err(|error| {
        Problem::new(
            Exit::Trouble,
            format!("{} is not a strategy", path.display()),
        )
        .because(error)
    })?;
    let loadable = inspection.loadable();
    if args.json {
        let mut value = serde_json::to_value(&inspection)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("acts".into(), serde_json::to_value(inspection.acts())?);
            let refused = loadable.as_ref().err().map(ToString::to_string);
            object.insert("refused".into(), serde_json::to_value(refused)?);
        }
        output::print_json(&value)?;
        return Ok(Exit::Ok);
    }
    output::print(&inspected(
        path,
        &inspection,
        loadable.err(),
        output::width(),
    ))?;
    Ok(Exit::Ok)
}

fn inspected(
    path: &Path,
    inspection: &Inspection,
    refused: Option<LoadError>,
    width: usize,
) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{STRONG}{}{STRONG:#}", path.display());
    field(&mut text, "sha256", &inspection.sha256, width);
    field(
        &mut text,
        "size",
        &format!("{} bytes", inspection.size),
        width,
    );
    field(&mut text, "imports", &imports(inspection).join(", "), width);
    if let Some(refused) = refused {
        text.push('\n');
        let _ = writeln!(text, "{BAD}It does not load.{BAD:#}");
        for line in wrap(&refused.to_string(), width) {
            let _ = writeln!(text, "{line}");
        }
        return text;
    }
    sentences(&mut text, "It observes", &inspection.observations(), width);
    let consequences = inspection.consequences();
    if consequences.is_empty() {
        let _ = writeln!(text, "\nIt only looks: it needs no grant to act.");
        return text;
    }
    sentences(
        &mut text,
        "It wants to act; once granted, it",
        &consequences,
        width,
    );
    let name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .and_then(|stem| StrategyName::new(stem).ok())
        .map_or_else(|| "NAME".to_owned(), |name| name.to_string());
    let _ = writeln!(
        text,
        "\nTo grant all of it on the failed service itself, add to prunella.toml:\n"
    );
    let _ = writeln!(text, "    [strategy.{name}]");
    let _ = writeln!(text, "    component = \"plugins/{name}.wasm\"");
    let _ = writeln!(text, "    sha256 = \"{}\"", inspection.sha256);
    for act in inspection.acts() {
        let _ = writeln!(text, "\n    [[strategy.{name}.allow]]");
        let _ = writeln!(text, "    act = \"{act}\"\n    on = [\"self\"]");
    }
    text
}

fn sentences(text: &mut String, title: &str, sentences: &[&str], width: usize) {
    if sentences.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    for sentence in sentences {
        let mut bullet = "-";
        for line in wrap(sentence, width.saturating_sub(4)) {
            let _ = writeln!(text, "  {bullet} {line}");
            bullet = " ";
        }
    }
}
