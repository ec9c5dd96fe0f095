//! MySQL and MariaDB: the greeting that the server speaks first.
//!
//! A client that hangs up after the greeting counts as a connection error, and
//! after `max_connect_errors` of those the server blocks the whole host. So the
//! probe answers the greeting with a login that will be refused, which does not
//! count, and waits for the refusal.

use std::time::Instant;

use super::{Heard, connect, error::ProbeError, wire::Talk};

/// A greeting is shorter.
const LONGEST: usize = 4096;
const PROTOCOL: &str = "MySQL's protocol";

// Capability flags of the protocol.
const CLIENT_PROTOCOL_41: u32 = 0x0200;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;
const CLIENT_PLUGIN_AUTH: u32 = 0x0008_0000;
/// utf8mb4_general_ci.
const CHARACTER_SET: u8 = 45;

pub(super) async fn ask(place: &str, until: Instant) -> Heard {
    let mut talk = connect(place, until).await?;
    let (number, greeting) = packet(&mut talk).await?;
    match greeting.split_first() {
        Some((10, rest)) => {
            let version = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            let said = format!("it greets as version {}", String::from_utf8_lossy(version));
            // The answer is known; this is only for manners.
            let _ = leave(&mut talk, number).await;
            Ok((true, said))
        }
        Some((0xff, rest)) => Ok(judge(rest)),
        _ => Err(ProbeError::OtherProtocol(PROTOCOL)),
    }
}

async fn packet(talk: &mut Talk) -> Result<(u8, Vec<u8>), ProbeError> {
    let header: [u8; 4] = talk
        .hear_exactly(4)
        .await?
        .try_into()
        .map_err(|_| ProbeError::OtherProtocol(PROTOCOL))?;
    let [low, middle, high, number] = header;
    let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    if length == 0 || length > LONGEST {
        return Err(ProbeError::OtherProtocol(PROTOCOL));
    }
    Ok((number, talk.hear_exactly(length).await?))
}

async fn send(talk: &mut Talk, number: u8, body: &[u8]) -> Result<(), ProbeError> {
    let length = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
    let [low, middle, high, _] = length;
    talk.say(&[&[low, middle, high, number], body].concat())
        .await
}

/// Logs in as somebody who does not exist, and hears the refusal.
async fn leave(talk: &mut Talk, number: u8) -> Result<(), ProbeError> {
    let flags = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;
    let mut body = flags.to_le_bytes().to_vec();
    body.extend(65_536_u32.to_le_bytes());
    body.push(CHARACTER_SET);
    body.extend([0; 23]);
    body.extend(b"prunella\0");
    // No password.
    body.push(0);
    body.extend(b"mysql_native_password\0");
    send(talk, number.wrapping_add(1), &body).await?;
    let (number, answer) = packet(talk).await?;
    match answer.first() {
        // Another way to prove who we are is asked for: nothing to show.
        Some(0xfe) => {
            send(talk, number.wrapping_add(1), &[0]).await?;
            packet(talk).await?;
            Ok(())
        }
        // Let in after all: COM_QUIT.
        Some(0) => send(talk, 0, &[1]).await,
        _ => Ok(()),
    }
}

/// What an error in place of a greeting says: number and text.
fn judge(error: &[u8]) -> (bool, String) {
    let (code, text) = match error.split_first_chunk::<2>() {
        Some((code, text)) => (u16::from_le_bytes(*code), text),
        None => (0, error),
    };
    // `#` and a SQLSTATE of five letters may stand before the text.
    let text = match text.split_first() {
        Some((b'#', rest)) => rest.get(5..).unwrap_or_default(),
        _ => text,
    };
    let text = String::from_utf8_lossy(text);
    // 1040: too many connections. 1129, 1130: this host is blocked, or not
    // allowed. 1203: this user has too many. The server works for others.
    let there = matches!(code, 1040 | 1129 | 1130 | 1203);
    (there, format!("it says: {text} ({code})"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::full(1040, "Too many connections", true)]
    #[case::blocked(1129, "Host is blocked", true)]
    #[case::shutting_down(1053, "#08S01Server shutdown in progress", false)]
    fn errors(#[case] code: u16, #[case] text: &str, #[case] answering: bool) {
        let bytes = [&code.to_le_bytes(), text.as_bytes()].concat();
        let (there, said) = judge(&bytes);
        assert_eq!(there, answering);
        assert!(!said.contains("08S01"), "{said}");
    }
}
