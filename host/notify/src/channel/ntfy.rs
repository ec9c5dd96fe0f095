//! ntfy's publishing as JSON.
//!
//! A message may have 4096 bytes; a longer one would become an attached file.
//! Nothing in it is read as Markdown, since nobody asks for that.

use prunella_core::alert::Severity;
use serde_json::{Value, json};

use super::fit::{BYTES, fit, line, lines};
use crate::Message;

const TITLE_MAX: usize = 250;
const MESSAGE_MAX: usize = 4096;

pub(super) fn body(message: &Message, topic: &str) -> Value {
    let (tag, priority) = match message.severity {
        _ if message.resolved => ("white_check_mark", 3),
        Severity::Critical => ("rotating_light", 5),
        Severity::Warning => ("warning", 4),
        Severity::Info => ("information_source", 3),
    };
    let mut tags = vec![tag.to_owned(), message.host.clone()];
    tags.extend(message.units.first().map(ToString::to_string));
    json!({
        "topic": topic,
        "title": fit(&line(&message.headline), TITLE_MAX, BYTES),
        "message": fit(&lines(&message.text), MESSAGE_MAX, BYTES),
        "tags": tags,
        "priority": priority,
    })
}
