//! Secrets, and the names of hosts and people, taken out of untrusted text.
//!
//! | file | one line |
//! |---|---|
//! | `rules.rs` | secrets that are known by their form: tokens, webhooks, commands |
//! | `rules/table.rs` | the rules, as data; most are gitleaks' |
//! | `keys.rs` | secrets that the key, header or URL around them announces |
//! | `cards.rs` | card numbers |
//! | `names.rs` | addresses, hosts and users, taken out and put back |
//!
//! *Must never know:* where a text comes from, or where it goes.

mod cards;
mod keys;
mod names;
mod rules;

use std::{borrow::Cow, ops::Range};

pub use self::names::Hider;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// `text` without what looks like a secret; each is replaced by [`REDACTED`].
///
/// | found | by | kept |
/// |---|---|---|
/// | `password=…`, `"api_key": "…"`, `--token …` | the key's name | the key |
/// | `Authorization: Bearer …`, `Cookie: …`, `Bearer …` | the header | header and scheme |
/// | `postgres://app:…@db/` | its place in a URL | user and host |
/// | `hooks.slack.com/services/…` and its like | the address | the host |
/// | `mysql -p…`, `curl -u user:…` and their like | the command | the command |
/// | `AKIA…`, `ghp_…`, `eyJ….….…` and their like | their form | nothing |
/// | numbers of payment cards | their first digits and their check digit | nothing |
/// | private keys in PEM form | `-----BEGIN … PRIVATE KEY-----` | nothing |
///
/// It errs on the side of silence, and still it is a net with holes: a secret
/// that nothing marks as one passes. So it is the second line of defence; the
/// first is that such text is shown to nobody who could not read it anyway.
///
/// Takes time linear in the length, whatever the text.
pub fn redact(text: &str) -> String {
    let mut secrets = rules::secrets(text);
    secrets.extend(cards::numbers(text));
    keys::redact(&without(text, secrets))
}

/// Makes ready what the first [`redact`] would wait for: most of a millisecond.
pub fn prepare() {
    rules::prepare();
}

/// `text` with [`REDACTED`] in place of these parts of it.
fn without(text: &str, mut parts: Vec<Range<usize>>) -> Cow<'_, str> {
    if parts.is_empty() {
        return Cow::Borrowed(text);
    }
    parts.sort_by_key(|part| (part.start, std::cmp::Reverse(part.end)));
    let mut shown = String::with_capacity(text.len());
    let mut copied = 0;
    for part in parts {
        if part.start < copied {
            // Within, or behind, one that is gone already.
            copied = copied.max(part.end);
            continue;
        }
        shown.push_str(text.get(copied..part.start).unwrap_or_default());
        shown.push_str(REDACTED);
        copied = part.end;
    }
    shown.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(shown)
}
