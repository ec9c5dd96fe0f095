//! A Discord webhook: one embed.
//!
//! Limits (Discord's reference of embeds): title 256, description 4096, 25
//! fields with names of 256 and values of 1024, footer 2048, and 6000 for all of
//! them together. Nobody is mentioned, whatever the text says.

use prunella_core::alert::Severity;
use serde_json::{Value, json};

use super::{
    fit::{UTF16, fenced, fit, fit_escaped, line},
    mark, rfc3339, story,
};
use crate::Message;

const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 4096;
const FIELDS_MAX: usize = 25;
const NAME_MAX: usize = 256;
const VALUE_MAX: usize = 1024;
const FOOTER_MAX: usize = 256;
const ALL_MAX: usize = 6000;
/// So much is left for the description, however long the facts are.
const DESCRIPTION_LEAST: usize = 1500;

const RED: u32 = 0x00D8_3933;
const ORANGE: u32 = 0x00E8_912D;
const BLUE: u32 = 0x0036_78C5;
const GREEN: u32 = 0x002E_A44F;

/// Everything that Discord's Markdown could mean something by.
fn escape(c: char, out: &mut String) {
    if r"\*_~`|<>#-[]()@:".contains(c) {
        out.push('\\');
    }
    out.push(c);
}

pub(super) fn body(message: &Message) -> Value {
    let size = |text: &str| text.chars().map(UTF16).sum::<usize>();
    let headline = format!("{} {}", mark(message), line(&message.headline));
    let title = fit_escaped(&headline, TITLE_MAX, UTF16, escape);
    let footer = story(message).map(|story| fit(&line(&story), FOOTER_MAX, UTF16));
    let mut left = ALL_MAX
        .saturating_sub(size(&title))
        .saturating_sub(footer.as_deref().map_or(0, size));
    let mut fields = Vec::new();
    for (name, value) in message.facts.iter().take(FIELDS_MAX) {
        let value = line(value);
        let value = if value.is_empty() { "–" } else { &value };
        let name = fit_escaped(&line(name), NAME_MAX, UTF16, escape);
        let value = fit_escaped(value, VALUE_MAX, UTF16, escape);
        let Some(rest) = left
            .checked_sub(size(&name) + size(&value))
            .filter(|rest| *rest >= DESCRIPTION_LEAST)
        else {
            break;
        };
        left = rest;
        fields.push(json!({ "name": name, "value": value, "inline": true }));
    }
    let fence = "```\n\n```".len();
    let text = fit(
        &fenced(&message.text),
        left.min(DESCRIPTION_MAX) - fence,
        UTF16,
    );
    let mut embed = json!({
        "title": title,
        "description": format!("```\n{text}\n```"),
        "color": match message.severity {
            _ if message.resolved => GREEN,
            Severity::Critical => RED,
            Severity::Warning => ORANGE,
            Severity::Info => BLUE,
        },
        "fields": fields,
        "timestamp": rfc3339(message.at),
    });
    if let (Some(footer), Some(embed)) = (footer, embed.as_object_mut()) {
        embed.insert("footer".to_owned(), json!({ "text": footer }));
    }
    json!({
        "embeds": [embed],
        "allowed_mentions": { "parse": [] },
    })
}
