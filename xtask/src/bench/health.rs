//! `cargo xtask bench health`: what it costs to know how many services are, beside what
//! people use instead, and how soon it is known.

mod kept;
mod peers;
mod probing;
mod sampling;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use prunella_machine::{Linking, Profile, program};

use self::peers::Peers;
use super::figures::Figure;

/// `cargo xtask bench health`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the figures as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Put the figures into docs/performance.md, too, each group in its place
    #[arg(long)]
    write: bool,

    /// Measure only these groups
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,

    /// Measure this build of prunella, and not one that is built now
    #[arg(long, value_name = "FILE")]
    prunella: Option<PathBuf>,

    /// Measure another build of prunella, too, in the same machines: what sampling costs it
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,

    /// For how many seconds processor time is added up
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u64,
}

/// Groups of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Measuring 1,000 services every ten seconds, beside monit and Prometheus' exporter
    Sampling,
    /// 1,000 HTTP probes every ten seconds, with and without servers that hang, and how soon a
    /// slow answer is known
    Probing,
    /// What 13 months of a service take on the disk
    Kept,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    super::set_up()?;
    let wanted = |what| options.only.is_empty() || options.only.contains(&what);
    let peers = Peers::get(wanted(What::Sampling), wanted(What::Probing));
    let prunella = match &options.prunella {
        Some(build) => build.clone(),
        None => {
            eprintln!("\n==> building prunella as it is shipped (linked statically)");
            program("prunella", "prunella", Profile::Release, Linking::Static)?
        }
    };
    let victim = program("prunella-machine", "victim", Profile::Dev, Linking::Static)?;
    let before = super::load()?;
    let mut figures: Vec<Figure> = Vec::new();
    for &what in What::value_variants() {
        if !wanted(what) {
            continue;
        }
        eprintln!(
            "\n==> measuring: {what:?} (load average {:.1})",
            super::load()?
        );
        let group = match what {
            What::Sampling => {
                let beside = options.beside.as_deref();
                sampling::measure((&prunella, beside), &victim, &peers, options.seconds)?
            }
            What::Probing => probing::measure(&prunella, &victim, &peers, options.seconds)?,
            What::Kept => kept::measure()?,
        };
        if options.write {
            let name = what.to_possible_value();
            let name = name.as_ref().map_or("", |name| name.get_name());
            // Another build is nobody's peer but ours.
            let peers_alone = |one: &&Figure| !one.is_beside(sampling::OTHER_BUILD);
            let told: Vec<Figure> = group.iter().filter(peers_alone).cloned().collect();
            super::docs::write(name, &told, &super::host()?)?;
        }
        figures.extend(group);
    }
    super::publish(&figures, before, options.json.as_deref())?;
    peers.say_what_is_missing();
    let missed = figures.iter().filter(|f| f.met() == Some(false)).count();
    if missed > 0 {
        bail!("{missed} targets are not met");
    }
    Ok(())
}
