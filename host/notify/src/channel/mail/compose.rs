//! Writes the mail: the same for each try, and in one thread with everything
//! else about the same alert group.

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Message as Mail,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use prunella_core::{alert::Severity, hash::sha256};

use crate::{
    Message,
    channel::fit::{UTF16, fit, line, lines},
};

/// Longer subjects are cut by whoever shows them.
const SUBJECT_MAX: usize = 200;
/// In a Message-ID; a line of a mail's head should stay below 78.
const ID_MAX: usize = 48;

pub(super) fn compose(
    message: &Message,
    from: &Mailbox,
    to: &[Mailbox],
    reply_to: Option<&Mailbox>,
) -> Result<Vec<u8>, lettre::error::Error> {
    let domain = from.email.domain();
    let id = token(&message.id);
    // Nobody ever sends this one. Everything about the alert group answers it, so
    // that programs show one thread, whatever arrives first.
    let thread = format!("<alert-group.{}@{domain}>", token(&message.alert_group));
    let mut mail = Mail::builder()
        .from(from.clone())
        .subject(fit(&line(&message.headline), SUBJECT_MAX, UTF16))
        .date(UNIX_EPOCH + Duration::from_millis(message.at.as_millis()))
        .message_id(Some(format!("<{id}@{domain}>")))
        .in_reply_to(thread.clone())
        .references(thread)
        // RFC 3834: no out-of-office notes in return.
        .raw_header(raw("Auto-Submitted", "auto-generated"));
    for mailbox in to {
        mail = mail.to(mailbox.clone());
    }
    if let Some(reply_to) = reply_to {
        mail = mail.reply_to(reply_to.clone());
    }
    if message.severity == Severity::Critical && !message.resolved {
        mail = mail.raw_header(raw("Importance", "high"));
    }
    let text = lines(&message.text) + "\n";
    let mail = match &message.html {
        Some(html) => mail.multipart(
            MultiPart::alternative()
                .boundary(format!("prunella-{id}"))
                .singlepart(SinglePart::plain(text))
                .singlepart(SinglePart::html(html.clone())),
        ),
        None => mail.singlepart(SinglePart::plain(text)),
    }?;
    Ok(mail.formatted())
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// `name` if it can stand in a Message-ID, else its hash.
fn token(name: &str) -> String {
    let plain = !name.is_empty()
        && name.len() <= ID_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain {
        return name.to_owned();
    }
    let mut hash = sha256(name.as_bytes());
    hash.truncate(32);
    hash
}
