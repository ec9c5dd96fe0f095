//! `cargo xtask bench engine`: what Prunella's own parts cost, beside the tools
//! that do the same, and how each cost grows.

mod daemon;
mod hook;
mod journal;
mod ports;
mod runtime;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use prunella_machine::{Linking, Profile, program};

use super::figures::Figure;

/// `cargo xtask bench engine`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the figures as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure only these groups
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,

    /// Leave out the largest size of everything that grows
    #[arg(long)]
    quick: bool,
}

/// Groups of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Compiling, loading and running a strategy; threads; each limit
    Runtime,
    /// The hook beside the programs that a shell handler starts
    Hook,
    /// Who holds a port, as processes and sockets grow
    Ports,
    /// A unit's last lines, as the journal grows
    Journal,
    /// The daemon's memory and processor time, as services grow
    Daemon,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    super::set_up()?;
    eprintln!("\n==> building prunella as it is shipped (linked statically)");
    let prunella = program("prunella", "prunella", Profile::Release, Linking::Static)?;
    let victim = program("prunella-machine", "victim", Profile::Dev, Linking::Static)?;
    let before = super::load()?;
    let mut figures: Vec<Figure> = Vec::new();
    for what in What::value_variants() {
        if !(options.only.is_empty() || options.only.contains(what)) {
            continue;
        }
        eprintln!(
            "\n==> measuring: {what:?} (load average {:.1})",
            super::load()?
        );
        figures.extend(match what {
            What::Runtime => runtime::measure()?,
            What::Hook => hook::measure(&prunella, &victim)?,
            What::Ports => ports::measure(options.quick)?,
            What::Journal => journal::measure(&prunella, &victim, options.quick)?,
            What::Daemon => daemon::measure(&prunella, &victim, options.quick)?,
        });
    }
    super::publish(&figures, before, options.json.as_deref())?;
    Ok(())
}

/// Sizes from small to large, without the largest when time is short.
fn sizes<T: Copy>(all: &[T], quick: bool) -> &[T] {
    match all.split_last() {
        Some((_, smaller)) if quick && !smaller.is_empty() => smaller,
        _ => all,
    }
}
