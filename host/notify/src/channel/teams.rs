//! Microsoft Teams: an Adaptive Card for a webhook of Workflows.
//!
//! A message may have 28 KB. Text stands in `TextRun`s, the one element in which
//! Markdown means nothing; each line of the report is a block of its own, since
//! a run has no line breaks.

use prunella_core::alert::Severity;
use serde_json::{Value, json};

use super::{
    fit::{UTF16, fit, line, lines},
    mark, story,
};
use crate::Message;

/// Below 28 KB, which Microsoft calls approximate.
const MAX: usize = 26 * 1024;
const HEADLINE_MAX: usize = 500;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 500;
const FACTS_MAX: usize = 25;
/// A line of a report has 80 columns; a log line may have more.
const LINE_MAX: usize = 400;

pub(super) fn body(message: &Message) -> Value {
    let headline = format!("{} {}", mark(message), line(&message.headline));
    let mut blocks = vec![block(
        json!({
            "type": "TextRun",
            "text": fit(&headline, HEADLINE_MAX, UTF16),
            "size": "Large",
            "weight": "Bolder",
            "color": match message.severity {
                _ if message.resolved => "Good",
                Severity::Critical => "Attention",
                Severity::Warning => "Warning",
                Severity::Info => "Default",
            },
        }),
        "Default",
    )];
    let length = |block: &Value| block.to_string().len() + 1;
    let mut size = card(blocks.clone()).to_string().len();
    for (name, value) in message.facts.iter().take(FACTS_MAX) {
        let next = json!({
            "type": "RichTextBlock",
            "spacing": "None",
            "inlines": [
                {
                    "type": "TextRun",
                    "text": format!("{}: ", fit(&line(name), NAME_MAX, UTF16)),
                    "weight": "Bolder",
                },
                { "type": "TextRun", "text": fit(&line(value), VALUE_MAX, UTF16) },
            ],
        });
        size += length(&next);
        // The report must have room too.
        if size > MAX / 2 {
            break;
        }
        blocks.push(next);
    }
    let end = story(message).map(|story| {
        let text = fit(&line(&story), VALUE_MAX, UTF16);
        block(
            json!({ "type": "TextRun", "text": text, "isSubtle": true }),
            "Medium",
        )
    });
    size += end.as_ref().map_or(0, length);
    let mut spacing = "Medium";
    for text in lines(&message.text).lines() {
        if text.is_empty() {
            spacing = "Small";
            continue;
        }
        let next = block(report_line(text), spacing);
        size += length(&next);
        // Room for one more, which says that something is missing.
        if size > MAX - 200 {
            blocks.push(block(report_line("…"), "None"));
            break;
        }
        blocks.push(next);
        spacing = "None";
    }
    blocks.extend(end);
    card(blocks)
}

fn card(blocks: Vec<Value>) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
                "msteams": { "width": "Full" },
            },
        }],
    })
}

fn block(run: Value, spacing: &str) -> Value {
    json!({ "type": "RichTextBlock", "spacing": spacing, "inlines": [run] })
}

fn report_line(text: &str) -> Value {
    let indent = text.len() - text.trim_start_matches(' ').len();
    // Leading spaces would be dropped.
    let text = format!(
        "{}{}",
        "\u{a0}".repeat(indent),
        text.trim_start_matches(' ')
    );
    json!({
        "type": "TextRun",
        "text": fit(&text, LINE_MAX, UTF16),
        "fontType": "Monospace",
        "size": "Small",
    })
}
