//! Scenarios: a simulated host, and what a strategy should do there, as TOML.
//!
//! ```toml
//! summary = "A leftover holds the port, and has to be killed"
//! unit = "web.service"
//! failure = "exit-code"             # systemd's word; `state = "active"` for one that is up
//! ports = ["tcp/80"]
//!
//! [settings]                        # as under [strategy.NAME.settings]
//! grace = "2s"
//!
//! [[process]]
//! executable = "/usr/bin/web"
//! holds = "tcp/80"
//! ownership = "leftover"              # own, leftover or foreign
//! ignores-term = true
//!
//! [[other]]                         # another unit
//! unit = "db.service"
//! needed = true
//! state = "failed"
//! comes-up-after = "5s"
//!
//! [[file]]
//! name = "cache"
//! role = "plain"
//! appears-after = "30s"
//!
//! [starts-when]                     # a start of the service fails until this holds
//! files = ["cache"]                 # there and as declared
//! units = ["db.service"]            # up
//!
//! [[check]]
//! name = "config"
//! exit-code = 1
//! output = "web.conf:3: no such word"
//!
//! [[probe]]
//! name = "answers"
//! kind = "http"
//! answers = false
//!
//! [[log]]
//! message = "bind: address already in use"
//!
//! [[allow]]                         # as under [[strategy.NAME.allow]]
//! act = "unit-control.start"
//!
//! [expect]
//! assessment = "applies"            # not-applicable, blocked-by, veto
//! outcome = "healed"                # not-applicable, failed, blocked-by
//! says = ["had to be killed"]       # parts of what it said
//! acts = ["terminate /usr/bin/web", "start web.service"]
//! log = []                          # parts of the lines that it logged
//! ```
//!
//! Without an `[[allow]]`, every act is granted on the service and on what it
//! needs. Nothing has to be expected; what is, is compared.

mod expect;
mod read;
mod things;
mod values;

pub use self::expect::{Expected, Happened};

use std::path::Path;

use prunella_config::{Diagnostic, Source, reader};

use crate::Sim;

/// A simulated host, and what a strategy should do there.
pub struct Scenario {
    /// What it is about.
    pub summary: Option<String>,
    /// The host. What happens there changes it: a second run needs another.
    pub host: Sim,
    /// What should come of it.
    pub expect: Expected,
}

/// Reads a scenario; `file` is what it is called in a mistake. Nothing but the
/// text is looked at.
///
/// # Errors
/// Every mistake, each with its place and what would be right.
pub fn parse(file: &Path, text: &str) -> Result<Scenario, Vec<Diagnostic>> {
    let source = Source {
        file: file.to_owned(),
        text: text.to_owned(),
    };
    match reader::parse(&source, read::scenario) {
        (Some(Some(scenario)), found) if !found.iter().any(Diagnostic::is_error) => Ok(scenario),
        (_, found) => Err(found),
    }
}
