//! `prunella heal UNIT`: heals a service now, or shows what would be done.

use std::{fmt::Write as _, io, path::Path, sync::Arc};

use prunella_api::{ApiError, HealCall, Steps};
use prunella_core::{
    UnitName,
    incident::{Ending, IncidentId, LeftAlone},
};
use prunella_daemon::{DaemonError, heal};
use prunella_recording::Recorder;

use crate::{
    args::HealArgs,
    exit::{Exit, Problem},
    incidents,
    output::{self, FAIR},
    paths::Paths,
    pause,
    query::Prunella,
    time::{self, clock},
    timeline::Timeline,
};

pub(crate) fn run(paths: &Paths, args: &HealArgs) -> anyhow::Result<Exit> {
    let unit = UnitName::from_user(&args.unit)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if !rustix::process::geteuid().is_root() {
        return Err(
            Problem::new(Exit::NoPermission, "only root may heal a service")
                .help(output::with_sudo())
                .into(),
        );
    }
    let timeline = Arc::new(Timeline::default());
    let call = HealCall {
        unit,
        dry_run: args.dry_run,
        restart: args.restart,
    };
    // The daemon has the service's lock, its timers and its budget at hand; a
    // dry run needs none of them. A recording is this process's own file.
    if !call.dry_run && args.record.is_none() {
        let prunella = Prunella::new(paths);
        let (id, ending) = prunella.order(|orders| {
            let timeline = Arc::clone(&timeline);
            let steps = Steps::new(move |entry| {
                timeline.show(entry);
                true
            });
            orders.heal(&call, steps)
        })?;
        return conclude(paths, &call, &timeline, &id, &ending);
    }
    let recorder = args.record.as_deref().map(recorder).transpose()?;
    let followed = Arc::clone(&timeline);
    let (id, ending) =
        heal::here(paths, &call, recorder.as_ref(), followed).map_err(|error| match error {
            DaemonError::Config(_) => anyhow::Error::from(error),
            other => ApiError::from(other).into(),
        })?;
    let exit = conclude(paths, &call, &timeline, &id, &ending)?;
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

/// Says what came of it, and what to do where nothing did.
fn conclude(
    paths: &Paths,
    call: &HealCall,
    timeline: &Timeline,
    id: &IncidentId,
    ending: &Ending,
) -> anyhow::Result<Exit> {
    let mut text = String::from("\n");
    match ending {
        Ending::LeftAlone { why, .. } => {
            // Whoever asks again while it waits sees no step.
            if !timeline.has_shown_end()
                && let Some(why) = ending.why()
            {
                let _ = writeln!(text, "{} is left alone: {why}", call.unit);
            }
            text.push_str(&held_by(paths, &call.unit, *why));
        }
        Ending::Escalated { .. } if timeline.has_shown_end() => {
            text.push_str(&to_do(paths, id));
        }
        // The daemon goes on by itself, and nobody has to wait for it.
        Ending::Escalated { reason, retry_at } => {
            let _ = writeln!(text, "{} is not healed so far: {reason}.", call.unit);
            if let Some(at) = retry_at {
                let _ = writeln!(
                    text,
                    "The daemon tries again at {}, without this command.",
                    clock(*at, time::now())
                );
            }
        }
        Ending::Recovered { .. } if timeline.was_up() => {
            let _ = writeln!(
                text,
                "{unit} is healthy: nothing to do.\nTo restart it all the same: sudo prunella \
                 heal {unit} --restart",
                unit = call.unit
            );
        }
        _ => {}
    }
    if call.dry_run {
        text.push_str("Dry run: nothing was carried out.\n");
    } else {
        let _ = writeln!(text, "The full report: prunella incidents {id}");
    }
    output::print(&text)?;
    Ok(Exit::of(ending))
}

/// What people should do about an incident, with the commands that a person cannot guess: its
/// state, its log and its report are named elsewhere.
fn to_do(paths: &Paths, id: &IncidentId) -> String {
    let prunella = Prunella::new(paths);
    let Ok(record) = prunella.ask(|queries| queries.incident(id.as_str())) else {
        return String::new();
    };
    let Ok(report) = incidents::report(paths, &prunella, &record) else {
        return String::new();
    };
    let mut text = format!("To do: {}\n", report.to_do);
    let known = ["systemctl status ", "journalctl ", "prunella "];
    for next in &report.next {
        let command = next.command.strip_prefix("sudo ").unwrap_or(&next.command);
        let asks = command.starts_with("prunella approve ");
        if asks || !known.iter().any(|known| command.starts_with(known)) {
            let _ = writeln!(text, "  {}\n      {}", next.command, next.purpose);
        }
    }
    text
}

/// What keeps a service from being healed, and the command that ends it, where there is one.
fn held_by(paths: &Paths, unit: &UnitName, why: LeftAlone) -> String {
    match why {
        LeftAlone::Paused => pauses(paths, unit),
        LeftAlone::KillSwitch => {
            format!("To heal again: sudo rm {}\n", paths.kill_switch().display())
        }
        LeftAlone::Masked => format!("To unmask it: sudo systemctl unmask {unit}\n"),
        LeftAlone::StartLimit => format!(
            "Once the cause is gone, clear the start limit and start it:\n  sudo systemctl \
             reset-failed {unit}\n  sudo systemctl start {unit}\n"
        ),
        _ => String::new(),
    }
}

/// The pauses that cover a unit: who, until when, why, and what ends each.
fn pauses(paths: &Paths, unit: &UnitName) -> String {
    let Ok(status) = Prunella::new(paths).ask(|queries| queries.status()) else {
        return String::new();
    };
    let mut text = String::new();
    for pause in &status.pauses {
        if pause.unit.as_ref().is_some_and(|paused| paused != unit) {
            continue;
        }
        let _ = writeln!(
            text,
            "Paused: {}\nTo resume: {}",
            pause::in_words(pause, status.at),
            pause::resume_command(pause)
        );
    }
    text
}
