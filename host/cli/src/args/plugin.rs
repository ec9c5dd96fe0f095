//! `prunella plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `prunella plugin`
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Create a project for a new strategy
    #[command(
        long_about = "Create a project for a new strategy. It does something useful, builds with \
            `prunella plugin build`, and has a passing test. It contains all it needs of \
            Prunella; you install the toolchain of its language. Overwrites nothing.",
        after_help = "\
Examples:
  prunella plugin new cache-guard
  prunella plugin new cache-guard --lang python ~/src/cache-guard"
    )]
    New(PluginNewArgs),
    /// Build a strategy project into a component
    #[command(
        long_about = "Build a strategy project into a component, build/NAME.wasm, with the \
            toolchain of its language. Writes only components that Prunella would load, so none \
            that import WASI. Says what the component could do, and what to do next.",
        after_help = "\
Examples:
  prunella plugin build
  prunella plugin build ~/src/cache-guard"
    )]
    Build(PluginBuildArgs),
    /// List every strategy, its grants and its state
    #[command(after_help = "\
Examples:
  sudo prunella plugin list
  sudo prunella plugin list --json")]
    List(PluginListArgs),
    /// Show what a component is, what it could do, and the grants it needs
    #[command(
        long_about = "Show what a component is, what it could do, and the grants it needs. What it \
            could do is read from its imports. Its description comes from the component itself, \
            which runs under all limits and can neither look nor act. Safe for untrusted files.",
        after_help = "\
Exit codes: 0 Prunella would load it; 1 it would not, with the reason.

Examples:
  prunella plugin inspect site-fix.wasm
  prunella plugin inspect /etc/prunella/plugins/site-fix.wasm --json"
    )]
    Inspect(PluginInspectArgs),
    /// Run scenarios against a component on a simulated host
    #[command(
        long_about = "Run scenarios against a component on a simulated host.\n\n\
            A scenario is a TOML file: a host, a failed service, and what the strategy should say \
            and do about it. The component runs as in the daemon, with the same limits and \
            grants, but time is virtual and the host is a model. Shows every difference from the \
            scenario's [expect]. docs/testing.md lists every key.",
        after_help = "\
Examples:
  prunella plugin test site-fix.wasm --scenario scenarios/
  prunella plugin test site-fix.wasm --scenario leftover.toml --scenario stranger.toml --json

Exit codes: 0 all passed; 8 a scenario failed; 3 a scenario has mistakes."
    )]
    Test(PluginTestArgs),
    /// Install a component, with its signature
    #[command(
        long_about = "Install a component, with its signature.\n\n\
            Checks the component's signature (FILE.minisig) against the keys in /etc/prunella/keys, \
            compiles it and asks it for its description. Then copies it to \
            /etc/prunella/plugins, records its sha256 beside it, and prints the grants it needs. \
            If anything is wrong, nothing changes. A running daemon loads it by itself.\n\n\
            A component that acts must be signed for its name, unless prunella.toml says \
            `signatures = \"warn\"` or pins its sha256. One that only observes needs no \
            signature.",
        after_help = "\
Examples:
  sudo prunella plugin add site-fix.wasm
  sudo prunella plugin add ./site-fix-1.2.0/
  sudo prunella plugin add site-fix.wasm --signature site-fix-1.2.0.minisig
  sudo prunella plugin add site-fix-1.1.0.wasm --name site-fix --allow-downgrade"
    )]
    Add(PluginAddArgs),
    /// Remove an installed component and its data
    #[command(
        long_about = "Remove an installed component and its data: its files in \
            /etc/prunella/plugins, its compiled code, and its state for all services. Keeps the \
            incidents that it healed, and the highest version ever installed.",
        after_help = "\
Examples:
  sudo prunella plugin remove site-fix
  sudo prunella plugin remove site-fix --force"
    )]
    Remove(PluginRemoveArgs),
    /// Check installed components: bytes, signatures, owners and modes
    #[command(
        long_about = "Check installed components: bytes against the recorded or pinned sha256, \
            signatures against the current keys, versions, and who can write the files. Exits \
            with 3 if a check fails. Also checks a file that is not installed: its signature, and \
            whether it loads.",
        after_help = "\
Examples:
  sudo prunella plugin verify
  sudo prunella plugin verify site-fix
  sudo prunella plugin verify ./site-fix.wasm"
    )]
    Verify(PluginVerifyArgs),
    /// Replay a recording against a component, and show where it diverges
    #[command(
        long_about = "Replay a recording against a component, and show where it diverges.\n\n\
            `prunella heal UNIT --record FILE` records every host call of the strategies, with its \
            answer. The replay gives a component the same incident and the same answers, up to \
            the first call that differs, which it shows. So a mistake that a strategy made on one \
            host can be studied on another.",
        after_help = "\
Examples:
  prunella plugin replay site-fix.wasm --recording incident.jsonl
  prunella plugin replay new.wasm --recording incident.jsonl --strategy site-fix --json

Exit codes: 0 same calls and same result; 8 the replay diverged."
    )]
    Replay(PluginReplayArgs),
}

/// `prunella plugin add`
#[derive(Debug, Args)]
pub(crate) struct PluginAddArgs {
    /// Component, or a folder with one component
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,

    /// Strategy name [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Signature file [default: FILE.minisig]
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,

    /// Install it even if this host has had a newer version
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
}

/// `prunella plugin remove`
#[derive(Debug, Args)]
pub(crate) struct PluginRemoveArgs {
    /// Strategy name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Remove it even if services still use it
    #[arg(long)]
    pub(crate) force: bool,
}

/// `prunella plugin verify`
#[derive(Debug, Args)]
pub(crate) struct PluginVerifyArgs {
    /// Strategy name or component file [default: everything installed]
    #[arg(value_name = "NAME|FILE")]
    pub(crate) what: Option<String>,

    /// Name under which to check a file [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `prunella plugin replay`
#[derive(Debug, Args)]
pub(crate) struct PluginReplayArgs {
    /// Component file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Recording that `prunella heal --record` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) recording: PathBuf,

    /// Strategy whose runs to replay [default: the one named like the file]
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<prunella_core::StrategyName>,

    /// Print one JSON object per run
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin test`
#[derive(Debug, Args)]
pub(crate) struct PluginTestArgs {
    /// Component file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Scenario file or folder; may be repeated
    #[arg(long = "scenario", value_name = "FILE|DIR", required = true)]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Print one JSON object per scenario
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin new`
#[derive(Debug, Args)]
pub(crate) struct PluginNewArgs {
    /// Strategy name, such as `cache-guard`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Target folder [default: NAME]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// Language
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    pub(crate) lang: Lang,

    /// Use the SDK of this Prunella checkout instead of a copy (Rust only)
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<PathBuf>,
}

/// A language for strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// Rust, with the SDK: the smallest and fastest
    Rust,
    /// C, with clang
    C,
    /// Python, with its interpreter in the component (about 18 MB)
    Python,
    /// JavaScript, with its engine in the component (about 12 MB)
    Js,
}

/// `prunella plugin build`
#[derive(Debug, Args)]
pub(crate) struct PluginBuildArgs {
    /// Project folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
}

/// `prunella plugin list`
#[derive(Debug, Args)]
pub(crate) struct PluginListArgs {
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin inspect`
#[derive(Debug, Args)]
pub(crate) struct PluginInspectArgs {
    /// Component, or a folder with one component
    #[arg(value_name = "FILE|DIR")]
    pub(crate) file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
