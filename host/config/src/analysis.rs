//! Reads `[analysis]`: the language model that is asked for its opinion, if any.

use std::{net::IpAddr, ops::Range, time::Duration};

use super::reader::{Reader, Section};
use prunella_core::{
    analyst::{ModelProtocol, ModelSettings},
    secret::SecretSource,
};

const KEYS: [&str; 14] = [
    "protocol",
    "url",
    "model",
    "key-file",
    "key-credential",
    "timeout",
    "wait",
    "max-tokens",
    "may-order",
    "addresses",
    "evidence",
    "per-hour",
    "unencrypted",
    "ca-file",
];

/// Reads the section; `None` when there is none, or it has mistakes.
pub(super) fn read(reader: &mut Reader<'_>, top: Section<'_>) -> Option<ModelSettings> {
    let section = reader.section(top, "analysis", "[analysis]")?;
    reader.only(section, &KEYS);
    let at = top
        .table
        .get_key_value("analysis")
        .map(|(key, _)| key.span())
        .unwrap_or_default();
    let protocol = reader
        .one_of(
            section,
            "protocol",
            &[
                ("openai", ModelProtocol::OpenAi),
                ("ollama", ModelProtocol::Ollama),
            ],
        )
        .unwrap_or(ModelProtocol::OpenAi);
    let unencrypted = reader.flag(section, "unencrypted").unwrap_or(false);
    let url = url(reader, section, &at, protocol, unencrypted);
    let model = model(reader, section, &at);
    let key = key(reader, section, "key");
    let ca_file = reader
        .text(section, "ca-file", "/etc/ssl/our-ca.pem")
        .and_then(|text| reader.path("ca-file", text));
    let second = Duration::from_secs(1);
    let timeout = reader
        .duration(section, "timeout", second)
        .unwrap_or(Duration::from_secs(10));
    let wait = reader
        .duration(section, "wait", Duration::ZERO)
        .unwrap_or_default();
    let longest = Duration::from_secs(120);
    if timeout > longest
        && let Some(value) = section.table.get("timeout")
    {
        reader.error_help(
            value.span(),
            "`timeout` must be at most 2m",
            "people hear of an escalation when the opinion is there, or the time is up",
        );
    }
    if wait > timeout
        && let Some(value) = section.table.get("wait")
    {
        reader.error_help(
            value.span(),
            "`wait` is longer than `timeout`: there would be nothing to wait for",
            "make `timeout` longer, or `wait` shorter",
        );
    }
    let may_order = reader.flag(section, "may-order").unwrap_or(false);
    if may_order && wait.is_zero() {
        let at = section
            .table
            .get("may-order")
            .map(toml::Spanned::span)
            .unwrap_or_default();
        reader.error_help(
            at,
            "`may-order` needs a `wait`: without one the strategies have acted before the model \
             answers",
            "for example: wait = \"3s\"",
        );
    }
    let max_tokens = reader
        .number(section, "max-tokens", 100_000)
        .unwrap_or(1_000);
    let per_hour = reader.number(section, "per-hour", 10_000).unwrap_or(20);
    let evidence = reader
        .size(section, "evidence")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(16 << 10);
    if !(1 << 10..=1 << 20).contains(&evidence)
        && let Some(value) = section.table.get("evidence")
    {
        reader.error(value.span(), "`evidence` must lie between 1KiB and 1MiB");
    }
    Some(ModelSettings {
        protocol,
        url: url?,
        model: model?,
        key: key?,
        ca_file,
        timeout,
        wait,
        max_tokens,
        may_order,
        addresses: reader.flag(section, "addresses").unwrap_or(false),
        evidence,
        per_hour,
    })
}

fn model(reader: &mut Reader<'_>, section: Section<'_>, at: &Range<usize>) -> Option<String> {
    if !section.table.contains_key("model") {
        reader.error_help(
            at.clone(),
            "[analysis] names no model",
            "for example: model = \"llama-3.3-70b-versatile\"",
        );
        return None;
    }
    let (text, span) = reader.text(section, "model", "llama-3.3-70b-versatile")?;
    let fits = !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic());
    if !fits {
        reader.error(
            span,
            "`model` must be a name of up to 200 printable characters",
        );
        return None;
    }
    Some(text.to_owned())
}

/// The address that questions go to.
fn url(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
    protocol: ModelProtocol,
    unencrypted: bool,
) -> Option<String> {
    let example = match protocol {
        ModelProtocol::OpenAi => "https://api.groq.com/openai/v1",
        ModelProtocol::Ollama => "http://127.0.0.1:11434",
    };
    if !section.table.contains_key("url") {
        reader.error_help(
            at.clone(),
            "[analysis] has no `url`",
            format!("for example: url = \"{example}\""),
        );
        return None;
    }
    let (text, span) = reader.text(section, "url", example)?;
    let shown = prunella_core::text::one_line(&prunella_core::text::redact(text), 120);
    let (rest, encrypted) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => {
            reader.error_help(
                span,
                format!("`url` must begin with https:// or http://, and `{shown}` does not"),
                format!("for example: url = \"{example}\""),
            );
            return None;
        }
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        reader.error_help(
            span,
            "`url` must hold no password: everybody may read this file",
            "put the key into a file of its own, and name that with `key-file`",
        );
        return None;
    }
    let host = host(authority);
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '"' | '\\');
    if host.is_empty() || text.contains(odd) {
        reader.error_help(
            span,
            format!("`{shown}` is not an address without question and fragment"),
            format!("for example: url = \"{example}\""),
        );
        return None;
    }
    if !encrypted && !unencrypted && !is_loopback(host) {
        reader.error_help(
            span,
            format!("log lines and the key would go to {host} unencrypted"),
            "write https://, or if that network is yours alone: unencrypted = true",
        );
        return None;
    }
    let end = match protocol {
        ModelProtocol::OpenAi => "/chat/completions",
        ModelProtocol::Ollama => "/api/chat",
    };
    let text = text.trim_end_matches('/');
    Some(if path.trim_end_matches('/').ends_with(end) {
        text.to_owned()
    } else {
        format!("{text}{end}")
    })
}

/// The host of `host:port`.
fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Where a secret is, as `WORD-file` or `WORD-credential`; `Some(None)` when none is needed, `None` after a mistake.
#[allow(
    clippy::option_option,
    reason = "absent and mistaken are two different things"
)]
pub(super) fn key(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    word: &str,
) -> Option<Option<SecretSource>> {
    let (in_file, in_credential) = (format!("{word}-file"), format!("{word}-credential"));
    let file = reader.text(section, &in_file, "/etc/prunella/secrets/NAME");
    let credential = reader.text(section, &in_credential, "NAME");
    match (file, credential) {
        (Some(_), Some((_, span))) => {
            reader.error_help(
                span,
                format!("there are both a `{in_file}` and a `{in_credential}`"),
                "keep one of them",
            );
            None
        }
        (Some(text), None) => reader
            .path(&in_file, text)
            .map(|path| Some(SecretSource::File(path))),
        (None, Some((name, span))) => {
            let plain = !name.is_empty()
                && name.len() <= 255
                && !name.starts_with('.')
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if plain {
                Some(Some(SecretSource::Credential(name.to_owned())))
            } else {
                reader.error_help(
                    span,
                    "this is not the name of a credential",
                    "it is the name before the `:` in LoadCredential=NAME:PATH",
                );
                None
            }
        }
        (None, None) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::load_main;

    #[test]
    fn without_the_section_there_is_no_model() {
        assert_eq!(load_main("").config.unwrap().analysis, None);
    }

    #[test]
    fn the_least_there_has_to_be() {
        let loaded =
            load_main("[analysis]\nurl = \"https://api.groq.com/openai/v1/\"\nmodel = \"llama\"\n");
        let model = loaded.config.unwrap().analysis.unwrap();
        assert_eq!(
            model,
            ModelSettings {
                protocol: ModelProtocol::OpenAi,
                url: "https://api.groq.com/openai/v1/chat/completions".to_owned(),
                model: "llama".to_owned(),
                key: None,
                ca_file: None,
                timeout: Duration::from_secs(10),
                wait: Duration::ZERO,
                max_tokens: 1_000,
                may_order: false,
                addresses: false,
                evidence: 16 << 10,
                per_hour: 20,
            }
        );
    }

    #[test]
    fn everything_set() {
        let loaded = load_main(
            r#"
            [analysis]
            protocol = "ollama"
            url = "http://gpu.lan:11434"
            unencrypted = true
            model = "qwen3:8b"
            key-credential = "ollama"
            ca-file = "/etc/ssl/our-ca.pem"
            timeout = "1m"
            wait = "3s"
            max-tokens = 500
            may-order = true
            addresses = true
            evidence = "4KiB"
            per-hour = 3
            "#,
        );
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let model = loaded.config.unwrap().analysis.unwrap();
        assert_eq!(model.protocol, ModelProtocol::Ollama);
        assert_eq!(model.url, "http://gpu.lan:11434/api/chat");
        assert_eq!(
            model.key,
            Some(SecretSource::Credential("ollama".to_owned()))
        );
        assert_eq!(model.wait, Duration::from_secs(3));
        assert!(model.may_order && model.addresses);
        assert_eq!((model.evidence, model.per_hour), (4096, 3));
    }

    #[rstest]
    #[case("http://127.0.0.1:11434", true)]
    #[case("http://localhost:8080/v1", true)]
    #[case("http://[::1]:8080/v1", true)]
    #[case("http://localhost.evil.org/v1", false)]
    #[case("http://127.0.0.1.evil.org", false)]
    #[case("http://10.0.0.5:8000/v1", false)]
    #[case("https://10.0.0.5:8000/v1", true)]
    fn nothing_leaves_the_host_unencrypted(#[case] url: &str, #[case] valid: bool) {
        let loaded = load_main(&format!("[analysis]\nmodel = \"m\"\nurl = \"{url}\"\n"));
        assert_eq!(loaded.config.is_some(), valid, "{:?}", loaded.diagnostics);
    }

    /// Each mistake with its place, and what would be right.
    #[rstest]
    #[case(
        "model = \"m\"",
        "1:2",
        "[analysis] has no `url`",
        "url = \"https://api.groq.com"
    )]
    #[case(
        "url = \"https://x/v1\"",
        "1:2",
        "[analysis] names no model",
        "model = \"llama"
    )]
    #[case(
        "model = \"m\"\nurl = \"api.groq.com\"",
        "3:7",
        "must begin with https://",
        "for example"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://me:hunter2secret@x/v1\"",
        "3:7",
        "must hold no password",
        "key-file"
    )]
    #[case(
        "model = \"m\"\nurl = \"http://10.0.0.5:8000/v1\"",
        "3:7",
        "would go to 10.0.0.5 unencrypted",
        "unencrypted = true"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x/v1?key=1\"",
        "3:7",
        "is not an address",
        "for example"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nprotocol = \"opnai\"",
        "4:12",
        "`protocol` cannot be `opnai`",
        "did you mean `openai`"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nkey = \"sk-1\"",
        "4:1",
        "unknown key `key`",
        "valid in [analysis]"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nkey-file = \"k\"",
        "4:12",
        "must be an absolute path",
        "begin it with `/`"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nkey-file = \"/k\"\nkey-credential = \"k\"",
        "5:18",
        "both a `key-file` and a `key-credential`",
        "keep one"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nkey-credential = \"../k\"",
        "4:18",
        "not the name of a credential",
        "LoadCredential"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nmay-order = true",
        "4:13",
        "`may-order` needs a `wait`",
        "wait = \"3s\""
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nwait = \"20s\"",
        "4:8",
        "`wait` is longer than `timeout`",
        "make `timeout` longer"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\ntimeout = \"1h\"",
        "4:11",
        "`timeout` must be at most 2m",
        "people hear"
    )]
    #[case(
        "model = \"m\"\nurl = \"https://x\"\nevidence = \"10B\"",
        "4:12",
        "between 1KiB and 1MiB",
        ""
    )]
    #[case(
        "model = \"\"\nurl = \"https://x\"",
        "2:9",
        "`model` must be a name",
        ""
    )]
    fn mistakes(
        #[case] text: &str,
        #[case] place: &str,
        #[case] message: &str,
        #[case] help: &str,
    ) {
        let loaded = load_main(&format!("[analysis]\n{text}\n"));
        assert!(loaded.config.is_none());
        let shown: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        let [shown] = shown.as_slice() else {
            panic!("one mistake, and not {shown:#?}")
        };
        assert!(
            shown.contains(&format!("prunella.toml:{place}")),
            "{place}: {shown}"
        );
        assert!(shown.contains(message), "{shown}");
        assert!(shown.contains(help), "{shown}");
    }
}
