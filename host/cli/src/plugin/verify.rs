//! `prunella plugin verify`: looks at everything that is installed once more.

use std::{fmt::Write as _, path::Path};

use prunella_config::{Config, StrategySettings};
use prunella_core::{
    StrategyName, hash,
    policy::BUILTIN_STRATEGIES,
    trust::{NoRight, Right, Signature, SignaturePolicy},
};
use prunella_daemon::{
    configuration::load_config,
    plugins::{
        Versions,
        component::{self, checked},
    },
};
use prunella_engine::Engine;

use super::{candidate::Candidate, engine, field};
use crate::{
    args::PluginVerifyArgs,
    exit::{Exit, Problem},
    output::{self, BAD, GOOD, QUIET, STRONG},
    paths::Paths,
};

/// Runs the command.
pub(super) fn run(paths: &Paths, args: &PluginVerifyArgs) -> anyhow::Result<Exit> {
    let config = load_config(paths)?;
    let engine = engine()?;
    let verifier = Verifier {
        config: &config,
        engine: &engine,
        versions: Versions::read(paths),
    };
    let findings = match &args.what {
        None => verifier.installed(None),
        Some(what) => match StrategyName::new(what.as_str()) {
            Ok(name) if config.strategies.contains_key(&name) => verifier.installed(Some(&name)),
            Ok(name) if BUILTIN_STRATEGIES.contains(&name.as_str()) => {
                output::print(&format!(
                    "{name} is built in: it is part of this program.\n"
                ))?;
                return Ok(Exit::Ok);
            }
            Ok(name) if !Path::new(what).exists() => {
                return Err(Problem::new(
                    Exit::NotFound,
                    format!("there is no plugin `{name}`, and no file of this name"),
                )
                .into());
            }
            _ => vec![verifier.file(Path::new(what), args.name.as_deref())?],
        },
    };
    if findings.is_empty() {
        output::print("There are no plugins.\n")?;
        return Ok(Exit::Ok);
    }
    let width = output::width();
    let mut text = String::new();
    for finding in &findings {
        finding.show(&mut text, width);
    }
    output::print(&text)?;
    Ok(if findings.iter().all(|finding| finding.off.is_empty()) {
        Exit::Ok
    } else {
        Exit::Config
    })
}

/// What was found of one plugin.
struct Finding {
    name: String,
    source: String,
    /// What vouches for it.
    sound: Vec<String>,
    /// What is not as it should be.
    off: Vec<String>,
}

impl Finding {
    fn show(&self, text: &mut String, width: usize) {
        let (word, style) = if self.off.is_empty() {
            ("sound", GOOD)
        } else {
            ("not sound", BAD)
        };
        let _ = writeln!(
            text,
            "{STRONG}{}{STRONG:#}  {style}{word}{style:#}  {QUIET}{}{QUIET:#}",
            self.name, self.source
        );
        for off in &self.off {
            field(text, "off", off, width);
        }
        for sound in &self.sound {
            field(text, "", sound, width);
        }
    }
}

struct Verifier<'a> {
    config: &'a Config,
    engine: &'a Engine,
    versions: Versions,
}

impl Verifier<'_> {
    fn installed(&self, only: Option<&StrategyName>) -> Vec<Finding> {
        self.config
            .strategies
            .iter()
            .filter(|(name, _)| only.is_none_or(|only| only == *name))
            .filter_map(|(name, set)| {
                let path = set.component.as_deref()?;
                Some(self.one(name, path, set))
            })
            .collect()
    }

    fn one(&self, name: &StrategyName, path: &Path, set: &StrategySettings) -> Finding {
        let mut finding = Finding {
            name: name.to_string(),
            source: path.display().to_string(),
            sound: Vec::new(),
            off: Vec::new(),
        };
        let component = match component::read(self.config, &self.versions, name, path, set) {
            Ok(component) => component,
            Err(error) => {
                finding.off.push(error.to_string());
                return finding;
            }
        };
        let sha256 = &component.sha256;
        finding.sound.push(format!("sha256 {sha256}"));
        match &set.sha256 {
            Some(pin) if pin == sha256 => finding
                .sound
                .push("the `sha256` that prunella.toml names".to_owned()),
            Some(_) => finding.off.push(
                NoRight::OtherBytes {
                    sha256: sha256.clone(),
                }
                .to_string(),
            ),
            None => {}
        }
        match &set.installed {
            Some(record) if record.sha256 == *sha256 => finding
                .sound
                .push("the bytes that `prunella plugin add` installed".to_owned()),
            Some(record) => finding.off.push(format!(
                "it is not what `prunella plugin add` installed, which was {}; install it by that \
                 command if it is meant to be there",
                record.sha256
            )),
            None => {}
        }
        match &component.trust.signature {
            Signature::Good(signed) => finding.sound.push(format!("signed: {signed}")),
            Signature::Bad(error) => finding
                .off
                .push(format!("its signature is not good: {error}")),
            Signature::Absent | Signature::NotLookedAt => {}
        }
        let acts = match self.engine.inspect(&component.bytes) {
            Ok(inspection) => inspection.loadable().map(|()| inspection.acts()),
            Err(error) => Err(error),
        };
        match (acts, &component.trust.right) {
            (Err(error), _) => finding.off.push(error.to_string()),
            (Ok(acts), _) if acts.is_empty() => {
                finding.sound.push("it only looks".to_owned());
            }
            // Already told.
            (Ok(_), Err(NoRight::BadSignature(_) | NoRight::OtherBytes { .. })) => {}
            (Ok(_), Err(no_right)) => finding.off.push(no_right.to_string()),
            (Ok(_), Ok(right)) => finding.sound.push(
                match right {
                    Right::ByHand => "it may act as granted: you vouch for it",
                    Right::Signed => "it may act as granted: its signature vouches for it",
                    Right::Installed => "it may act as granted: you installed it",
                }
                .to_owned(),
            ),
        }
        finding
    }

    /// A file that is not in place: its signature alone.
    fn file(&self, path: &Path, name: Option<&str>) -> anyhow::Result<Finding> {
        let candidate = Candidate::read(path, None)?;
        let name = candidate.name(name)?;
        let mut finding = Finding {
            name: name.to_string(),
            source: candidate.path.display().to_string(),
            sound: vec![format!("sha256 {}", hash::sha256(&candidate.bytes))],
            off: Vec::new(),
        };
        if let Err(error) = self
            .engine
            .inspect(&candidate.bytes)
            .and_then(|inspection| inspection.loadable())
        {
            finding.off.push(error.to_string());
        }
        let signature = candidate
            .signature
            .as_ref()
            .map_or(Signature::Absent, |text| {
                checked(self.config, &name, &candidate.bytes, text)
            });
        match signature {
            Signature::Good(signed) => {
                if let Some(highest) = self.versions.highest(&name)
                    && signed.version < *highest
                {
                    finding.off.push(
                        NoRight::Older {
                            version: signed.version.clone(),
                            highest: highest.clone(),
                        }
                        .to_string(),
                    );
                }
                finding.sound.push(format!("signed: {signed}"));
            }
            Signature::Bad(error) => finding
                .off
                .push(format!("its signature is not good: {error}")),
            Signature::Absent if self.config.signatures == SignaturePolicy::Off => {}
            Signature::Absent => finding.off.push("it is not signed".to_owned()),
            Signature::NotLookedAt => finding.sound.push(signature.to_string()),
        }
        Ok(finding)
    }
}
