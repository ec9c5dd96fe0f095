//! `prunella plugin add`: from a stranger's file to a plugin in its installed.
//!
//! Everything is found out before anything is changed: what it is, who vouches
//! for it, whether it compiles and answers. Then its files are written, each
//! whole, with the lock held: whoever reads them sees the plugin before or
//! after, and never the one's component with the other's signature.

use std::fmt::Write as _;

use anyhow::Context as _;
use prunella_config::{Config, Installed, StrategySettings};
use prunella_core::{
    StrategyName,
    incident::Description,
    policy::{Act, Grants, Limits},
    text::one_line,
    trust::{NoRight, Right, Signature, SignatureError, SignaturePolicy, TrustStatus},
};
use prunella_daemon::{
    configuration::usable,
    explained, files,
    plugins::{
        InstallPaths, Lock, Versions,
        component::{self, checked},
    },
};
use prunella_engine::{Engine, EngineSettings, Inspection};
use prunella_linux::trusted_file;

use super::{candidate::Candidate, field};
use crate::{
    args::PluginAddArgs,
    exit::{Exit, Problem},
    output::{self, FAIR, GOOD, QUIET, STRONG},
    paths::Paths,
};

/// Runs the command.
pub(super) fn run(paths: &Paths, args: &PluginAddArgs) -> anyhow::Result<Exit> {
    let candidate = Candidate::read(&args.path, args.signature.as_deref())?;
    let name = candidate.name(args.name.as_deref())?;
    root_only()?;
    // Services may name it before it is there.
    let config = usable(paths, Config::load_expecting(&paths.config, &name))?;
    let set = settings_of(paths, &config, &name)?;
    let engine = Engine::new(EngineSettings {
        cache_dir: Some(paths.cache.clone()),
    })?;
    let checked = Checked::new(paths, &config, &engine, &candidate, name, set, args)?;
    checked.install(paths, &candidate, args.allow_downgrade)?;
    for remark in &checked.remarks {
        output::remark("note", FAIR, remark);
    }
    output::print(&checked.told(paths, &config, &candidate))?;
    Ok(Exit::Ok)
}

pub(super) fn root_only() -> anyhow::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Problem::new(
        Exit::NoPermission,
        "only root can change which plugins there are",
    )
    .help(output::with_sudo())
    .into())
}

/// What is set about the strategy, if its component is to lie in `plugins/`.
fn settings_of(
    paths: &Paths,
    config: &Config,
    name: &StrategyName,
) -> anyhow::Result<StrategySettings> {
    let set = config.strategies.get(name).cloned().unwrap_or_default();
    let installed = InstallPaths::of(paths, name);
    match (&set.component, &set.declared_at) {
        (Some(component), Some(declared_at)) if *component != installed.component => {
            Err(Problem::new(
                Exit::Config,
                format!(
                    "{declared_at} says that the component of `{name}` is {}",
                    component.display()
                ),
            )
            .help("take `component` out there, or give this one another name with `--name`")
            .into())
        }
        _ => Ok(set),
    }
}

/// A candidate that may be installed.
struct Checked {
    name: StrategyName,
    set: StrategySettings,
    inspection: Inspection,
    description: Description,
    trust: TrustStatus,
    remarks: Vec<String>,
}

impl Checked {
    fn new(
        paths: &Paths,
        config: &Config,
        engine: &Engine,
        candidate: &Candidate,
        name: StrategyName,
        set: StrategySettings,
        args: &PluginAddArgs,
    ) -> anyhow::Result<Self> {
        let shown = candidate.path.display();
        let refused = |what: String| Problem::new(Exit::Trouble, what);
        let inspection = engine
            .inspect(&candidate.bytes)
            .and_then(|inspection| inspection.loadable().map(|()| inspection))
            .map_err(|error| {
                refused(format!(
                    "{shown} is not installed: it is no strategy that can be loaded"
                ))
                .because(error)
            })?;
        let acts = inspection.acts();
        let signature = candidate.signature.as_ref().map_or_else(
            || match config.signatures {
                SignaturePolicy::Off => Signature::NotLookedAt,
                _ => Signature::Absent,
            },
            |text| checked(config, &name, &candidate.bytes, text),
        );
        let mut remarks = Vec::new();
        if let Signature::Bad(error) = &signature {
            // Of a key that nobody trusts here, it is worth what none is. Any
            // other fault is a reason to stop, whatever the component wants.
            if *error != SignatureError::UnknownKey {
                return Err(refused(format!(
                    "{shown} is not installed: its signature is not good"
                ))
                .because(error.clone())
                .into());
            }
            remarks.push(format!("its signature does not count: {error}"));
        }
        let versions = Versions::read(paths);
        let would_be = StrategySettings {
            installed: Some(Installed {
                sha256: inspection.sha256.clone(),
                version: None,
                signed_by: None,
            }),
            ..set.clone()
        };
        let trust = component::trust(
            config,
            &versions,
            &name,
            &would_be,
            &inspection.sha256,
            &signature,
        );
        let trust = match trust.right {
            Err(NoRight::Older { version, highest }) if args.allow_downgrade => {
                remarks.push(format!("it goes back from version {highest} to {version}"));
                TrustStatus {
                    right: Ok(Right::Signed),
                    ..trust
                }
            }
            Err(NoRight::Older { version, highest }) => {
                return Err(refused(format!(
                    "{shown} is not installed: it is version {version} of `{name}`, and {highest} \
                     has been on this host"
                ))
                .help("an older version may have faults that are known: `--allow-downgrade` if you want it all the same")
                .into());
            }
            Err(NoRight::OtherBytes { ref sha256 }) => {
                remarks.push(format!(
                    "`sha256` under [strategy.{name}] names other bytes, so it may only observe \
                     until you set sha256 = \"{sha256}\" there, or take it out"
                ));
                trust
            }
            Err(ref no_right) if !acts.is_empty() => {
                let mut problem = refused(format!(
                    "{shown} is not installed: it acts (it {}), and nobody vouches for it",
                    inspection.consequences().join(", ")
                ));
                if let NoRight::BadSignature(error) = no_right {
                    problem = problem.because(error.clone());
                }
                return Err(problem
                    .help(format!(
                        "put its signature beside it (or `--signature FILE`), and its author's key \
                     into {}",
                        paths.keys().display()
                    ))
                    .help(format!(
                        "or vouch for these bytes yourself, in prunella.toml:\n\n    \
                     [strategy.{name}]\n    sha256 = \"{}\"",
                        inspection.sha256
                    ))
                    .into());
            }
            _ => trust,
        };
        if trust.right == Ok(Right::Installed)
            && config.signatures == SignaturePolicy::Warn
            && !acts.is_empty()
        {
            remarks.push("it acts and is not signed (signatures = \"warn\")".to_owned());
        }
        let description = tried(engine, &name, &candidate.bytes, &acts, &set, config)
            .with_context(|| format!("{shown} is not installed"))?;
        if let Err(mistakes) = set.filled(&name, &description.settings) {
            remarks.extend(mistakes.iter().map(ToString::to_string));
        }
        Ok(Self {
            name,
            set,
            inspection,
            description,
            trust,
            remarks,
        })
    }

    /// Puts its files into installed.
    fn install(
        &self,
        paths: &Paths,
        candidate: &Candidate,
        allow_downgrade: bool,
    ) -> anyhow::Result<()> {
        let folder = paths.plugins();
        files::folder(&folder, 0o755)?;
        files::folder(&paths.state, 0o700)?;
        trusted_file::check_folder(&folder).map_err(|error| {
            Problem::new(
                Exit::Config,
                format!("what lies in {} could not be trusted", folder.display()),
            )
            .because(anyhow::Error::msg(explained(&error)))
        })?;
        let installed = InstallPaths::of(paths, &self.name);
        let held = Lock::wait(paths)?;
        let signed = self.trust.signature.good();
        if let Some(signed) = signed {
            let name = self.name.clone();
            if allow_downgrade {
                Versions::go_back(paths, &held, &name, &signed.version)?;
            } else {
                Versions::remember(paths, &held, [(name, signed.version.clone())])?;
            }
        }
        match &candidate.signature {
            Some(text) => files::write(&installed.signature, text)?,
            None => remove(&installed.signature)?,
        }
        let record = Installed {
            sha256: self.inspection.sha256.clone(),
            version: signed.map(|signed| signed.version.to_string()),
            signed_by: signed.map(|signed| signed.key.clone()),
        };
        files::write(&installed.record, files::marked(&record.to_toml()))?;
        // Last, and by a rename: this is what the daemon waits for.
        files::write(&installed.component, &candidate.bytes)?;
        Ok(())
    }

    fn told(&self, paths: &Paths, config: &Config, candidate: &Candidate) -> String {
        let width = output::width();
        let installed = InstallPaths::of(paths, &self.name);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{GOOD}installed{GOOD:#}  {STRONG}{}{STRONG:#}  {QUIET}{}{QUIET:#}",
            self.name,
            installed.component.display()
        );
        let description = &self.description;
        let says = [&description.name, &description.version, &description.author]
            .map(|part| one_line(part, 80))
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        field(&mut text, "says", &says, width);
        field(&mut text, "", &one_line(&description.summary, 300), width);
        field(
            &mut text,
            "signed",
            &self.trust.signature.to_string(),
            width,
        );
        field(&mut text, "sha256", &self.inspection.sha256, width);
        text.push_str(&self.grants_to_add());
        let used = config
            .services
            .values()
            .any(|service| service.strategies.contains(&self.name));
        if !used {
            let _ = writeln!(
                text,
                "\nNo service asks it yet: name it in a service's file, such as\n\n    \
                 strategies = [\"{}\", \"service-restart\"]",
                self.name
            );
        }
        for extra in &candidate.extra_files {
            let _ = writeln!(
                text,
                "\nIts author wrote {}: read it before you grant anything.",
                extra.display()
            );
        }
        text
    }

    /// The lines that are still missing in `prunella.toml`.
    fn grants_to_add(&self) -> String {
        let name = &self.name;
        let granted = self.set.grants.clone().unwrap_or_default().acts();
        let missing: Vec<Act> = self
            .inspection
            .acts()
            .into_iter()
            .filter(|act| !granted.contains(act))
            .collect();
        let mut text = String::new();
        if self.inspection.acts().is_empty() {
            text.push_str("\nIt only looks: it needs no grant to act.\n");
        } else if !missing.is_empty() {
            text.push_str(if self.inspection.acts().is_disjoint(&granted) {
                "\nIt may only observe. What it would do, for prunella.toml, if you allow it:\n\n"
            } else {
                "\nWhat it would do besides, for prunella.toml, if you allow that too:\n\n"
            });
            for act in missing {
                let _ = writeln!(
                    text,
                    "    [[strategy.{name}.allow]]\n    act = \"{act}\"\n    on = [\"self\"]\n"
                );
            }
            let _ = writeln!(
                text,
                "then: prunella config check && systemctl reload prunella.service"
            );
        }
        text
    }
}

/// Compiles it, and has it say who it is: what the daemon will do.
fn tried(
    engine: &Engine,
    name: &StrategyName,
    bytes: &[u8],
    acts: &std::collections::BTreeSet<Act>,
    set: &StrategySettings,
    config: &Config,
) -> anyhow::Result<Description> {
    // Which of these it will get is another question; nothing is done here.
    let everything = Grants::on_self(acts.iter().copied());
    let strategy = engine
        .load(name, bytes, &everything)
        .map_err(|error| Problem::new(Exit::Trouble, "it does not load").because(error))?;
    let limits: Limits = set.limits.clone().unwrap_or_else(|| config.limits.clone());
    let described = strategy.describe(&limits).result.and_then_said();
    if described.is_err() {
        engine.forget(strategy.sha256());
    }
    described
}

/// An answer, or why there is none.
trait Said<T> {
    fn and_then_said(self) -> anyhow::Result<T>;
}

impl<T> Said<T> for Result<Result<T, prunella_core::Failure>, prunella_engine::RunError> {
    fn and_then_said(self) -> anyhow::Result<T> {
        let problem = || Problem::new(Exit::Trouble, "it was asked who it is, and did not say");
        match self {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(failure)) => Err(problem().because(failure).into()),
            Err(error) => Err(problem().because(error).into()),
        }
    }
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &std::path::Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
