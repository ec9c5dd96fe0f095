//! Slack's Block Kit, for an incoming webhook.
//!
//! Limits (Slack's reference of Block Kit): 150 characters in a header, 3000 in
//! a section, 10 fields of 2000 each in a section, 50 blocks. `&`, `<` and `>`
//! are all that Slack reads commands from (`<!channel>`, links); values are
//! `plain_text`, in which nothing else means anything either, and log text
//! stands in a fence.

use serde_json::{Value, json};

use super::{
    fit::{UTF16, fenced, fit_escaped, line, pieces},
    mark, story,
};
use crate::Message;

const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3000;
const FIELD_MAX: usize = 2000;
/// A fact takes two of a section's ten fields: its name and its value.
const FACTS_IN_SECTION: usize = 5;
/// Enough for the longest hand-over note, and far from 50 blocks in all.
const TEXT_SECTIONS: usize = 6;
const FACTS_MAX: usize = 50;

fn escape(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

fn escaped(text: &str, max: usize) -> String {
    fit_escaped(text, max, UTF16, escape)
}

pub(super) fn body(message: &Message) -> Value {
    let headline = format!("{} {}", mark(message), line(&message.headline));
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": escaped(&headline, HEADER_MAX), "emoji": true },
    })];
    let facts: Vec<&(String, String)> = message.facts.iter().take(FACTS_MAX).collect();
    for facts in facts.chunks(FACTS_IN_SECTION) {
        let fields: Vec<Value> = facts
            .iter()
            .flat_map(|(name, value)| [plain(&format!("{}:", line(name))), plain(&or_dash(value))])
            .collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let text = fenced(&message.text);
    let fence = "```\n\n```".len();
    for piece in pieces(&text, SECTION_MAX - fence, TEXT_SECTIONS, UTF16, escape) {
        blocks.push(json!({
            "type": "section",
            // Neither links nor names are made out of what stands there.
            "text": { "type": "mrkdwn", "text": format!("```\n{piece}\n```"), "verbatim": true },
        }));
    }
    if let Some(story) = story(message) {
        blocks.push(json!({
            "type": "context",
            "elements": [plain(&line(&story))],
        }));
    }
    json!({
        // What a notification shows.
        "text": escaped(&headline, SECTION_MAX),
        "blocks": blocks,
    })
}

/// A field must not be empty.
fn or_dash(value: &str) -> String {
    let value = line(value);
    if value.is_empty() {
        "–".to_owned()
    } else {
        value
    }
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": escaped(text, FIELD_MAX), "emoji": false })
}
