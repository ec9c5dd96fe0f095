//! Channels are read from whole files, and every message is compared as it is
//! shown.

use std::path::PathBuf;

use rstest::rstest;

use super::*;
use crate::tests::load_main;
use prunella_core::secret::SecretSource;

fn shown(text: &str) -> String {
    let shown: Vec<String> = load_main(text)
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    shown.join("\n\n")
}

fn channel(text: &str) -> ChannelSettings {
    let loaded = load_main(text);
    let shown: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    let mut channels = loaded.config.unwrap().channels;
    assert_eq!(channels.len(), 1);
    channels.pop_first().unwrap().1
}

fn file(path: &str) -> SecretSource {
    SecretSource::File(PathBuf::from(path))
}

#[test]
fn mail_with_everything() {
    let found = channel(
        r#"
[channel.ops-mail]
kind = "mail"
host = "mail.example.org"
port = 2525
encryption = "tls"
user = "prunella"
password-file = "/etc/prunella/secrets/mail"
from = "Prunella <prunella@example.org>"
to = ["ops@example.org", "On call <oncall@example.org>"]
reply-to = "ops@example.org"
timeout = "10s"
ca-file = "/etc/ssl/our-ca.pem"
"#,
    );
    assert_eq!(found.name, "ops-mail");
    assert_eq!(found.declared_at, "prunella.toml:2");
    assert_eq!(found.timeout, Duration::from_secs(10));
    assert_eq!(found.ca_file, Some(PathBuf::from("/etc/ssl/our-ca.pem")));
    assert_eq!(
        found.kind,
        ChannelKind::Mail(MailSettings {
            host: "mail.example.org".to_owned(),
            port: 2525,
            encryption: Encryption::Tls,
            login: Some(Login {
                user: "prunella".to_owned(),
                password: file("/etc/prunella/secrets/mail"),
            }),
            from: "Prunella <prunella@example.org>".to_owned(),
            to: vec![
                "ops@example.org".to_owned(),
                "On call <oncall@example.org>".to_owned()
            ],
            reply_to: Some("ops@example.org".to_owned()),
        })
    );
}

#[rstest]
#[case::starttls_is_the_default("", Encryption::StartTls, 587)]
#[case::starttls("encryption = \"starttls\"", Encryption::StartTls, 587)]
#[case::tls("encryption = \"tls\"", Encryption::Tls, 465)]
#[case::none("encryption = \"none\"", Encryption::None, 25)]
fn the_port_follows_the_encryption(
    #[case] line: &str,
    #[case] encryption: Encryption,
    #[case] port: u16,
) {
    let found = channel(&format!(
        "[channel.m]\nkind = \"mail\"\nhost = \"localhost\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]\n{line}\n"
    ));
    let ChannelKind::Mail(mail) = found.kind else {
        panic!("{:?}", found.kind);
    };
    assert_eq!((mail.encryption, mail.port), (encryption, port));
    assert_eq!(found.timeout, TIMEOUT);
}

#[rstest]
#[case::slack("kind = \"slack\"\nurl-file = \"/s\"", ChannelKind::Slack { url: file("/s") })]
#[case::discord(
    "kind = \"discord\"\nurl-credential = \"discord.url\"",
    ChannelKind::Discord { url: SecretSource::Credential("discord.url".to_owned()) }
)]
#[case::teams("kind = \"teams\"\nurl-file = \"/s\"", ChannelKind::Teams { url: file("/s") })]
#[case::pagerduty("kind = \"pagerduty\"\nrouting-key-file = \"/s\"", ChannelKind::PagerDuty {
    url: "https://events.pagerduty.com/v2/enqueue".to_owned(),
    routing_key: file("/s"),
})]
#[case::ntfy("kind = \"ntfy\"\ntopic-file = \"/s\"", ChannelKind::Ntfy {
    url: "https://ntfy.sh".to_owned(),
    topic: Value::Secret(file("/s")),
    token: None,
})]
#[case::ntfy_with_a_token(
    "kind = \"ntfy\"\nurl = \"https://n.example.org\"\ntopic = \"ops\"\ntoken-file = \"/t\"",
    ChannelKind::Ntfy {
        url: "https://n.example.org".to_owned(),
        topic: Value::Plain("ops".to_owned()),
        token: Some(file("/t")),
    }
)]
#[case::alertmanager(
    "kind = \"alertmanager\"\nurl = \"http://127.0.0.1:9093\"",
    ChannelKind::Alertmanager {
        url: "http://127.0.0.1:9093".to_owned(),
        authorization: None,
        labels: BTreeMap::new(),
        ends_after: Duration::from_secs(86_400),
    }
)]
#[case::alertmanager_with_a_login(
    "kind = \"alertmanager\"\nurl = \"https://a.example.org/am\"\nuser = \"u\"\npassword-file = \"/p\"\nlabels = { team = \"web\" }\nends-after = \"2h\"",
    ChannelKind::Alertmanager {
        url: "https://a.example.org/am".to_owned(),
        authorization: Some(Authorization::Password(Login { user: "u".to_owned(), password: file("/p") })),
        labels: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        ends_after: Duration::from_secs(7_200),
    }
)]
#[case::webhook(
    "kind = \"webhook\"\nurl = \"https://hooks.example.org/prunella\"\nsecret-file = \"/s\"",
    ChannelKind::Webhook {
        url: Value::Plain("https://hooks.example.org/prunella".to_owned()),
        secret: file("/s"),
    }
)]
#[case::webhook_with_a_secret_url(
    "kind = \"webhook\"\nurl-file = \"/u\"\nsecret-credential = \"s\"",
    ChannelKind::Webhook {
        url: Value::Secret(file("/u")),
        secret: SecretSource::Credential("s".to_owned()),
    }
)]
fn each_kind(#[case] text: &str, #[case] expected: ChannelKind) {
    let found = channel(&format!("[channel.c]\n{text}\n"));
    assert_eq!(found.kind, expected);
    assert!(text.contains(expected.as_str()));
}

#[test]
fn proxy_and_plain_http() {
    let found = channel(
        "[channel.c]\nkind = \"alertmanager\"\nurl = \"http://am.lan:9093\"\nallow-http = true\nproxy = \"http://proxy.lan:3128\"\n",
    );
    assert!(found.http.allow_http);
    assert_eq!(found.http.proxy.as_deref(), Some("http://proxy.lan:3128"));
}

const MAIL: &str = "[channel.m]\nkind = \"mail\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]\n";

#[rstest]
#[case::no_kind(
    "[channel.c]\nurl-file = \"/s\"",
    "error: the channel `c` has no kind",
    "add `kind = \"…\"`, one of: mail, slack, discord, teams, pagerduty, ntfy, alertmanager, webhook"
)]
#[case::unknown_kind(
    "[channel.c]\nkind = \"slck\"",
    "error: `kind` cannot be `slck`",
    "did you mean `slack`? Valid are: mail, slack, discord, teams, pagerduty, ntfy, alertmanager, webhook"
)]
#[case::unknown_key(
    "[channel.c]\nkind = \"slack\"\nurl-fil = \"/s\"\nurl-credential = \"u\"",
    "error: unknown key `url-fil`",
    "did you mean `url-file`? Valid in [channel.NAME]: kind, timeout, ca-file, url-file, url-credential, proxy, allow-http"
)]
#[case::no_url(
    "[channel.c]\nkind = \"teams\"",
    "error: the channel `c` has no `url-file`",
    "add `url-file = \"/etc/prunella/secrets/c.url\"`, a file of mode 0600, or `url-credential = \"NAME\"`"
)]
#[case::twice(
    "[channel.c]\nkind = \"slack\"\nurl-file = \"/s\"\nurl-credential = \"u\"",
    "error: `url-file` and `url-credential` say the same thing twice",
    "keep one of them"
)]
#[case::relative_path(
    "[channel.c]\nkind = \"slack\"\nurl-file = \"slack.url\"",
    "error: `url-file` must be an absolute path, and `slack.url` is relative",
    "begin it with `/`"
)]
#[case::credential(
    "[channel.c]\nkind = \"slack\"\nurl-credential = \"../x\"",
    "error: `../x` is not the name of a credential",
    "write the name that stands before the `:` in LoadCredential="
)]
#[case::not_a_table(
    "channel.c = \"slack\"",
    "error: `channel` holds one table for each channel",
    "for example: [channel.team]"
)]
#[case::name(
    "[channel.Team]\nkind = \"slack\"\nurl-file = \"/s\"",
    "error: `Team` is not a name: use lower-case letters, digits and `-`, beginning with a letter, at most 64",
    ""
)]
#[case::plain_http(
    "[channel.c]\nkind = \"alertmanager\"\nurl = \"http://am.lan:9093\"",
    "error: `url` cannot be used: it begins with http://, which everybody on the way can read: use https://, or set `allow-http = true`",
    ""
)]
#[case::not_a_url(
    "[channel.c]\nkind = \"alertmanager\"\nurl = \"am.lan\"",
    "error: `url` cannot be used: it is not a URL: write it whole, beginning with https://",
    ""
)]
#[case::another_scheme(
    "[channel.c]\nkind = \"ntfy\"\ntopic-file = \"/t\"\nurl = \"ftp://n.lan\"",
    "error: `url` cannot be used: it begins with neither https:// nor http://",
    ""
)]
#[case::user_without_password(
    "[channel.c]\nkind = \"alertmanager\"\nurl = \"https://a\"\nuser = \"u\"",
    "error: the channel `c` has no `password-file`",
    "add `password-file = \"/etc/prunella/secrets/c.password\"`, a file of mode 0600, or `password-credential = \"NAME\"`"
)]
#[case::label(
    "[channel.c]\nkind = \"alertmanager\"\nurl = \"https://a\"\nlabels = { severity = \"x\" }",
    "error: Prunella sets the label `severity` itself",
    ""
)]
#[case::topic(
    "[channel.c]\nkind = \"ntfy\"\ntopic = \"a/b\"",
    "error: `a/b` is not a topic",
    "use letters, digits, `_` and `-`, at most 64"
)]
#[case::open_topic(
    "[channel.c]\nkind = \"ntfy\"\ntopic = \"ops\"",
    "warning: without a token, whoever knows the topic can read the alerts, and everybody can read this file",
    "put the topic into a file of mode 0600 and write `topic-file`, or protect it and add `token-file`"
)]
#[case::no_host(
    "[channel.m]\nkind = \"mail\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]",
    "error: the channel `m` has no `host`",
    "add it, for example: host = \"mail.example.org\""
)]
#[case::no_recipients(
    "[channel.m]\nkind = \"mail\"\nhost = \"h\"\nfrom = \"a@b.c\"",
    "error: the channel `m` has no recipients",
    "add `to = [\"ops@example.org\"]`"
)]
#[case::address(
    "[channel.m]\nkind = \"mail\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = [\"ops at example.org\"]",
    "error: `ops at example.org` in `to` is not an address",
    "write \"ops@example.org\" or \"Operations <ops@example.org>\""
)]
#[case::timeout(
    "[channel.c]\nkind = \"slack\"\nurl-file = \"/s\"\ntimeout = \"10ms\"",
    "error: `timeout` must be at least 1s",
    ""
)]
#[case::http_keys_in_mail(
    "[channel.m]\nkind = \"mail\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]\nallow-http = true",
    "error: unknown key `allow-http`",
    "valid in [channel.NAME]: kind, timeout, ca-file, host, port, encryption, user, password-file, password-credential, from, to, reply-to"
)]
fn mistakes(#[case] text: &str, #[case] first: &str, #[case] help: &str) {
    let shown = shown(text);
    assert_eq!(shown.lines().next(), Some(first), "{shown}");
    assert!(shown.ends_with(help), "{shown}");
    assert!(shown.contains("prunella.toml:"), "{shown}");
    assert_eq!(
        load_main(text).config.is_none(),
        first.starts_with("error"),
        "{shown}"
    );
}

#[rstest]
#[case::elsewhere(
    "host = \"mail.example.org\"\nencryption = \"none\"",
    "error: mail may leave this host only encrypted"
)]
#[case::with_a_password(
    "host = \"localhost\"\nencryption = \"none\"\nuser = \"u\"\npassword-file = \"/p\"",
    "error: a password is never sent over a connection without encryption"
)]
#[case::opportunistic(
    "host = \"localhost\"\nencryption = \"opportunistic\"",
    "error: `encryption` cannot be `opportunistic`"
)]
#[case::host(
    "host = \"mail.example.org:25\"",
    "error: `mail.example.org:25` is not the name or address of a host"
)]
fn mail_is_never_silently_unencrypted(#[case] text: &str, #[case] first: &str) {
    let shown = shown(&format!("{MAIL}{text}\n"));
    assert_eq!(shown.lines().next(), Some(first), "{shown}");
}

/// The words of the message, not the secret: not even as the line it is about.
#[test]
fn an_inline_secret_is_an_error_that_does_not_repeat_it() {
    let shown = shown(
        "[channel.team]\nkind = \"slack\"\nurl = \"https://hooks.slack.com/services/T0/B0/hunter2\"\n",
    );
    assert_eq!(
        shown,
        "error: whoever knows the URL of a slack webhook can write there, and everybody can read this file
 --> prunella.toml:3:1
  |
3 | url = \"**********************************************\"
  | ^^^
  = help: put it alone into a file of mode 0600 and write `url-file = \"/etc/prunella/secrets/team.url\"`, or `url-credential = \"NAME\"` for a credential of systemd's"
    );
}

#[rstest]
#[case(
    "kind = \"mail\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = [\"d@e.f\"]\nuser = \"u\"\npassword = \"hunter2\""
)]
#[case("kind = \"ntfy\"\ntopic = \"t\"\ntoken = \"hunter2\"")]
#[case("kind = \"pagerduty\"\nrouting-key = \"hunter2\"")]
#[case("kind = \"webhook\"\nurl = \"https://a\"\nsecret = \"hunter2\"")]
#[case("kind = \"webhook\"\nurl = \"https://u:hunter2@a\"\nsecret-file = \"/s\"")]
#[case("kind = \"slack\"\nurl-file = \"/s\"\ntoken = \"hunter2\"")]
#[case("kind = \"nothing\"\ntoken = \"hunter2\"")]
fn inline_secrets(#[case] text: &str) {
    for text in [
        format!("[channel.c]\n{text}\n"),
        format!("channel.c = {{ {} }}\n", text.replace('\n', ", ")),
    ] {
        let loaded = load_main(&text);
        assert!(loaded.config.is_none(), "{text}");
        let shown = shown(&text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!format!("{loaded:?}").contains("hunter2"), "{loaded:?}");
    }
}

#[rstest]
#[case("https://hooks.example.org/x?y=1", false, None)]
#[case("http://127.0.0.1:8080/x", false, None)]
#[case("http://[::1]/x", false, None)]
#[case("http://localhost/x", false, None)]
#[case("http://hooks.example.org/x", true, None)]
#[case("http://hooks.example.org/x", false, Some(UrlError::Unprotected))]
#[case("http://localhost.example.org/x", false, Some(UrlError::Unprotected))]
#[case("https://u@hooks.example.org/x", false, Some(UrlError::Login))]
#[case("https://hooks.example.org/#x", false, Some(UrlError::Fragment))]
#[case("file:///etc/passwd", true, Some(UrlError::Scheme))]
#[case("hooks.example.org", true, Some(UrlError::NotAUrl))]
#[case("https://", true, Some(UrlError::NotAUrl))]
fn urls(#[case] url: &str, #[case] allow_http: bool, #[case] expected: Option<UrlError>) {
    assert_eq!(check_url(url, allow_http).err(), expected);
}

const DOCS: &str = include_str!("../../../../docs/configuration.md");
const TEMPLATE: &str = include_str!("../../../cli/src/units/prunella.toml");

/// The chapter on channels.
fn chapter() -> &'static str {
    let (_, rest) = DOCS.split_once("\n## Channels\n").unwrap();
    rest.split("\n## ").next().unwrap()
}

#[test]
fn the_documentation_s_examples_are_valid() {
    let mut kinds = std::collections::BTreeSet::new();
    for example in chapter().split("```toml\n").skip(1) {
        let example = example.split("```").next().unwrap();
        let settings = channel(example);
        assert_eq!(load_main(example).warnings().count(), 0, "{example}");
        kinds.insert(settings.kind.as_str());
    }
    assert_eq!(kinds.len(), read::KINDS.len());
}

#[test]
fn so_are_the_template_s() {
    let (_, channels) = TEMPLATE.split_once("#[channel.mail]\n").unwrap();
    let text = format!("#[channel.mail]\n{channels}").replace('#', "");
    let loaded = load_main(&text);
    let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    assert_eq!(loaded.config.unwrap().channels.len(), read::KINDS.len());
}

#[test]
fn every_key_is_documented() {
    let own = read::KINDS.into_iter().flat_map(|(_, keys)| keys);
    for key in own.chain(&read::COMMON_KEYS).chain(&read::HTTP_KEYS) {
        // `…-credential` is told of once, for all.
        let told = chapter().contains(&format!("`{key}`"))
            || chapter().contains(&format!("\n{key} = "))
            || key.ends_with("-credential");
        assert!(told, "{key}");
    }
}
