//! `cargo xtask fuzz`: whatever comes from outside, thrown at what reads it.
//!
//! The targets are in `fuzz/`, laid out for cargo-fuzz, which does the work. They
//! are built by the Rust that builds Prunella, without a sanitizer: those need a
//! nightly one, and find mistakes of unsafe code, of which Prunella itself has
//! next to none. A panic, a failed assertion, an overflow, a loop without end and
//! memory without bounds are found all the same. With a nightly Rust,
//! `cargo +nightly fuzz run TARGET` looks for the others too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::{
    setup,
    step::{take, workspace},
    tool::{Tool, target},
};

const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
};

/// One target, and what its inputs may be.
struct Target {
    name: &'static str,
    /// What it is compiled with, beside the default.
    features: &'static str,
    /// The longest input, in bytes: longer ones only take longer.
    longest: usize,
    /// The first inputs, to be changed from there.
    seeds: fn() -> Result<Vec<Vec<u8>>>,
}

const TARGETS: [Target; 3] = [
    Target {
        name: "config",
        features: "",
        longest: 16 << 10,
        seeds: configurations,
    },
    Target {
        name: "scenario",
        features: "",
        longest: 8 << 10,
        seeds: scenarios,
    },
    Target {
        name: "component",
        features: "engine",
        longest: 16 << 10,
        seeds: components,
    },
];

/// `cargo xtask fuzz`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) seconds: u32,

    /// Only these targets
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(&[setup::Need::Build])?;
    let wanted = |target: &&Target| {
        options.only.is_empty() || options.only.iter().any(|name| name == target.name)
    };
    for one in TARGETS.iter().filter(wanted) {
        let corpus = workspace().join("fuzz/corpus").join(one.name);
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        for (number, seed) in (one.seeds)()?.iter().enumerate() {
            let file = corpus.join(format!("seed-{number}"));
            fs::write(&file, seed).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let mut fuzz = CARGO_FUZZ.command()?;
        fuzz.args(["run", "--sanitizer", "none", "--target-dir"])
            .arg(target().join("fuzz"));
        if !one.features.is_empty() {
            fuzz.args(["--features", one.features]);
        }
        fuzz.arg(one.name).arg(&corpus).arg("--");
        fuzz.arg(format!("-max_total_time={}", options.seconds));
        fuzz.arg(format!("-max_len={}", one.longest));
        // Far beyond what any input should take.
        fuzz.args(["-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1"]);
        take(&mut fuzz).with_context(|| {
            format!(
                "the target `{}` found something, or does not build; an input that it found is in \
                 fuzz/artifacts/{}",
                one.name, one.name
            )
        })?;
    }
    Ok(())
}

/// Every piece of TOML in the documentation, and the file that `setup` writes,
/// with its settings commented out and without.
fn configurations() -> Result<Vec<Vec<u8>>> {
    let mut seeds = blocks(&workspace().join("docs/configuration.md"))?;
    let written = read(&workspace().join("host/cli/src/units/prunella.toml"))?;
    let in_force: Vec<&str> = written
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .collect();
    seeds.push(in_force.join("\n"));
    seeds.push(written);
    Ok(seeds
        .into_iter()
        .flat_map(|text| [format!("\n---\n{text}"), text])
        .map(String::into_bytes)
        .collect())
}

/// What the documentation of scenarios shows.
fn scenarios() -> Result<Vec<Vec<u8>>> {
    let shown: String = read(&workspace().join("host/simulation/src/scenario/mod.rs"))?
        .lines()
        .map(|line| {
            let line = line.strip_prefix("//!").unwrap_or("```");
            format!("{}\n", line.strip_prefix(' ').unwrap_or(line))
        })
        .collect();
    Ok(blocks_in(&shown)
        .into_iter()
        .map(String::into_bytes)
        .collect())
}

/// The blocks of TOML in a page.
fn blocks(page: &Path) -> Result<Vec<String>> {
    Ok(blocks_in(&read(page)?))
}

fn blocks_in(text: &str) -> Vec<String> {
    text.split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block.to_owned())
        .collect()
}

/// Small strategies, which trap at once: by themselves, looking, and acting.
fn components() -> Result<Vec<Vec<u8>>> {
    let wit = workspace().join("wit");
    let files = ["base", "observe", "act", "strategy"]
        .map(|name| wit.join(name).join(format!("{name}.wit")));
    let mut resolve = Resolve::default();
    let mut version = String::new();
    for file in &files {
        let package = resolve.push_str(file, &read(file)?)?;
        let name = &resolve.packages.get(package).context("no package")?.name;
        version = name.version.as_ref().context("no version")?.to_string();
    }
    let strategy = format!("export prunella:strategy/strategy@{version};");
    let worlds = [
        strategy.clone(),
        format!("import prunella:base/clock@{version}; {strategy}"),
        format!("import prunella:observe/ports@{version}; {strategy}"),
        format!("import prunella:act/unit-control@{version}; {strategy}"),
        "export run: func();".to_owned(),
    ];
    let mut seeds = Vec::new();
    for (number, world) in worlds.iter().enumerate() {
        let text = format!("package fuzz:seed{number};\nworld seed {{ {world} }}");
        let package = resolve.push_str(PathBuf::from("seed.wit"), &text)?;
        let world = resolve.select_world(&[package], Some("seed"))?;
        let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
        seeds.push(
            ComponentEncoder::default()
                .module(&module)
                .and_then(|encoder| encoder.encode())?,
        );
    }
    Ok(seeds)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
