//! How services and the host are, as `prunella health --json` tells of them.

use prunella_machine::TIMEOUT;
use serde_json::Value;

use crate::Scene;

impl Scene {
    /// All that is known of a service's health, or of the host's (`--host`), with the changes
    /// of the last hour.
    #[track_caller]
    pub fn health(&self, of: &str) -> Value {
        let text = self.prunella_ok(&["health", of, "--since", "1h", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Waits until a service, or the host (`--host`), is in this state, such as `degraded`.
    /// Answers with all that is known of it then.
    #[track_caller]
    pub fn wait_state(&self, of: &str, state: &str) -> Value {
        let mut last = Value::Null;
        self.wait_for(&format!("{of} to be {state}"), 2 * TIMEOUT, || {
            last = self.health(of);
            let now = last.pointer("/service/state").and_then(Value::as_str);
            Ok((now == Some(state)).then(|| last.clone()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#}"))
    }
}
