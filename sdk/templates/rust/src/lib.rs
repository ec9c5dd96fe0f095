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
            return Ok(Assessment::not_mine(format!(
                "no file `{name}` is declared for {unit}"
            )));
        }
        if !files::stat(&name)?.exists() {
            return Ok(Assessment::must_not(format!(
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
