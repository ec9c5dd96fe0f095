//! Reads `[[call]]`.

use std::{collections::BTreeMap, net::IpAddr, ops::Range, time::Duration};

use prunella_core::{
    remedy::{Call, CallMethod, CallSecret, Remedy, SecretUse},
    secret::SecretSource,
    text::one_line,
};

use super::super::http_request::{is_header_name, is_url, statuses, timeout};
use crate::reader::{Reader, Section, Text};

/// How long an answer may take, unless it is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A strategy waits for it, and has two minutes.
const LONGEST: Duration = Duration::from_secs(60);

/// Bytes of a body: it is passed on as an argument.
const BODY: usize = 16 * 1024;

const KEYS: &[&str] = &[
    "name",
    "url",
    "method",
    "headers",
    "body",
    "expect-status",
    "timeout",
    "secret-file",
    "secret-credential",
    "sign",
];

/// Headers that a request has anyway.
const OWN_HEADERS: [&str; 7] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "user-agent",
    "accept-encoding",
    "x-prunella-signature",
];

/// Headers whose value is a secret.
const SECRET_HEADERS: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, KEYS);
    if !section.table.contains_key("url") {
        reader.error_help(
            at.clone(),
            "[[call]] has no url",
            "add a line such as `url = \"http://127.0.0.1:8080/-/reload\"`",
        );
    }
    let url = url(reader, section);
    let words = CallMethod::ALL.map(|method| (method.as_str(), method));
    let method = reader
        .one_of(section, "method", &words)
        .unwrap_or(CallMethod::Post);
    let body = body(reader, section, method);
    let headers = headers(reader, section);
    let expect_status = statuses(reader, section, "expect-status", 200..=599);
    let timeout = timeout(reader, section, TIMEOUT, LONGEST);
    let secret = secret(reader, section);
    let url = url?;
    if let Some(secret) = &secret
        && secret.used_as == SecretUse::Bearer
        && !keeps_a_secret(&url)
        && let Some(value) = section.table.get("url")
    {
        reader.error_help(
            value.span(),
            "the secret would go over the network as it is",
            "call an https:// URL or one of this host, or write `sign = \"hmac-sha256\"`, which \
             does not send the secret",
        );
        return None;
    }
    Some(Remedy::Call(Call {
        url,
        method,
        headers,
        body,
        expect_status,
        timeout,
        secret,
    }))
}

fn url(reader: &mut Reader<'_>, section: Section<'_>) -> Option<String> {
    let (text, span) = reader.text(section, "url", "http://127.0.0.1:8080/-/reload")?;
    if is_url(text) {
        return Some(text.to_owned());
    }
    let shown = one_line(text, 80);
    reader.error_help(
        span,
        format!("`{shown}` is not a URL that can be called"),
        "write http://host:port/path, or the same with https; a password has no place in it",
    );
    None
}

/// Whether nobody else hears what is said there.
fn keeps_a_secret(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return true;
    };
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

fn body(reader: &mut Reader<'_>, section: Section<'_>, method: CallMethod) -> Option<String> {
    let (text, span) = reader.text(section, "body", "{}")?;
    if method == CallMethod::Get {
        reader.error_help(
            span,
            "a GET has no `body`",
            "leave it out, or write `method = \"POST\"`",
        );
        return None;
    }
    if text.len() > BODY {
        reader.error(span, "`body` must not be longer than 16 KiB");
        return None;
    }
    Some(text.to_owned())
}

fn headers(reader: &mut Reader<'_>, section: Section<'_>) -> BTreeMap<String, String> {
    let example = "headers = { content-type = \"application/json\" }";
    let Some(table) = reader.section(section, "headers", example) else {
        return BTreeMap::new();
    };
    let mut headers = BTreeMap::new();
    for key in table.table.keys() {
        let name: &str = key.get_ref();
        let shown = one_line(name, 60);
        let lower = name.to_ascii_lowercase();
        if !is_header_name(name) {
            reader.error_help(
                key.span(),
                format!("`{shown}` is not the name of a header"),
                format!("for example: {example}"),
            );
        } else if SECRET_HEADERS.contains(&lower.as_str()) {
            reader.error_help(
                key.span(),
                format!("the header `{shown}` is a secret, and everybody can read this file"),
                "put a token into a file of mode 0600 and write `secret-file = \
                 \"/etc/prunella/secrets/NAME\"`: it is sent as `Authorization: Bearer`",
            );
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            reader.error_help(
                key.span(),
                format!("Prunella writes the header `{shown}` itself"),
                "leave it out",
            );
        } else if let Some((value, span)) = reader.text(table, name, "application/json") {
            if value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
                if headers.insert(lower, value.to_owned()).is_some() {
                    reader.error(
                        key.span(),
                        format!("the header `{shown}` stands here twice"),
                    );
                }
            } else {
                reader.error(
                    span,
                    format!("the header `{shown}` must be printable ASCII"),
                );
            }
        }
    }
    headers
}

fn secret(reader: &mut Reader<'_>, section: Section<'_>) -> Option<CallSecret> {
    let span_of = |key: &str| section.table.get_key_value(key).map(|(key, _)| key.span());
    let words = [("hmac-sha256", SecretUse::HmacSha256)];
    let sign = reader.one_of(section, "sign", &words);
    let file = reader.text(section, "secret-file", "/etc/prunella/secrets/NAME");
    let credential = reader.text(section, "secret-credential", "NAME");
    if let (Some(_), Some(span)) = (&file, credential.as_ref().and(span_of("secret-credential"))) {
        reader.error_help(
            span,
            "`secret-file` and `secret-credential` say the same thing twice",
            "keep one of them",
        );
        return None;
    }
    let source = match (file, credential) {
        (Some(text), _) => SecretSource::File(reader.path("secret-file", text)?),
        (None, Some(text)) => SecretSource::Credential(credential_name(reader, text)?),
        (None, None) => {
            if let Some(span) = span_of("sign") {
                reader.error_help(
                    span,
                    "`sign` has no meaning without a secret",
                    "add `secret-file = \"/etc/prunella/secrets/NAME\"`, a file of mode 0600, or \
                     `secret-credential = \"NAME\"`",
                );
            }
            return None;
        }
    };
    Some(CallSecret {
        source,
        used_as: sign.unwrap_or(SecretUse::Bearer),
    })
}

/// What systemd takes for the name of a credential.
fn credential_name(reader: &mut Reader<'_>, (name, span): Text<'_>) -> Option<String> {
    if crate::value::is_credential_name(name) {
        return Some(name.to_owned());
    }
    let shown = one_line(name, 60);
    reader.error_help(
        span,
        format!("`{shown}` is not the name of a credential"),
        "write the name that stands before the `:` in LoadCredential=",
    );
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::{load, service, shown};

    fn call(text: &str) -> Call {
        let text = format!("unit = \"web\"\n[[call]]\nname = \"a\"\n{text}\n");
        let loaded = load(&[("services.d/web.toml", &text)]);
        assert_eq!(shown(&loaded), "");
        let config = loaded.config.unwrap();
        match &config.services["web.service"].remedies["a"] {
            Remedy::Call(call) => call.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn calls_are_read() {
        let plain = call("url = \"http://127.0.0.1:8080/-/reload\"");
        assert_eq!(plain.method, CallMethod::Post);
        assert_eq!(plain.timeout, Duration::from_secs(10));
        assert!(plain.expects(204) && !plain.expects(302) && plain.secret.is_none());
        let all = call(
            "url = \"https://cache.example/purge\"\nmethod = \"PUT\"\nbody = \"{}\"\n\
             headers = { Content-Type = \"application/json\" }\nexpect-status = [202, 204]\n\
             timeout = \"3s\"\nsecret-credential = \"purge\"",
        );
        assert_eq!(all.expected(), "202 or 204");
        assert_eq!(all.headers["content-type"], "application/json");
        assert_eq!(
            all.secret.unwrap(),
            CallSecret {
                source: SecretSource::Credential("purge".to_owned()),
                used_as: SecretUse::Bearer,
            }
        );
        let signed =
            call("url = \"http://cache.example/\"\nsecret-file = \"/s\"\nsign = \"hmac-sha256\"");
        assert_eq!(signed.secret.unwrap().used_as, SecretUse::HmacSha256);
    }

    #[rstest]
    #[case("http://127.0.0.1:80/", true)]
    #[case("http://[::1]:80/", true)]
    #[case("http://localhost", true)]
    #[case("https://a.example", true)]
    #[case("http://a.example/127.0.0.1", false)]
    #[case("http://10.0.0.1:80", false)]
    fn who_hears_a_secret(#[case] url: &str, #[case] nobody: bool) {
        assert_eq!(keeps_a_secret(url), nobody);
    }

    #[rstest]
    #[case::none("", "[[call]] has no url\n --> services.d/web.toml:2:1")]
    #[case::no_url("url = \"ftp://a\"", "`ftp://a` is not a URL that can be called")]
    #[case::user("url = \"http://me:secret@a/\"", "is not a URL that can be called")]
    #[case::method(
        "url = \"http://a\"\nmethod = \"DELETE\"",
        "`method` cannot be `DELETE`\n --> services.d/web.toml:5:10"
    )]
    #[case::body(
        "url = \"http://a\"\nmethod = \"GET\"\nbody = \"x\"",
        "a GET has no `body`"
    )]
    #[case::inline_secret(
        "url = \"http://a\"\nheaders = { Authorization = \"x\" }",
        "the header `Authorization` is a secret, and everybody can read this file"
    )]
    #[case::own_header(
        "url = \"http://a\"\nheaders = { host = \"x\" }",
        "Prunella writes the header `host` itself"
    )]
    #[case::injected(
        "url = \"http://a\"\nheaders = { x = \"a\\r\\ny: b\" }",
        "the header `x` must be printable ASCII"
    )]
    #[case::status(
        "url = \"http://a\"\nexpect-status = 99",
        "must lie between 200 and 599"
    )]
    #[case::timeout("url = \"http://a\"\ntimeout = \"2m\"", "`timeout` must be at most 1m")]
    #[case::sign(
        "url = \"http://a\"\nsign = \"hmac-sha256\"",
        "`sign` has no meaning without a secret\n --> services.d/web.toml:5:1"
    )]
    #[case::twice(
        "url = \"http://a\"\nsecret-file = \"/s\"\nsecret-credential = \"s\"",
        "`secret-file` and `secret-credential` say the same thing twice"
    )]
    #[case::in_the_open(
        "url = \"http://a.example/\"\nsecret-file = \"/s\"",
        "the secret would go over the network as it is\n --> services.d/web.toml:4:7"
    )]
    fn mistakes(#[case] text: &str, #[case] says: &str) {
        let shown = service(&format!("unit = \"web\"\n[[call]]\nname = \"a\"\n{text}\n"));
        assert!(shown.contains(says), "{shown}");
    }
}
