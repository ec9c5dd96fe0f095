//! Makes room on a full file system by the cleanups that the operator declared, the mildest
//! first, and brings the service up when it is down. Behind `service-restart` in the order: a
//! start deletes nothing.

use prunella_sdk::{
    filesystems::{self, FileSystem},
    prelude::*,
};

/// The act that a plan is made for.
const RUN: &str = "cleanup.run";
/// The setting for how full a file system has to be, and what it is otherwise.
const PERCENT: (&str, u64) = ("percent", 95);
/// The setting for when there is room again.
const UNTIL: (&str, u64) = ("until-percent", 90);

struct DiskRelief;

impl Strategy for DiskRelief {
    fn describe() -> Description {
        description!(
            "Deletes what is declared as [[cleanup]], the mildest first and no more than is \
             needed, when the file system that it lies on is full, and starts the service when it \
             is down."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
        .setting(
            Setting::number(
                PERCENT.0,
                "From which percentage of its room or its inodes on a file system counts as full.",
            )
            .or("95"),
        )
        .setting(
            Setting::number(
                UNTIL.0,
                "Below which percentage nothing more is deleted; lower than `percent`.",
            )
            .or("90"),
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let cleanups = incident.remedies("cleanup");
        if cleanups.is_empty() {
            return Ok(Assessment::not_applicable("no [[cleanup]] is declared"));
        }
        let limits = Limits::set()?;
        let on_all: Vec<FileSystem> = filesystems::list()?
            .into_iter()
            .filter(|on| !on.read_only)
            .collect();
        let full: Vec<String> = on_all
            .iter()
            .filter(|on| limits.is_full(on))
            .map(how_full)
            .collect();
        if full.is_empty() {
            let fullest = on_all.iter().max_by_key(|on| percent(on));
            return Ok(Assessment::not_applicable(match fullest {
                Some(fullest) => format!("no file system is full: {}", how_full(fullest)),
                None => "no file system is known".to_owned(),
            }));
        }
        let full = full.join(", and ");
        let mut helpful = Vec::new();
        let mut nothing = Vec::new();
        for name in cleanups {
            if !limits.is_full(&filesystems::below(&name)?) {
                continue;
            }
            match remedies::plan_for(RUN, &name) {
                Ok(plan) if plan.eligible => helpful.push(match plan.amount {
                    Some(amount) => format!("{} ({amount})", plan.summary),
                    None => plan.summary,
                }),
                Ok(plan) => nothing.push(plan.summary),
                Err(failure) => nothing.push(failure.message().to_owned()),
            }
        }
        Ok(if !helpful.is_empty() {
            Assessment::applies(70, format!("{full}; it can {}", helpful.join(", ")))
        } else if nothing.is_empty() {
            Assessment::not_applicable(format!("{full}, and no declared cleanup lies there"))
        } else {
            Assessment::not_applicable(format!("{full}, and {}", nothing.join("; ")))
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let limits = Limits::set()?;
        let mut cleaned = Vec::new();
        let mut nothing = Vec::new();
        // Where a file system was full at first, it is cleaned until there is room.
        let mut full: Vec<String> = Vec::new();
        for name in incident.remedies("cleanup") {
            let on = filesystems::below(&name)?;
            if limits.is_full(&on) && !full.contains(&on.mount_point) {
                full.push(on.mount_point.clone());
            }
            if !full.contains(&on.mount_point) || percent(&on) < limits.until {
                continue;
            }
            match cleanup::run(&name) {
                Ok(receipt) if receipt.changed => cleaned.push(receipt.summary),
                Ok(receipt) => nothing.push(receipt.summary),
                // Somebody has to agree first, or did not.
                Err(failure) if failure.is_denied() && !failure.is("unsafe-path") => {
                    return Err(failure);
                }
                // The next may do what this one could not.
                Err(failure) => nothing.push(failure.message().to_owned()),
            }
        }
        if cleaned.is_empty() {
            return Ok(Outcome::not_applicable(if nothing.is_empty() {
                "there is room again".to_owned()
            } else {
                nothing.join("; ")
            }));
        }
        let mut done = cleaned.join("; ");
        let mut is_full = false;
        for on in filesystems::list()? {
            if full.contains(&on.mount_point) {
                done = format!("{done}; {}", how_full(&on));
                is_full |= limits.is_full(&on);
            }
        }
        if incident.kind() == IncidentKind::Degradation {
            return Ok(if is_full {
                Outcome::failed(format!("{done}, and that is not room enough"))
            } else {
                Outcome::healed(done)
            });
        }
        if units::get(&incident.unit())?.is_up() && recovery::silences(incident)?.is_empty() {
            return Ok(Outcome::healed(done));
        }
        Ok(recovery::bring_up(incident)?.after(&done))
    }
}

/// When a file system is full, and when it has room again, in percent.
struct Limits {
    percent: u64,
    until: u64,
}

impl Limits {
    fn set() -> Result<Self> {
        let percent = settings::number(PERCENT.0, PERCENT.1)?;
        let until = settings::number(UNTIL.0, UNTIL.1)?;
        if until >= percent || percent > 100 {
            return Err(Failure::invalid(
                "setting",
                format!(
                    "`{}` is {until}, and has to be lower than `{}`, which is {percent} and at most 100",
                    UNTIL.0, PERCENT.0
                ),
            ));
        }
        Ok(Self { percent, until })
    }

    fn is_full(&self, on: &FileSystem) -> bool {
        percent(on) >= self.percent && !on.read_only
    }
}

/// How much of it is used: of its room or its inodes, whichever is more.
fn percent(on: &FileSystem) -> u64 {
    inodes_percent(on).max(on.used_percent.into())
}

fn inodes_percent(on: &FileSystem) -> u64 {
    let used = on.inodes_total.saturating_sub(on.inodes_available);
    used.saturating_mul(100)
        .checked_div(on.inodes_total)
        .unwrap_or_default()
}

/// `/srv is 97 % full`.
fn how_full(on: &FileSystem) -> String {
    let inodes = inodes_percent(on);
    if inodes > on.used_percent.into() {
        return format!("{inodes} % of the inodes of {} are used", on.mount_point);
    }
    format!("{} is {} % full", on.mount_point, on.used_percent)
}

prunella_sdk::export!(DiskRelief);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::DiskRelief;

    const MIB: u64 = 1 << 20;

    /// A host whose disk is full, with a service that does not start without room.
    fn full() -> Host {
        Host::new("web.service")
            .failed("exit-code")
            .disk(1000 * MIB, 10 * MIB)
    }

    fn pictures() -> Remedy {
        Remedy::of("cleanup", "delete 3 files of `pictures`").amount(AmountOf::Bytes, 500 * MIB)
    }

    #[test]
    fn a_full_disk_is_cleaned_and_the_service_started() {
        let host = full()
            .remedy("pictures", pictures().leaves_available(500 * MIB))
            .starts_when("no space left", |host| host.was_applied("pictures"));
        let run = host.run::<DiskRelief>();
        assert_eq!(
            run.applied(),
            "/ is 99 % full; it can delete 3 files of `pictures` (500.0 MiB)"
        );
        assert_eq!(
            run.healed(),
            "delete 3 files of `pictures`; / is 50 % full; started web.service: active (running)"
        );
        assert_eq!(run.acts(), ["cleanup.run pictures", "start web.service"]);
    }

    #[test]
    fn no_more_is_deleted_than_is_needed() {
        let host = full()
            .remedy("downloads", pictures().leaves_available(40 * MIB))
            .remedy("old", pictures().leaves_available(200 * MIB))
            .remedy("pictures", pictures().leaves_available(900 * MIB));
        let run = host.run::<DiskRelief>();
        assert_eq!(
            run.acts(),
            [
                "cleanup.run downloads",
                "cleanup.run old",
                "start web.service"
            ]
        );
    }

    #[test]
    fn one_that_cannot_be_done_does_not_keep_the_next_from_being_done() {
        let host = full()
            .remedy("old", pictures().fails("it is busy"))
            .remedy("pictures", pictures().leaves_available(900 * MIB));
        let run = host.run::<DiskRelief>();
        assert_eq!(
            run.acts(),
            [
                "cleanup.run old",
                "cleanup.run pictures",
                "start web.service"
            ]
        );
    }

    #[test]
    fn nothing_is_deleted_while_there_is_room() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .disk(1000 * MIB, 60 * MIB)
            .remedy("pictures", pictures());
        let run = host.assess::<DiskRelief>();
        assert_eq!(
            run.was_not_applicable(),
            "no file system is full: / is 94 % full"
        );
        let lower = host.setting("percent", 94);
        assert_eq!(lower.assess::<DiskRelief>().confidence(), 70);
    }

    #[test]
    fn settings_that_contradict_each_other_delete_nothing() {
        let host = full()
            .remedy("pictures", pictures())
            .setting("until-percent", 95);
        let run = host.assess::<DiskRelief>();
        let failure = run.assessment().as_ref().unwrap_err().to_string();
        assert!(
            failure.contains("has to be lower than `percent`"),
            "{failure}"
        );
    }

    #[test]
    fn what_there_is_not_to_delete_is_said() {
        let host = full().remedy(
            "pictures",
            pictures().nothing("`pictures` has no files to delete"),
        );
        let run = host.assess::<DiskRelief>();
        assert_eq!(
            run.was_not_applicable(),
            "/ is 99 % full, and `pictures` has no files to delete"
        );
        let run = full().assess::<DiskRelief>();
        assert_eq!(run.was_not_applicable(), "no [[cleanup]] is declared");
    }

    #[test]
    fn without_the_grant_nothing_is_deleted() {
        let host = full()
            .remedy("pictures", pictures())
            .granting("unit-control.start");
        let run = host.run::<DiskRelief>();
        assert_eq!(run.acts(), Vec::<String>::new());
    }
}
