//! Reading what a component imports and exports, without compiling or running
//! any of it.
//!
//! Only the component's own sections are read; the modules and components
//! nested in it are skipped. An import that this reading missed could not be
//! used: only the interfaces found here are linked.

use std::{collections::BTreeSet, fmt};

use prunella_core::{
    capability::{self, Act, INTERFACES},
    hash::{hexadecimal, sha256},
    text::one_line,
};
use serde::Serialize;
use wasmparser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, Encoding, InstanceTypeDeclaration, Parser, Payload, TypeBounds,
};

use crate::LoadError;

/// The version of the contract in `wit/`.
pub(crate) const NEWEST: &str = "0.2.0";

/// The versions of the contract that this engine offers, the oldest first. Within
/// a compatible line a component may have been built for any of them.
pub const CONTRACT_VERSIONS: [&str; 1] = [NEWEST];

/// The compatible lines that they belong to, as `major.minor`.
const LINES: [&str; 1] = ["0.2"];

/// The interface that makes a component a strategy, without its version.
pub(crate) const STRATEGY: &str = "prunella:strategy/strategy";

/// The longest name shown, in characters; a component may be called anything.
const SHOWN: usize = 120;

/// The interfaces that have types alone.
const TYPES: [(Package, &str); 3] = [
    (Package::Base, "types"),
    (Package::Act, "types"),
    (Package::Strategy, "types"),
];

/// Every interface that there is to import.
fn interfaces() -> impl Iterator<Item = (Package, &'static str)> {
    INTERFACES
        .iter()
        .map(|interface| (interface.package.into(), interface.name))
        .chain(TYPES)
}

/// Where an imported interface comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Package {
    /// `prunella:base`: what every strategy has.
    Base,
    /// `prunella:observe`: looking.
    Observe,
    /// `prunella:act`: acting.
    Act,
    /// `prunella:strategy`: the types a strategy answers with.
    Strategy,
    Foreign,
}

impl From<capability::Package> for Package {
    fn from(package: capability::Package) -> Self {
        match package {
            capability::Package::Base => Self::Base,
            capability::Package::Observe => Self::Observe,
            capability::Package::Act => Self::Act,
        }
    }
}

impl Package {
    fn parse(name: &str) -> Self {
        match name {
            "prunella:base" => Self::Base,
            "prunella:observe" => Self::Observe,
            "prunella:act" => Self::Act,
            "prunella:strategy" => Self::Strategy,
            _ => Self::Foreign,
        }
    }

    /// Its name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "prunella:base",
            Self::Observe => "prunella:observe",
            Self::Act => "prunella:act",
            Self::Strategy => "prunella:strategy",
            Self::Foreign => "foreign",
        }
    }
}

/// One import of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// As the component has it, such as `prunella:observe/units@0.2.0`.
    pub name: String,
    /// Whose it is.
    pub package: Package,
    /// The interface, such as `units`.
    pub interface: String,
    /// The version, such as `0.2.0`.
    pub version: Option<String>,
    /// The functions it imports, such as `get` or `[method]unit.name`. None
    /// for an interface that is imported for its types alone, which is no
    /// capability.
    pub functions: Vec<String>,
}

impl Import {
    fn new(name: &str, functions: Vec<String>) -> Self {
        let (path, version) = match name.split_once('@') {
            Some((path, version)) => (path, Some(one_line(version, SHOWN))),
            None => (name, None),
        };
        let (package, interface) = path.split_once('/').unwrap_or(("", path));
        Self {
            name: one_line(name, SHOWN),
            package: Package::parse(package),
            interface: one_line(interface, SHOWN),
            version,
            functions,
        }
    }

    /// Whether a component can call anything by it.
    pub fn is_capability(&self) -> bool {
        !self.functions.is_empty()
    }

    /// Whether it belongs to WASI.
    pub fn is_wasi(&self) -> bool {
        self.name.starts_with("wasi:") || self.name.starts_with("wasi_")
    }

    fn is_known(&self) -> bool {
        interfaces()
            .any(|(package, interface)| package == self.package && interface == self.interface)
    }

    fn has_known_version(&self) -> bool {
        self.version.as_deref().is_some_and(is_known_version)
    }

    /// Whether it is of a version that a newer Prunella has brought. What it has
    /// in common with this one works; what is new is missing here.
    fn is_newer(&self) -> bool {
        self.package != Package::Foreign && self.version.as_deref().is_some_and(is_newer_version)
    }

    /// The acts among its functions.
    pub fn acts(&self) -> impl Iterator<Item = Act> {
        let interface = (self.package == Package::Act).then_some(self.interface.as_str());
        Act::ALL.into_iter().filter(move |act| {
            interface == Some(act.interface())
                && self
                    .functions
                    .iter()
                    .any(|function| act.name().split_once('.').map(|(_, f)| f) == Some(function))
        })
    }
}

/// Compatible versions differ in their last number only.
fn is_known_version(version: &str) -> bool {
    LINES.iter().any(|line| patch_of(line, version).is_some())
}

/// Of a line that is known, and later than all that are.
fn is_newer_version(version: &str) -> bool {
    LINES.iter().any(|line| {
        let newest = CONTRACT_VERSIONS
            .iter()
            .filter_map(|known| patch_of(line, known))
            .max();
        patch_of(line, version) > newest
    })
}

/// The last number of a version of this line.
fn patch_of(line: &str, version: &str) -> Option<u32> {
    version.strip_prefix(line)?.strip_prefix('.')?.parse().ok()
}

/// What can be known of a component before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Of the bytes, in hexadecimal.
    pub sha256: String,
    /// In bytes.
    pub size: usize,
    /// What it imports, in its own order.
    pub imports: Vec<Import>,
    /// The names of what it exports.
    pub exports: Vec<String>,
}

impl Inspection {
    /// Reads a component. Whether it can be *loaded* is
    /// [`loadable`](Self::loadable).
    ///
    /// # Errors
    /// When it is no component at all.
    pub fn of(bytes: &[u8]) -> Result<Self, LoadError> {
        if wasmtime::Engine::detect_precompiled(bytes).is_some() {
            return Err(LoadError::Precompiled);
        }
        let mut inspection = Self {
            sha256: sha256(bytes),
            size: bytes.len(),
            imports: Vec::new(),
            exports: Vec::new(),
        };
        Reader::default().read(bytes, &mut inspection)?;
        Ok(inspection)
    }

    /// The imports of one package.
    pub fn of_package(&self, package: Package) -> impl Iterator<Item = &Import> {
        self.imports
            .iter()
            .filter(move |import| import.package == package)
    }

    /// What it imports of a version that is newer than any this engine offers.
    pub(crate) fn newer(&self) -> Vec<String> {
        self.imports
            .iter()
            .filter(|import| import.is_newer())
            .map(|import| import.name.clone())
            .collect()
    }

    /// Every act that it can call.
    pub fn acts(&self) -> BTreeSet<Act> {
        self.imports.iter().flat_map(Import::acts).collect()
    }

    /// What it may do, if it is granted all it asks for: one sentence for each
    /// act, in the order of the contract; empty when it only looks.
    pub fn consequences(&self) -> Vec<&'static str> {
        self.acts()
            .into_iter()
            .map(|act| act.consequence().means)
            .collect()
    }

    /// What it may look at, one sentence for each interface.
    pub fn observations(&self) -> Vec<&'static str> {
        self.of_package(Package::Observe)
            .filter(|import| import.is_capability())
            .filter_map(|import| {
                INTERFACES
                    .iter()
                    .find(|known| known.name == import.interface)
            })
            .map(|interface| interface.looking)
            .collect()
    }

    /// Whether the contract has what it imports and exports, by name.
    pub fn loadable(&self) -> Result<(), LoadError> {
        let names = |filter: &dyn Fn(&&Import) -> bool| -> Vec<String> {
            self.imports
                .iter()
                .filter(filter)
                .map(|import| import.name.clone())
                .collect()
        };
        let interfaces = names(&|import| import.is_wasi());
        if !interfaces.is_empty() {
            return Err(LoadError::Wasi { interfaces });
        }
        // Of another version everything may be different, even which
        // interfaces there are.
        let mut interfaces =
            names(&|import| import.package != Package::Foreign && !import.has_known_version());
        interfaces.extend(
            self.exports
                .iter()
                .filter(|export| {
                    export
                        .strip_prefix(STRATEGY)
                        .and_then(|rest| rest.strip_prefix('@'))
                        .is_some_and(|version| !is_known_version(version))
                })
                .cloned(),
        );
        if !interfaces.is_empty() {
            return Err(LoadError::UnknownVersion { interfaces });
        }
        let interfaces = names(&|import| !import.is_known() && import.is_newer());
        if !interfaces.is_empty() {
            return Err(LoadError::UnknownVersion { interfaces });
        }
        let interfaces = names(&|import| !import.is_known());
        if !interfaces.is_empty() {
            return Err(LoadError::UnknownInterface {
                interfaces,
                known: known_interfaces(),
            });
        }
        let wanted = format!("{STRATEGY}@");
        if !self.exports.iter().any(|name| name.starts_with(&wanted)) {
            return Err(LoadError::Exports {
                missing: format!("`{STRATEGY}`"),
                exports: self.exports.clone(),
            });
        }
        Ok(())
    }
}

/// Every interface there is to import, by name.
fn known_interfaces() -> Vec<String> {
    let mut names: Vec<String> = interfaces()
        .map(|(package, interface)| format!("{}/{interface}", package.name()))
        .collect();
    names.sort();
    names
}

/// The instance types of a component, by their place in its space of types.
/// Only those say which functions an import has.
#[derive(Default)]
struct Reader {
    types: Vec<Option<Vec<String>>>,
}

impl Reader {
    fn read(mut self, bytes: &[u8], found: &mut Inspection) -> Result<(), LoadError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(not_wasm(bytes));
        }
        let truncated = || LoadError::Truncated { size: bytes.len() };
        let mut parser = Parser::new(0);
        let mut rest = bytes;
        loop {
            let payload = match parser.parse(rest, rest.is_empty()) {
                Ok(Chunk::Parsed { consumed, payload }) => {
                    rest = rest.get(consumed..).ok_or_else(truncated)?;
                    payload
                }
                Ok(Chunk::NeedMoreData(_)) => return Err(truncated()),
                Err(_) if rest.is_empty() => return Err(truncated()),
                Err(error) => return Err(invalid(&error)),
            };
            match payload {
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                } => return Err(LoadError::CoreModule),
                Payload::ModuleSection {
                    unchecked_range, ..
                }
                | Payload::ComponentSection {
                    unchecked_range, ..
                } => {
                    rest = rest.get(unchecked_range.len()..).ok_or_else(truncated)?;
                }
                Payload::End(_) if rest.is_empty() => return Ok(()),
                payload => self.section(payload, found).map_err(|e| invalid(&e))?,
            }
        }
    }

    fn section(&mut self, payload: Payload<'_>, found: &mut Inspection) -> wasmparser::Result<()> {
        match payload {
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.types.push(match ty? {
                        ComponentType::Instance(declarations) => Some(functions(&declarations)),
                        _ => None,
                    });
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let functions = match import.ty {
                        ComponentTypeRef::Instance(index) => usize::try_from(index)
                            .ok()
                            .and_then(|index| self.types.get(index).cloned().flatten())
                            .unwrap_or_default(),
                        ComponentTypeRef::Type(bounds) => {
                            self.types.push(None);
                            if matches!(bounds, TypeBounds::Eq(_)) {
                                // A name for a type that it has already: there
                                // is nothing to give.
                                continue;
                            }
                            Vec::new()
                        }
                        // A lone function is a capability by itself.
                        _ => vec![one_line(import.name.name, SHOWN)],
                    };
                    found.imports.push(Import::new(import.name.name, functions));
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if matches!(
                        alias?,
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Type,
                            ..
                        } | ComponentAlias::Outer {
                            kind: ComponentOuterAliasKind::Type,
                            ..
                        }
                    ) {
                        self.types.push(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Type {
                        self.types.push(None);
                    }
                    found.exports.push(one_line(export.name.name, SHOWN));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn functions(declarations: &[InstanceTypeDeclaration<'_>]) -> Vec<String> {
    declarations
        .iter()
        .filter_map(|declaration| match declaration {
            InstanceTypeDeclaration::Export {
                name,
                ty: ComponentTypeRef::Func(_),
            } => Some(one_line(name.name, SHOWN)),
            _ => None,
        })
        .collect()
}

fn not_wasm(bytes: &[u8]) -> LoadError {
    if bytes.is_empty() {
        return LoadError::Truncated { size: 0 };
    }
    if b"\0asm".starts_with(bytes) {
        return LoadError::Truncated { size: bytes.len() };
    }
    let begins = bytes.get(..8).unwrap_or(bytes);
    let begins = if begins.is_ascii() {
        format!(
            "`{}`",
            one_line(&String::from_utf8_lossy(begins), begins.len())
        )
    } else {
        hexadecimal(begins)
    };
    LoadError::NotWasm { begins }
}

fn invalid(error: &dyn fmt::Display) -> LoadError {
    LoadError::Invalid {
        reason: one_line(&error.to_string(), 300),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn import(name: &str, functions: &[&str]) -> Import {
        Import::new(name, functions.iter().map(ToString::to_string).collect())
    }

    #[rstest]
    #[case::ours(
        "prunella:observe/units@0.2.0",
        Package::Observe,
        "units",
        Some("0.2.0")
    )]
    #[case::theirs("wasi:io/poll@0.2.0", Package::Foreign, "poll", Some("0.2.0"))]
    #[case::no_version("prunella:act/checks", Package::Act, "checks", None)]
    #[case::no_package("run", Package::Foreign, "run", None)]
    #[case::look_alike(
        "prunella:act2/checks@0.2.0",
        Package::Foreign,
        "checks",
        Some("0.2.0")
    )]
    fn an_import_s_name(
        #[case] name: &str,
        #[case] package: Package,
        #[case] interface: &str,
        #[case] version: Option<&str>,
    ) {
        let import = import(name, &[]);
        assert_eq!(import.package, package);
        assert_eq!(import.interface, interface);
        assert_eq!(import.version.as_deref(), version);
    }

    #[rstest]
    #[case::this("0.2.0", true)]
    #[case::a_later_patch("0.2.9", true)]
    #[case::the_next("0.3.0", false)]
    #[case::one("1.0.0", false)]
    #[case::longer("0.20.0", false)]
    #[case::candidate("0.2.0-rc1", false)]
    #[case::nonsense("0.2.", false)]
    fn a_version(#[case] version: &str, #[case] known: bool) {
        assert_eq!(is_known_version(version), known);
    }

    #[rstest]
    #[case::this(NEWEST, false)]
    #[case::a_later_patch("0.2.99", true)]
    #[case::another_line("0.3.0", false)]
    fn a_newer_version(#[case] version: &str, #[case] newer: bool) {
        assert_eq!(is_newer_version(version), newer);
    }

    #[test]
    fn acts_are_functions_and_not_methods() {
        let control = import(
            "prunella:act/unit-control@0.2.0",
            &["start", "reset-failed", "[method]job.wait", "explode"],
        );
        let acts: Vec<Act> = control.acts().collect();
        assert_eq!(acts, [Act::Start, Act::ResetFailed]);
        // The same names in another package are no acts.
        assert_eq!(
            import("prunella:observe/unit-control@0.2.0", &["start"])
                .acts()
                .count(),
            0
        );
    }

    #[test]
    fn a_name_is_shown_on_one_line() {
        let import = import("evil:x/\u{1b}[31m\n@1.0.0", &[]);
        assert!(!import.name.contains(['\n', '\u{1b}']));
    }

    /// The table of interfaces is the contract's, no more and no less.
    #[test]
    fn the_interfaces_are_those_of_the_contract() {
        let texts = [
            (Package::Base, include_str!("../../../wit/base/base.wit")),
            (
                Package::Observe,
                include_str!("../../../wit/observe/observe.wit"),
            ),
            (Package::Act, include_str!("../../../wit/act/act.wit")),
        ];
        for (package, text) in texts {
            let mut written: Vec<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("interface ")?.strip_suffix(" {"))
                .collect();
            written.sort_unstable();
            let mut known: Vec<&str> = interfaces()
                .filter(|(p, _)| *p == package)
                .map(|(_, interface)| interface)
                .collect();
            known.sort_unstable();
            assert_eq!(known, written);
        }
    }
}
