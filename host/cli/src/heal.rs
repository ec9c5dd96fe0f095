//! `prunella heal UNIT`: heals a service now, or shows what would be done.

use std::{io, path::Path, sync::Arc};

use prunella_api::{ApiError, HealCall, Steps};
use prunella_core::{
    UnitName,
    incident::{Ending, IncidentId},
};
use prunella_daemon::{DaemonError, heal};
use prunella_recording::Recorder;

use crate::{
    args::HealArgs,
    exit::{Exit, Problem},
    output::{self, FAIR},
    paths::Paths,
    query::Prunella,
    timeline::Timeline,
};

pub(crate) fn run(paths: &Paths, args: &HealArgs) -> anyhow::Result<Exit> {
    let unit = UnitName::from_user(&args.unit)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if !rustix::process::geteuid().is_root() {
        return Err(
            Problem::new(Exit::NoPermission, "only root may heal a service")
                .help(format!("sudo prunella heal {unit}"))
                .into(),
        );
    }
    let timeline = Arc::new(Timeline::default());
    let call = HealCall {
        unit,
        dry_run: args.dry_run,
    };
    // The daemon has the service's lock, its timers and its budget at hand; a
    // dry run needs none of them. A recording is this process's own file.
    if !call.dry_run && args.record.is_none() {
        let (id, ending) = Prunella::new(paths).order(|orders| {
            let timeline = Arc::clone(&timeline);
            let steps = Steps::new(move |entry| {
                timeline.show(entry);
                true
            });
            orders.heal(&call, steps)
        })?;
        return Ok(conclude(&id, &ending, false));
    }
    let recorder = args.record.as_deref().map(recorder).transpose()?;
    let (id, ending) =
        heal::here(paths, &call, recorder.as_ref(), timeline).map_err(|error| match error {
            DaemonError::Config(_) => anyhow::Error::from(error),
            other => ApiError::from(other).into(),
        })?;
    let exit = conclude(&id, &ending, call.dry_run);
    if let (Some(path), Some(recorder)) = (&args.record, recorder) {
        recorded(path, &recorder);
    }
    Ok(exit)
}

fn recorded(path: &Path, recorder: &Recorder) {
    let path = path.display();
    match recorder.trouble() {
        None => anstream::println!(
            "The recording: {path}\nTo replay it: prunella plugin replay COMPONENT --recording {path}"
        ),
        Some(error) => output::remark(
            "warning",
            FAIR,
            &format!("{path} has only the beginning of the recording: {error}"),
        ),
    }
}

/// Begins a recording in a new file.
fn recorder(path: &Path) -> anyhow::Result<Arc<Recorder>> {
    Recorder::create(path).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::AlreadyExists => Exit::Usage,
            _ => Exit::Trouble,
        };
        Problem::new(exit, format!("cannot record to {}", path.display()))
            .because(error)
            .help("name a new file in an existing folder")
            .into()
    })
}

fn conclude(id: &IncidentId, ending: &Ending, dry_run: bool) -> Exit {
    if dry_run {
        anstream::println!("\nDry run: nothing was carried out.");
    } else {
        anstream::println!("\nThe full report: prunella incidents {id}");
    }
    Exit::of(ending)
}
