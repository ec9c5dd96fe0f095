//! Starts a service again when its cache is there, and holds everybody back
//! until it is: a start without it would only fail again.

use prunella_sdk::prelude::*;

struct {{TypeName}};

impl Strategy for {{TypeName}} {
    fn describe() -> Description {
        description!("Starts a service again when its cache is there, and holds everybody back until it is.")
            .setting(Setting::text("file", "The declared file that has to be there.").or("cache"))
            .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = incident.unit();
        let name = file();
        if !incident.files().contains(&name) {
            return Ok(Assessment::not_applicable(format!(
                "no file `{name}` is declared for {unit}"
            )));
        }
        if !files::stat(&name)?.exists() {
            return Ok(Assessment::veto(format!(
                "`{name}` is not there, and {unit} would only fail again without it"
            )));
        }
        Ok(Assessment::applies(
            60,
            format!("`{name}` is there, and {unit} has failed ({})", incident.cause()),
        ))
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        info!("`{}` is there: bringing {} up", file(), incident.unit());
        recovery::bring_up(incident)
    }
}

/// The operator's name for the cache.
fn file() -> String {
    settings::text("file").unwrap_or_else(|| "cache".to_owned())
}

prunella_sdk::export!({{TypeName}});

#[cfg(test)]
mod tests {
    use prunella_sdk::testing::*;

    use super::*;

    fn web() -> Host {
        Host::new("web.service").failed("exit-code")
    }

    #[test]
    fn with_its_cache_it_is_started() {
        let run = web().file("cache", File::directory()).run::<{{TypeName}}>();
        assert_eq!(
            run.applied(),
            "`cache` is there, and web.service has failed (exit-code)"
        );
        assert_eq!(run.acts(), ["start web.service"]);
        assert_eq!(run.healed(), "started web.service: active (running)");
    }

    #[test]
    fn without_its_cache_nobody_acts() {
        let run = web()
            .file("cache", File::directory().missing())
            .assess::<{{TypeName}}>();
        assert_eq!(
            run.vetoed(),
            "`cache` is not there, and web.service would only fail again without it"
        );
    }

    #[test]
    fn a_service_without_a_cache_is_not_its_business() {
        let run = web().assess::<{{TypeName}}>();
        assert_eq!(run.was_not_applicable(), "no file `cache` is declared for web.service");
    }

    #[test]
    fn the_cache_is_called_what_the_operator_calls_it() {
        let run = web()
            .setting("file", "index")
            .file("index", File::directory())
            .assess::<{{TypeName}}>();
        assert_eq!(
            run.applied(),
            "`index` is there, and web.service has failed (exit-code)"
        );
    }
}
