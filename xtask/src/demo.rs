//! `cargo xtask demo`: watch services fail on a real systemd, and come back.
//!
//! It boots a throw-away machine with nginx, Redis and a small shop, and sets up Prunella
//! in it as an operator would. Then it breaks one thing after the other. Every scene says
//! beforehand what should happen; the demo succeeds only if it did.

mod incident;
mod scenes;
mod screen;
mod services;
pub(crate) mod software;
mod stage;
mod summary;
mod timeline;

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use prunella_machine::{Linking, Machine, Profile, TIMEOUT, program};

use self::{
    scenes::SCENES,
    screen::{BAD, GOOD, QUIET, STRONG},
    software::Software,
    stage::{PRUNELLA, Stage},
    summary::Result as SceneResult,
};
use crate::setup::{self, Need};

const NEEDS: [Need; 2] = [Need::Build, Need::Machines];

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
    announce(options);
    setup::run(&NEEDS)?;
    let software = Software::get()?;
    // The one that the tests run, so that there is one thing to compile.
    let profile = if options.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let build = |package, name, profile| {
        eprintln!("\n==> building {name}");
        program(package, name, profile, Linking::Dynamic)
    };
    let victim = build("prunella-machine", "victim", Profile::Dev)?;
    let prunella = build("prunella", "prunella", profile)?;

    let begun = Instant::now();
    screen::heading("", "A throw-away machine");
    let machine = Machine::builder().bind_ro(prunella, PRUNELLA);
    let machine = software.show_in(services::furnish(machine, &software, &victim));
    let machine = machine.boot()?;
    let results = perform(&machine, &software, options).inspect_err(|_| stage::tail(&machine))?;
    summary::show(&machine, &results)?;

    let failed: Vec<&SceneResult> = results
        .iter()
        .filter(|result| !result.as_expected())
        .collect();
    let took = begun.elapsed().as_secs_f32();
    if failed.is_empty() {
        let healed = results.iter().filter(|result| result.healed()).count();
        anstream::println!(
            "\n{GOOD}    All scenes ended as expected: {healed} healed, {} rightly left alone{GOOD:#} \
             {QUIET}(in {took:.0} s).{QUIET:#}\n",
            results.len() - healed
        );
        return Ok(());
    }
    for result in &failed {
        anstream::println!(
            "\n{BAD}    Scene {} did not end as expected:{BAD:#} {STRONG}{}{STRONG:#}",
            result.number,
            result.scene.title
        );
        for what in &result.unmet {
            screen::indented(6, "- ", BAD, what);
        }
    }
    bail!(
        "{} of {} scenes did not end as expected",
        failed.len(),
        results.len()
    )
}

/// Says what comes, before the first minute of it.
fn announce(options: &Options) {
    let scenes = match options.scenes.len() {
        0 => SCENES.len(),
        chosen => chosen,
    };
    let packages = setup::missing(&NEEDS);
    let installs = if packages.is_empty() {
        String::new()
    } else {
        format!("install Debian's {}; ", packages.join(", "))
    };
    screen::paragraph(&format!(
        "This will {installs}compile Prunella (about 10 minutes on two cores when nothing is compiled \
         yet, else seconds); get nginx and redis-server from Debian, where this host does not have \
         them, into `target` alone; boot a machine; and play {scenes} scenes, which takes about {} s.",
        10 + 3 * scenes
    ));
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
    let stage = Stage::begin(machine);
    let running = services::settle_in(machine, software);
    running.context("the machine's services do not start")?;
    for command in [
        "prunella setup".to_owned(),
        format!("prunella enable {}", services::ENABLED.join(" ")),
        "prunella config check".to_owned(),
        "systemctl reload prunella.service".to_owned(),
    ] {
        let done = stage.types_and_shows(&command)?;
        ensure!(done.success(), "`{command}` ended with {:?}", done.code);
    }
    machine.wait_active("prunella.service", TIMEOUT)?;
    stage.types_and_shows("prunella status")?;

    let mut results = Vec::new();
    for (number, scene) in (1..).zip(SCENES) {
        if !options.scenes.is_empty() && !options.scenes.contains(&number) {
            continue;
        }
        screen::heading(&number.to_string(), scene.title);
        screen::paragraph(scene.story);
        let mut stage = Stage::begin(machine);
        let ending = match (scene.play)(&mut stage) {
            Ok(ending) => ending,
            Err(error) => {
                stage.fail(format!("{error:#}"));
                scenes::Ending::default()
            }
        };
        let unmet = stage.unmet().to_vec();
        if !unmet.is_empty() {
            stage.tail();
        }
        results.push(SceneResult {
            number,
            scene,
            ending,
            unmet,
        });
    }
    Ok(results)
}
