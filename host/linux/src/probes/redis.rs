//! Redis: PING.

use std::time::Instant;

use super::{Heard, connect, error::ProbeError};

/// Longer than any answer to PING.
const LONGEST: usize = 1024;

pub(super) async fn ask(place: &str, until: Instant) -> Heard {
    let mut talk = connect(place, until).await?;
    talk.say(b"*1\r\n$4\r\nPING\r\n").await?;
    let line = talk.hear_line(LONGEST, "Redis").await?;
    let line = String::from_utf8_lossy(&line).into_owned();
    if let Some(word) = line.strip_prefix('+') {
        return Ok((word == "PONG", format!("it answered {word}")));
    }
    let Some(error) = line.strip_prefix('-') else {
        return Err(ProbeError::OtherProtocol("Redis"));
    };
    let code = error.split(' ').next().unwrap_or_default();
    // It is there, and turns us away: because it does not know us, because it
    // takes only local clients, or because it is full.
    let there = matches!(code, "NOAUTH" | "NOPERM" | "DENIED")
        || error.starts_with("ERR max number of clients");
    Ok((there, format!("it answered {error}")))
}
