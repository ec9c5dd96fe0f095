//! What can be known of a component before it is trusted: what its bytes say,
//! and what it answers when it is asked who it is. It is asked under all limits,
//! and can neither look nor act.

use std::{collections::BTreeSet, fmt::Write as _, path::Path, time::Duration};

use prunella_config::Config;
use prunella_core::{
    StrategyName,
    incident::{Description, SettingSpec},
    name::NameError,
    policy::{Act, Grants, Limits},
    trust::Signature,
};
use prunella_daemon::plugins::{component::checked, imports};
use prunella_engine::{Engine, Inspection, LoadError, Package, Usage};
use serde::Serialize;

use super::field;
use crate::output::{BAD, FAIR, QUIET, STRONG, wrap};

/// Who it is takes no time to say.
const DEADLINE: Duration = Duration::from_secs(10);

/// A component from which more than this is compiled takes its time.
const LARGE: usize = 4 << 20;

/// What is known of a component.
#[derive(Debug, Serialize)]
pub(crate) struct PluginInfo {
    /// As it was named.
    file: String,
    /// The name it would have by its file.
    #[serde(skip)]
    name: StrategyName,
    /// What it imports and exports, its size and its sha256.
    #[serde(flatten)]
    pub(crate) inspection: Inspection,
    /// The versions of the contract that it was built for.
    contract: Vec<String>,
    /// The acts that it can call, if it is granted them.
    acts: Vec<Act>,
    /// What it looks at, in plain words.
    looks: Vec<&'static str>,
    /// What it may do once it is granted all it asks for, in plain words.
    may: Vec<&'static str>,
    /// What becomes of the signature beside it, by the keys trusted here.
    signature: Option<String>,
    /// What it says of itself.
    description: Option<Description>,
    /// Why it did not answer when it was asked who it is.
    silent: Option<String>,
    /// Why it does not load.
    refused: Option<Refused>,
    /// The lines that grant it all it asks for, for `prunella.toml`.
    grant: String,
    /// What it used up while it said who it is.
    #[serde(skip)]
    pub(crate) usage: Option<Usage>,
}

#[derive(Debug, Serialize)]
struct Refused {
    kind: &'static str,
    message: String,
}

impl PluginInfo {
    /// Reads a component, and asks it who it is.
    ///
    /// # Errors
    /// When it is no component.
    pub(crate) fn of(engine: &Engine, path: &Path, bytes: &[u8]) -> anyhow::Result<Self> {
        let inspection = engine.inspect(bytes)?;
        let name = name(path)?;
        let mut info = Self {
            file: path.display().to_string(),
            contract: contract(&inspection),
            acts: inspection.acts().into_iter().collect(),
            looks: inspection.observations(),
            may: inspection.consequences(),
            signature: None,
            description: None,
            silent: None,
            refused: None,
            grant: String::new(),
            usage: None,
            inspection,
            name,
        };
        match ask(engine, &info.name, bytes) {
            Ok((said, usage)) => {
                info.usage = Some(usage);
                match said {
                    Ok(description) => info.description = Some(description),
                    Err(silent) => info.silent = Some(silent),
                }
            }
            Err(error) => {
                info.refused = Some(Refused {
                    kind: error.kind(),
                    message: error.to_string(),
                });
            }
        }
        info.grant = info.lines_to_grant();
        Ok(info)
    }

    /// Adds what becomes of the signature `text` that came with it, by the keys
    /// that `config` trusts.
    pub(crate) fn look_at_signature(&mut self, config: &Config, bytes: &[u8], text: Option<&str>) {
        let signature = match text {
            Some(text) => checked(config, &self.name, bytes, text),
            None => Signature::Absent,
        };
        self.signature = Some(signature.to_string());
    }

    /// Whether the daemon would take it: it loads, and says who it is.
    pub(crate) fn is_good(&self) -> bool {
        self.trouble().is_none()
    }

    /// What keeps the daemon from taking it, and why.
    pub(crate) fn trouble(&self) -> Option<(&'static str, &str)> {
        match (&self.refused, &self.silent) {
            (Some(refused), _) => Some(("It does not load.", &refused.message)),
            (None, Some(silent)) => {
                Some(("It does not answer when it is asked who it is.", silent))
            }
            (None, None) => None,
        }
    }

    /// The lines for `prunella.toml`: the component by its sha256, the settings
    /// that must be set, and a grant for each act.
    fn lines_to_grant(&self) -> String {
        let name = &self.name;
        let mut lines = format!(
            "[strategy.{name}]\ncomponent = \"plugins/{name}.wasm\"\nsha256 = \"{}\"\n",
            self.inspection.sha256
        );
        let required: Vec<&SettingSpec> = self.settings().filter(|spec| spec.required).collect();
        if !required.is_empty() {
            let _ = writeln!(lines, "\n[strategy.{name}.settings]");
            for spec in required {
                let _ = writeln!(lines, "{} = {}", key(&spec.name), example(&spec.kind));
            }
        }
        for act in &self.acts {
            let _ = writeln!(
                lines,
                "\n[[strategy.{name}.allow]]\nact = \"{act}\"\non = [\"self\"]"
            );
        }
        lines
    }

    fn settings(&self) -> impl Iterator<Item = &SettingSpec> {
        self.description
            .iter()
            .flat_map(|description| &description.settings)
    }

    /// As people read it.
    pub(crate) fn show(&self, width: usize) -> String {
        let mut text = String::new();
        self.show_who(&mut text, width);
        self.show_facts(&mut text, width);
        if let Some((title, why)) = self.trouble() {
            let _ = writeln!(text, "\n{BAD}{title}{BAD:#}");
            for line in wrap(why, width) {
                let _ = writeln!(text, "{line}");
            }
            return text;
        }
        list(&mut text, "By itself it", &self.looks, width);
        list(&mut text, "Once it is granted, it", &self.may, width);
        self.show_kinds(&mut text);
        self.show_settings(&mut text, width);
        if self.acts.is_empty() {
            let _ = writeln!(text, "\nIt only looks. To use it, add to prunella.toml:\n");
        } else {
            let _ = writeln!(
                text,
                "\nTo let it do all of that to the failed service itself, and to nothing else, add \
                 to\nprunella.toml; what you leave out is denied:\n"
            );
        }
        for line in self.grant.lines() {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        }
        text
    }

    fn show_who(&self, text: &mut String, width: usize) {
        let Some(said) = &self.description else {
            let _ = writeln!(text, "{STRONG}{}{STRONG:#}", self.file);
            return;
        };
        let by = if said.author.is_empty() {
            String::new()
        } else {
            format!(" by {}", said.author)
        };
        let _ = writeln!(
            text,
            "{STRONG}{} {}{STRONG:#}{by}  {QUIET}{}{QUIET:#}",
            said.name, said.version, self.file
        );
        for line in wrap(&said.summary, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
    }

    fn show_facts(&self, text: &mut String, width: usize) {
        field(text, "size", &size(self.inspection.size), width);
        field(text, "sha256", &self.inspection.sha256, width);
        if let Some(signature) = &self.signature {
            field(text, "signed", signature, width);
        }
        if !self.contract.is_empty() {
            field(text, "contract", &self.contract.join(", "), width);
        }
        let imports = imports(&self.inspection);
        if !imports.is_empty() {
            field(text, "imports", &imports.join(", "), width);
        }
    }

    /// Which incidents it treats, where it says so.
    fn show_kinds(&self, text: &mut String) {
        let treats = self
            .description
            .as_ref()
            .and_then(|description| description.treats.as_ref());
        if let Some(treats) = treats {
            let kinds: Vec<&str> = treats.iter().map(|kind| kind.as_str()).collect();
            let _ = writeln!(text, "\nIt treats: {}", kinds.join(", "));
        }
    }

    fn show_settings(&self, text: &mut String, width: usize) {
        if self.settings().next().is_none() {
            return;
        }
        let _ = writeln!(text, "\nIts settings:");
        for spec in self.settings() {
            let value = match (&spec.default, spec.required) {
                (_, true) => format!("{FAIR}must be set{FAIR:#}"),
                (Some(default), false) => format!("\"{default}\" unless it is set"),
                (None, false) => "may be left out".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {STRONG}{}{STRONG:#}  {}, {value}",
                spec.name, spec.kind
            );
            for line in wrap(&spec.help, width.saturating_sub(6)) {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
}

/// Whether it will take a moment to look at a component of this size.
pub(crate) fn is_large(bytes: &[u8]) -> bool {
    bytes.len() > LARGE
}

/// Bytes for the eye: `61.0 KiB`.
pub(crate) fn size(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    let (unit, word) = match bytes {
        0..KIB => return format!("{bytes} bytes"),
        KIB..MIB => (KIB, "KiB"),
        _ => (MIB, "MiB"),
    };
    format!("{}.{} {word}", bytes / unit, bytes % unit * 10 / unit)
}

type Said = (Result<Description, String>, Usage);

/// Loads it as if it had been granted everything, which costs nothing: while it
/// says who it is it has no host.
fn ask(engine: &Engine, name: &StrategyName, bytes: &[u8]) -> Result<Said, LoadError> {
    let strategy = engine.load(name, bytes, &Grants::on_self(Act::ALL))?;
    let run = strategy.describe(&Limits {
        deadline: DEADLINE,
        ..Limits::default()
    });
    let said = match run.result {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Ok((said, run.usage))
}

/// The name it would have by its file, or one that is like it.
fn name(path: &Path) -> Result<StrategyName, NameError> {
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let words: Vec<&str> = stem
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    StrategyName::new(words.join("-")).or_else(|_| StrategyName::new("unnamed"))
}

fn contract(inspection: &Inspection) -> Vec<String> {
    let imported = inspection
        .imports
        .iter()
        .filter(|import| import.package != Package::Foreign)
        .filter_map(|import| import.version.clone());
    let exported = inspection.exports.iter().filter_map(|export| {
        let (name, version) = export.split_once('@')?;
        name.starts_with("prunella:").then(|| version.to_owned())
    });
    let versions: BTreeSet<String> = imported.chain(exported).collect();
    versions.into_iter().collect()
}

/// As a key of TOML.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

fn example(kind: &str) -> &'static str {
    match kind {
        "number" => "0",
        "boolean" => "false",
        "duration" => "\"5s\"",
        _ => "\"\"",
    }
}

fn list(text: &mut String, title: &str, sentences: &[&str], width: usize) {
    if sentences.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for sentence in sentences {
        let mut bullet = "-";
        for line in wrap(sentence, width.saturating_sub(4)) {
            let _ = writeln!(text, "  {bullet} {line}");
            bullet = " ";
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 bytes")]
    #[case(1023, "1023 bytes")]
    #[case(62_512, "61.0 KiB")]
    #[case(18_390_986, "17.5 MiB")]
    fn a_size(#[case] bytes: usize, #[case] shown: &str) {
        assert_eq!(size(bytes), shown);
    }

    #[rstest]
    #[case("/tmp/site-fix.wasm", "site-fix")]
    #[case("/tmp/Site_Fix (2).wasm", "site-fix-2")]
    #[case("/tmp/2.wasm", "unnamed")]
    #[case("/", "unnamed")]
    fn a_name_by_the_file(#[case] path: &str, #[case] called: &str) {
        assert_eq!(name(Path::new(path)).unwrap().as_str(), called);
    }

    #[test]
    fn a_key_is_quoted_where_it_must_be() {
        assert_eq!(key("grace-time"), "grace-time");
        assert_eq!(key("a b]"), "\"a b]\"");
    }
}
