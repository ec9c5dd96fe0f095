//! Brings back the content of declared files that are missing, empty or broken, and starts the
//! service. Before `service-restart` in the order: a start does not mend a file.

use prunella_sdk::prelude::*;

struct ContentRestore;

impl Strategy for ContentRestore {
    fn describe() -> Description {
        description!(
            "Brings back the content of what is declared as [[file-restore]] when it is missing, \
             empty or fails its check and the service is down, and starts the service; the \
             former content comes back when that did not help."
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        if unit.is_up() {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}",
                unit.standing()
            )));
        }
        let (broken, others) = remedies::eligible(incident, "file-restore.run")?;
        Ok(if !broken.is_empty() {
            Assessment::applies(
                80,
                format!(
                    "{name} is down, and the content of {} can be brought back",
                    broken.join(", ")
                ),
            )
        } else if others.is_empty() {
            Assessment::not_applicable("no file is declared whose content could be brought back")
        } else {
            Assessment::not_applicable(format!(
                "no content is to be brought back: {}",
                others.join(", ")
            ))
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        recovery::bring_up_with(incident, "file-restore", file_restore::run)
    }
}

prunella_sdk::export!(ContentRestore);

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::ContentRestore;

    fn settings() -> Remedy {
        Remedy::of("file-restore", "bring back the content of `settings`").undoable()
    }

    #[test]
    fn content_that_is_gone_is_brought_back() {
        let host = Host::new("web.service")
            .failed("exit-code")
            .remedy("settings", settings())
            .starts_when("has no settings", |host| host.was_applied("settings"));
        let run = host.run::<ContentRestore>();
        assert_eq!(
            run.applied(),
            "web.service is down, and the content of `settings` can be brought back"
        );
        assert_eq!(
            run.healed(),
            "bring back the content of `settings`; started web.service: active (running)"
        );
        assert_eq!(
            run.acts(),
            ["file-restore.run settings", "start web.service"]
        );
    }

    #[test]
    fn a_file_as_it_should_be_is_left_alone() {
        let host = Host::new("web.service").failed("exit-code").remedy(
            "settings",
            settings().nothing("`settings` is what it should be"),
        );
        let run = host.assess::<ContentRestore>();
        assert_eq!(
            run.was_not_applicable(),
            "no content is to be brought back: `settings` is what it should be"
        );
    }

    #[test]
    fn a_service_that_is_up_keeps_its_files() {
        let host = Host::new("web.service").remedy("settings", settings());
        let run = host.assess::<ContentRestore>();
        assert_eq!(run.was_not_applicable(), "web.service is active (running)");
    }
}
