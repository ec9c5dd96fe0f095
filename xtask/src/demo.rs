//! `cargo xtask demo`: watch services fail on a real systemd, and come back.
//!
//! A throw-away machine is booted with nginx, Redis and a small shop, and
//! Prunella is set up in it as an operator would. Then one thing after the
//! other is broken. Every scene says beforehand how it is to go; the demo ends
//! with success only if all of them did.

mod cast;
mod incident;
mod play;
mod scenes;
mod screen;
pub(crate) mod software;
mod summary;
mod timeline;

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use prunella_machine::{Machine, Profile, TIMEOUT, program};

use self::{
    play::{PRUNELLA, Play},
    scenes::SCENES,
    screen::{BAD, GOOD, QUIET, STRONG},
    software::Software,
    summary::Result as SceneResult,
};
use crate::setup;

/// `cargo xtask demo`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Show the release build. It takes longer to compile, and `cargo xtask
    /// test` needs the other one
    #[arg(long)]
    release: bool,

    /// Only the scenes with these numbers
    #[arg(long, value_name = "N", value_delimiter = ',')]
    scenes: Vec<usize>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the demo boots a throw-away machine, and that needs root: run this as root \
         (for example with `sudo -E`)"
    );
    ensure!(
        options
            .scenes
            .iter()
            .all(|n| (1..=SCENES.len()).contains(n)),
        "there are scenes 1 to {}",
        SCENES.len()
    );
    setup::run(true)?;
    let software = Software::get()?;
    // The one that the tests run, so that there is one thing to compile.
    let profile = if options.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let build = |package, name, profile| {
        eprintln!("\n==> building {name}, linked statically, to run in the machine");
        program(package, name, profile)
    };
    let victim = build("prunella-machine", "victim", Profile::Dev)?;
    let prunella = build("prunella", "prunella", profile)?;

    let begun = Instant::now();
    screen::heading("", "A throw-away machine");
    let machine = Machine::builder().bind_ro(prunella, PRUNELLA);
    let machine = software.show_in(cast::furnish(machine, &software, &victim));
    let machine = machine.boot()?;
    let results = perform(&machine, &software, options).inspect_err(|_| play::tail(&machine))?;
    summary::show(&machine, &results)?;

    let failed: Vec<&SceneResult> = results.iter().filter(|result| !result.as_told()).collect();
    let took = begun.elapsed().as_secs_f32();
    if failed.is_empty() {
        let healed = results.iter().filter(|result| result.healed()).count();
        anstream::println!(
            "\n{GOOD}    All went as told: {healed} healed, {} rightly left alone{GOOD:#} \
             {QUIET}(in {took:.0} s).{QUIET:#}\n",
            results.len() - healed
        );
        return Ok(());
    }
    for result in &failed {
        anstream::println!(
            "\n{BAD}    Scene {} did not go as told:{BAD:#} {STRONG}{}{STRONG:#}",
            result.number,
            result.scene.title
        );
        for what in &result.unmet {
            screen::indented(6, "- ", BAD, what);
        }
    }
    bail!(
        "{} of {} scenes did not go as told",
        failed.len(),
        results.len()
    )
}

/// Sets the machine up, and plays the scenes.
fn perform(machine: &Machine, software: &Software, options: &Options) -> Result<Vec<SceneResult>> {
    let version = machine.run_ok(&["systemctl", "--version"])?;
    screen::paragraph(&format!(
        "{} is up after {:.1} s: {} as its init, a network of its own, and this host's /usr, \
         read-only. Nothing in it can touch this host. Prunella is {}.",
        machine.name(),
        machine.boot_took().as_secs_f32(),
        version.split(" (").next().unwrap_or("systemd"),
        if options.release {
            "as it is shipped"
        } else {
            "a development build, as the tests use it; `--release` shows it as it is shipped"
        },
    ));
    let play = Play::begin(machine);
    let running = cast::settle_in(machine, software);
    running.context("the machine's services do not start")?;
    for command in [
        "prunella setup".to_owned(),
        format!("prunella enable {}", cast::ENABLED.join(" ")),
        "prunella config check".to_owned(),
        "systemctl reload prunella.service".to_owned(),
    ] {
        let done = play.types_and_shows(&command)?;
        ensure!(done.success(), "`{command}` ended with {:?}", done.code);
    }
    machine.wait_active("prunella.service", TIMEOUT)?;
    play.types_and_shows("prunella status")?;

    let mut results = Vec::new();
    for (number, scene) in (1..).zip(SCENES) {
        if !options.scenes.is_empty() && !options.scenes.contains(&number) {
            continue;
        }
        screen::heading(&number.to_string(), scene.title);
        screen::paragraph(scene.story);
        let mut play = Play::begin(machine);
        let came = match (scene.play)(&mut play) {
            Ok(came) => came,
            Err(error) => {
                play.fail(format!("{error:#}"));
                scenes::Came::default()
            }
        };
        let unmet = play.unmet().to_vec();
        if !unmet.is_empty() {
            play.tail();
        }
        results.push(SceneResult {
            number,
            scene,
            came,
            unmet,
        });
    }
    Ok(results)
}
