//! Reads `[telemetry]`: where traces of incidents are sent, if anywhere.

use std::{path::PathBuf, time::Duration};

use prunella_core::secret::SecretSource;
use url::Url;

use super::{
    analysis::key,
    channels::check_url,
    reader::{Reader, Section},
};

/// Where traces go: `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Where a collector takes them, by OTLP over HTTP.
    pub url: Url,
    /// What it wants to see in `Authorization`, after `Bearer`.
    pub token: Option<SecretSource>,
    /// The authorities whose certificates are accepted, in PEM form; the system's when absent.
    pub ca_file: Option<PathBuf>,
    /// How long one try may take as a whole.
    pub timeout: Duration,
}

const KEYS: [&str; 6] = [
    "traces-url",
    "token-file",
    "token-credential",
    "ca-file",
    "timeout",
    "allow-http",
];

const EXAMPLE: &str = "http://127.0.0.1:4318/v1/traces";

/// Reads the section; `None` when there is none, or it has mistakes.
pub(super) fn read(reader: &mut Reader<'_>, top: Section<'_>) -> Option<Traces> {
    let section = reader.section(top, "telemetry", "[telemetry]")?;
    reader.only(section, &KEYS);
    let allow_http = reader.flag(section, "allow-http").unwrap_or(false);
    let token = key(reader, section, "token");
    let ca_file = reader
        .text(section, "ca-file", "/etc/ssl/our-ca.pem")
        .and_then(|text| reader.path("ca-file", text));
    let timeout = reader
        .duration(section, "timeout", Duration::from_secs(1))
        .unwrap_or(Duration::from_secs(10));
    if !section.table.contains_key("traces-url") {
        let at = top.table.get_key_value("telemetry");
        reader.error_help(
            at.map(|(key, _)| key.span()).unwrap_or_default(),
            "[telemetry] has no `traces-url`",
            format!("for example: traces-url = \"{EXAMPLE}\""),
        );
        return None;
    }
    let (text, span) = reader.text(section, "traces-url", EXAMPLE)?;
    let url = match check_url(text, allow_http) {
        Ok(url) => url,
        Err(error) => {
            reader.error_help(
                span,
                format!("`traces-url` cannot be used: {error}"),
                format!("for example: traces-url = \"{EXAMPLE}\""),
            );
            return None;
        }
    };
    Some(Traces {
        url,
        token: token?,
        ca_file,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::load_main;

    #[test]
    fn without_the_section_nothing_is_sent() {
        assert_eq!(load_main("").config.unwrap().traces, None);
    }

    #[test]
    fn all_there_is() {
        let text = "[telemetry]\ntraces-url = \"http://collector.example:4318/v1/traces\"\n\
                    allow-http = true\ntoken-credential = \"otel\"\nca-file = \"/etc/ca.pem\"\n\
                    timeout = \"3s\"\n";
        let traces = load_main(text).config.unwrap().traces.unwrap();
        assert_eq!(
            traces.url.as_str(),
            "http://collector.example:4318/v1/traces"
        );
        assert_eq!(
            traces.token,
            Some(SecretSource::Credential("otel".to_owned()))
        );
        assert_eq!(traces.ca_file, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(traces.timeout, Duration::from_secs(3));
    }

    #[rstest]
    #[case::nowhere("", "has no `traces-url`")]
    #[case::no_url("traces-url = \"collector\"", "it is not a URL")]
    #[case::readable_on_the_way("traces-url = \"http://c.example/v1/traces\"", "allow-http")]
    #[case::a_login("traces-url = \"https://a:b@c.example/\"", "user or password")]
    #[case::two_tokens(
        "traces-url = \"https://c.example/\"\ntoken-file = \"/a\"\ntoken-credential = \"b\"",
        "keep one of them"
    )]
    #[case::a_token_in_the_open("traces-url = \"https://c.example/\"\ntoken = \"x\"", "token")]
    fn mistakes(#[case] lines: &str, #[case] said: &str) {
        let loaded = load_main(&format!("[telemetry]\n{lines}\n"));
        assert!(loaded.config.is_none());
        let told: String = loaded.diagnostics.iter().map(ToString::to_string).collect();
        assert!(told.contains(said), "{told}");
    }
}
