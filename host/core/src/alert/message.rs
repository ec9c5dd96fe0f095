//! What a channel is given to send: complete, and free of any channel's format.

use serde::{Deserialize, Serialize};

use super::{kind::AlertKind, severity::Severity};
use crate::{Timestamp, UnitName, incident::IncidentId};

/// One message. Each try to send it sends the same, so that the far side can
/// tell a second try from a second message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name, the same at each try: the Message-ID of a mail, the id of a
    /// webhook. Letters, digits and `-`.
    pub id: String,
    /// What it tells.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// When what it tells happened.
    pub at: Timestamp,
    /// The host's name.
    pub host: String,
    /// The services it is about, the cause first.
    pub units: Vec<UnitName>,
    pub incidents: Vec<IncidentId>,
    /// The same for everything that is told about one alert group, from the first
    /// alert until all is well: a pager opens and closes by it.
    pub alert_group: String,
    /// Whether the alert group is over with this.
    pub resolved: bool,
    /// One line: the subject of a mail.
    pub headline: String,
    /// Name and value, in the order in which they should be shown: service,
    /// domain, port, host, time.
    pub facts: Vec<(String, String)>,
    /// The whole of it as text, 80 columns.
    pub text: String,
    /// The whole of it as HTML, for mail.
    pub html: Option<String>,
}
