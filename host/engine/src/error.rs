//! Why an engine cannot be made, or a component cannot be loaded.

use prunella_core::{StrategyName, policy::Act};

use crate::inspect::CONTRACT_VERSIONS;

/// Why there is no engine, or no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime does not accept its configuration here.
    #[error("the WebAssembly engine cannot be set up on this host: {reason}")]
    Config { reason: String },
    /// The component cannot be compiled.
    #[error("the component cannot be compiled: {reason}")]
    Compile { reason: String },
}

impl EngineError {
    pub(crate) fn config(error: wasmtime::Error) -> Self {
        Self::Config {
            reason: format!("{error:#}"),
        }
    }

    pub(crate) fn compile(error: wasmtime::Error) -> Self {
        Self::Compile {
            reason: format!("{error:#}"),
        }
    }
}

/// Why a component is not loaded. Nothing of it has run.
///
/// Each message ends with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not WebAssembly at all.
    #[error(
        "this is not WebAssembly: it begins with {begins}; a strategy is one `.wasm` file with a component in it"
    )]
    NotWasm {
        /// The first bytes, shown.
        begins: String,
    },
    /// WebAssembly, cut off.
    #[error(
        "the component is cut off after {size} bytes; copy or download the file again and compare its sha256"
    )]
    Truncated {
        /// How much there is, in bytes.
        size: usize,
    },
    /// WebAssembly, but damaged or of a kind that is not supported.
    #[error("the component is not valid: {reason}; build it again, or ask its author")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// A core module.
    #[error(
        "this is a core module, not a component; make a component of it with `wasm-tools component new`, or build it with the SDK"
    )]
    CoreModule,
    /// The output of a compiler run ahead of time.
    #[error(
        "this is precompiled machine code, which Prunella never takes from a file; give it the component itself, the `.wasm`"
    )]
    Precompiled,
    /// It wants WASI.
    #[error(
        "the component imports {}, and WASI is not offered; build it for wasm32-unknown-unknown with the SDK, which brings its own clock, sleep and log",
        list(interfaces)
    )]
    Wasi {
        /// What it imports of WASI.
        interfaces: Vec<String>,
    },
    /// It wants something that does not exist here.
    #[error(
        "the component imports {}, which this host does not offer; the interfaces there are: {}",
        list(interfaces),
        known.join(", ")
    )]
    UnknownInterface {
        /// What it imports that is unknown.
        interfaces: Vec<String>,
        /// The interfaces there are.
        known: Vec<String>,
    },
    /// It was built for another version of the contract.
    #[error(
        "the component was built for {}; this host knows version {} of the contract; {}",
        list(interfaces),
        CONTRACT_VERSIONS.join(", "),
        "build it again with an SDK of that version, or upgrade Prunella"
    )]
    UnknownVersion {
        /// The interfaces of an unknown version.
        interfaces: Vec<String>,
    },
    /// An interface of the contract is imported with types that it does not
    /// have.
    #[error(
        "the component imports an interface otherwise than the contract has it: {reason}; build it again with the SDK, for version {} of the contract",
        CONTRACT_VERSIONS.join(" or ")
    )]
    ImportTypes {
        /// What does not match.
        reason: String,
    },
    /// It does not export what a strategy exports.
    #[error(
        "the component is not a strategy: it does not export {missing}; it exports {}",
        list(exports)
    )]
    Exports {
        /// What is missing.
        missing: String,
        /// What there is instead.
        exports: Vec<String>,
    },
    /// It exports a strategy's functions with other types.
    #[error(
        "the component exports `{function}` with types that are not the contract's: {reason}; build it again with the SDK, for version {} of the contract",
        CONTRACT_VERSIONS.join(" or ")
    )]
    ExportTypes {
        function: &'static str,
        /// What does not match.
        reason: String,
    },
    /// It imports an act interface of which it was granted nothing.
    #[error("{}", not_granted(strategy, acts))]
    NotGranted {
        strategy: StrategyName,
        /// What it imports of the interfaces it was granted nothing of.
        acts: Vec<Act>,
    },
}

impl LoadError {
    /// A stable word for logs and `--json`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotWasm { .. } => "not-wasm",
            Self::Truncated { .. } => "truncated",
            Self::Invalid { .. } => "invalid",
            Self::CoreModule => "core-module",
            Self::Precompiled => "precompiled",
            Self::Wasi { .. } => "wasi",
            Self::UnknownInterface { .. } => "unknown-interface",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::ImportTypes { .. } => "import-types",
            Self::Exports { .. } => "exports",
            Self::ExportTypes { .. } => "export-types",
            Self::NotGranted { .. } => "not-granted",
        }
    }
}

/// `a`, `b` and 3 more: a component may import any number of things.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 4;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn not_granted(strategy: &StrategyName, acts: &[Act]) -> String {
    let mut message = format!(
        "strategy `{strategy}` can do {} and was granted none of it, so it is not loaded; \
         if it may, add what you want to allow to the configuration:",
        list(&acts.iter().map(ToString::to_string).collect::<Vec<_>>()),
    );
    for act in acts {
        message.push_str(&format!(
            "\n\n    [[strategy.{strategy}.allow]]\n    act = \"{act}\"\n    on = [\"self\"]"
        ));
    }
    message
}
