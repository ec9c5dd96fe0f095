//! Reads what an `http` probe asks, and what its answer has to be.

use std::collections::BTreeMap;

use prunella_core::{service::HttpQuestion, text::one_line};

use super::super::http_request::{is_header_name, is_url, statuses};
use crate::{
    reader::{Reader, Section, Text},
    value,
};

/// Characters of what is expected: more than this is no sign of anything.
const EXPECTED: usize = 1024;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    (text, span): Text<'_>,
) -> Option<HttpQuestion> {
    let status = statuses(reader, section, "status", 100..=599);
    let body = reader
        .text(section, "body", "ready")
        .and_then(|text| expected(reader, "body", text));
    let headers = read_headers(reader, section);
    let server_name = server_name(reader, section);
    if server_name.is_some()
        && !text.starts_with("https://")
        && let Some((key, _)) = section.table.get_key_value("server-name")
    {
        reader.error_help(
            key.span(),
            "`server-name` is for https",
            "leave it out, or ask an https:// URL",
        );
    }
    if !is_url(text) {
        let shown = one_line(text, 80);
        reader.error_help(
            span,
            format!("`{shown}` is not a URL that a probe can ask"),
            "write http://host:port/path, or the same with https",
        );
        return None;
    }
    Some(HttpQuestion {
        url: text.to_owned(),
        status,
        body,
        headers,
        server_name,
    })
}

fn read_headers(reader: &mut Reader<'_>, section: Section<'_>) -> BTreeMap<String, String> {
    let example = "header = { content-type = \"application/json*\" }";
    let Some(table) = reader.section(section, "header", example) else {
        return BTreeMap::new();
    };
    let mut headers = BTreeMap::new();
    for key in table.table.keys() {
        let name: &str = key.get_ref();
        if !is_header_name(name) {
            let shown = one_line(name, 60);
            reader.error_help(
                key.span(),
                format!("`{shown}` is not the name of a header"),
                format!("for example: {example}"),
            );
            continue;
        }
        if let Some(text) = reader.text(table, name, "application/json*")
            && let Some(wanted) = expected(reader, name, text)
            && headers.insert(name.to_ascii_lowercase(), wanted).is_some()
        {
            reader.error(key.span(), format!("the header `{name}` stands here twice"));
        }
    }
    headers
}

/// A text that an answer has to have.
fn expected(reader: &mut Reader<'_>, key: &str, (text, span): Text<'_>) -> Option<String> {
    let wrong = if text.is_empty() {
        "must not be empty"
    } else if text.len() > EXPECTED {
        "must not be longer than 1 KiB"
    } else {
        return Some(text.to_owned());
    };
    let key = one_line(key, 60);
    reader.error(span, format!("`{key}` {wrong}"));
    None
}

/// `server-name`: the name that is asked for.
pub(super) fn server_name(reader: &mut Reader<'_>, section: Section<'_>) -> Option<String> {
    let (text, span) = reader.text(section, "server-name", "shop.example")?;
    if value::is_domain_name(text) && !text.ends_with('.') {
        return Some(text.to_owned());
    }
    let shown = one_line(text, 80);
    reader.error_help(
        span,
        format!("`{shown}` is not the name of a server"),
        "write a name without a port, such as `server-name = \"shop.example\"`",
    );
    None
}
