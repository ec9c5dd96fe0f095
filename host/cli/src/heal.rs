//! `prunella heal UNIT`: heals a service now, or rehearses it.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_api::{Client, ClientError, HealCall};
use prunella_core::{
    UnitName,
    capability::Units as _,
    incident::{DetectedBy, Ending, IncidentId},
};
use prunella_healer::{Opening, Scheduler};
use prunella_session::Recorder;

use crate::{
    args::HealArgs,
    assembly::{Assembly, load_config},
    detect::detection,
    exit::{Exit, Problem},
    loading::Wanted,
    output::{self, FAIR},
    paths::Paths,
    timeline::Timeline,
};

pub(crate) fn run(paths: &Paths, args: &HealArgs) -> anyhow::Result<Exit> {
    let unit = UnitName::from_user(&args.unit)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if !rustix::process::geteuid().is_root() {
        return Err(
            Problem::new(Exit::NoPermission, "only root may heal or rehearse")
                .help(format!("sudo prunella heal {unit}"))
                .into(),
        );
    }
    let timeline = Arc::new(Timeline::default());
    // The daemon has the service's lock, its timers and its budget at hand; a
    // rehearsal needs none of them. A recording is this process's own file.
    if !args.dry_run && args.record.is_none() {
        let call = HealCall {
            unit: unit.clone(),
            dry_run: false,
        };
        match Client::new(&paths.run).heal(call, |entry| timeline.show(&entry)) {
            Ok((id, ending)) => return Ok(conclude(&id, &ending, false)),
            Err(ClientError::NotListening(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    here(paths, &unit, args, timeline)
}

fn here(
    paths: &Paths,
    unit: &UnitName,
    args: &HealArgs,
    timeline: Arc<Timeline>,
) -> anyhow::Result<Exit> {
    let dry_run = args.dry_run;
    let config = load_config(paths)?;
    let assembly = Assembly::new(paths, config, &Wanted::All, timeline)?;
    let status = assembly
        .linux
        .units()
        .get(Instant::now() + Duration::from_secs(10), unit)
        .map_err(|failure| Problem::new(Exit::NotFound, failure.to_string()))?;
    let recorder = args.record.as_deref().map(recorder).transpose()?;
    if let Some(recorder) = &recorder {
        assembly.healer.record(Arc::clone(recorder));
    }
    let scheduler = if dry_run {
        Scheduler::rehearse(Arc::clone(&assembly.healer))?
    } else {
        Scheduler::start(Arc::clone(&assembly.healer))?
    };
    let opening = scheduler.open(detection(&status, DetectedBy::Operator, None))?;
    if opening == Opening::NotInCare {
        return Err(not_in_care(&status.name).into());
    }
    let (id, ending) = scheduler
        .wait_for(&status.name)
        .ok_or_else(|| Problem::new(Exit::Trouble, "the healing was broken off"))?;
    let exit = conclude(&id, &ending, dry_run);
    if let (Some(path), Some(recorder)) = (&args.record, recorder) {
        let path = path.display();
        match recorder.trouble() {
            None => anstream::println!(
                "The session: {path}\nTo play it: prunella plugin replay COMPONENT --session {path}"
            ),
            Some(error) => output::remark(
                "warning",
                FAIR,
                &format!("{path} has only the beginning of the session: {error}"),
            ),
        }
    }
    Ok(exit)
}

/// Begins a session in a new file.
fn recorder(path: &Path) -> anyhow::Result<Arc<Recorder>> {
    Recorder::create(path).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::AlreadyExists => Exit::Usage,
            _ => Exit::Trouble,
        };
        Problem::new(exit, format!("cannot record to {}", path.display()))
            .because(error)
            .help("name a file that is not there yet, in a folder that is")
            .into()
    })
}

/// For a unit that nobody enabled.
pub(crate) fn not_in_care(unit: &UnitName) -> Problem {
    Problem::new(Exit::NotFound, format!("{unit} is not in Prunella's care"))
        .help(format!("sudo prunella enable {unit}"))
}

fn conclude(id: &IncidentId, ending: &Ending, dry_run: bool) -> Exit {
    if dry_run {
        anstream::println!("\nNothing was carried out.");
    } else {
        anstream::println!("\nThe whole report: prunella incidents {id}");
    }
    Exit::of(ending)
}
