//! What each answer over HTTP means, and what is said about it.

use prunella_config::channels::Value;
use rstest::rstest;

use super::*;
use crate::receiver::{Receiver, Reply, nobody};

/// A part of the URL that must never be seen again.
const KEY: &str = "hunter2hunter2";

struct Slack {
    secrets: Secrets,
    settings: ChannelSettings,
}

impl Slack {
    fn at(url: &str) -> Self {
        let secrets = Secrets::new();
        let url = secrets.write("url", url);
        Self {
            settings: settings(ChannelKind::Slack { url }),
            secrets,
        }
    }

    fn with(receiver: &Receiver) -> Self {
        Self::at(&receiver.url(&format!("/services/T0/B0/{KEY}")))
    }

    /// One try, which says nothing that it must not say.
    #[track_caller]
    fn send(&self) -> Delivery {
        let outcome = send(&self.settings, &message());
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
        assert!(!format!("{:?}", self.settings).contains("hunter2"));
        outcome
    }
}

#[track_caller]
fn answer(reply: Reply) -> Delivery {
    let receiver = Receiver::new(reply);
    let outcome = Slack::with(&receiver).send();
    receiver.request();
    outcome
}

#[rstest]
#[case(200)]
#[case(202)]
#[case(204)]
fn a_success_is_delivered(#[case] status: u16) {
    let detail = delivered(answer(Reply::status(status, "", "")));
    assert!(
        detail.starts_with(&format!("127.0.0.1 answered {status}")),
        "{detail}"
    );
}

#[rstest]
#[case::no_seconds(408, "", None)]
#[case::seconds(429, "Retry-After: 120\r\n", Some(120))]
#[case::too_long(503, "Retry-After: 9999999\r\n", Some(86_400))]
#[case::nonsense(503, "Retry-After: later\r\n", None)]
#[case::past(503, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", Some(0))]
#[case::early(425, "", None)]
#[case::broken(500, "", None)]
#[case::gateway(502, "", None)]
#[case::wrong_password(401, "", None)]
fn a_temporary_failure_is_retried(
    #[case] status: u16,
    #[case] headers: &str,
    #[case] seconds: Option<u64>,
) {
    let outcome = answer(Reply::status(status, headers, "because"));
    let Delivery::TryAgain { reason, not_before } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains(&status.to_string()), "{reason}");
    assert!(reason.ends_with(": because"), "{reason}");
    assert_eq!(not_before, seconds.map(Duration::from_secs));
}

#[test]
fn a_date_is_waited_for() {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .unwrap();
    let outcome = answer(Reply::status(429, &format!("Retry-After: {date}\r\n"), ""));
    let Delivery::TryAgain { not_before, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let wait = not_before.unwrap().as_secs();
    assert!((590..=600).contains(&wait), "{wait}");
}

#[rstest]
#[case(400, "invalid_blocks")]
#[case(403, "action_prohibited")]
#[case(404, "no_service")]
#[case(410, "channel_is_archived")]
#[case(413, "too large")]
fn a_permanent_failure_is_refused(#[case] status: u16, #[case] said: &str) {
    let reason = refused(answer(Reply::status(status, "Retry-After: 5\r\n", said)));
    assert!(reason.contains(&status.to_string()), "{reason}");
    assert!(reason.ends_with(said), "{reason}");
}

#[rstest]
#[case(301, false)]
#[case(302, true)]
#[case(307, true)]
#[case(308, false)]
fn no_redirect_is_followed(#[case] status: u16, #[case] again: bool) {
    let elsewhere = Receiver::new(Reply::status(200, "", ""));
    let location = format!("Location: {}\r\n", elsewhere.url("/stolen"));
    let outcome = answer(Reply::status(status, &location, ""));
    let reason = if again {
        try_again(outcome)
    } else {
        refused(outcome)
    };
    assert!(reason.contains("no redirect is followed"), "{reason}");
    assert!(!reason.contains("stolen"), "{reason}");
    elsewhere.assert_silent();
}

#[rstest]
#[case::not_http(b"SSH-2.0-OpenSSH_9.2\r\n", "no answer from 127.0.0.1: ")]
#[case::nothing(b"", "no answer from 127.0.0.1: ")]
#[case::half_a_head(b"HTTP/1.1 200 OK\r\nContent-Le", "no answer from 127.0.0.1: ")]
fn no_answer_is_retried(#[case] bytes: &[u8], #[case] begins: &str) {
    let reason = try_again(answer(Reply::Bytes(bytes.to_vec())));
    assert!(reason.starts_with(begins), "{reason}");
    assert!(reason.len() > begins.len());
}

#[test]
fn a_reset_connection_is_tried_again() {
    let receiver = Receiver::new(Reply::Reset);
    let reason = try_again(Slack::with(&receiver).send());
    assert!(reason.contains("127.0.0.1"), "{reason}");
    receiver.assert_silent();
}

#[test]
fn a_refused_connection_is_tried_again() {
    let slack = Slack::at(&format!("http://{}/{KEY}", nobody()));
    let reason = try_again(slack.send());
    assert!(
        reason.starts_with("cannot connect to 127.0.0.1: "),
        "{reason}"
    );
    assert!(reason.contains("refused"), "{reason}");
}

#[test]
fn a_name_that_is_not_there_is_tried_again() {
    // RFC 6761: there is never such a name.
    let mut slack = Slack::at(&format!("http://hooks.invalid/{KEY}"));
    slack.settings.http.allow_http = true;
    let reason = try_again(slack.send());
    assert!(reason.contains("hooks.invalid"), "{reason}");
}

/// It took the message over before it broke off: a second one would be one too
/// many.
#[test]
fn a_success_cut_short_is_a_success() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    delivered(answer(Reply::Bytes(bytes)));
}

#[test]
fn a_refusal_cut_short_is_a_refusal() {
    let bytes = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    assert!(refused(answer(Reply::Bytes(bytes))).ends_with(": half"));
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let began = Instant::now();
    let reason = try_again(answer(Reply::Endless));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(reason.len() < 500, "{reason}");
}

#[test]
fn an_answer_that_stalls_is_not_waited_for() {
    let began = Instant::now();
    let bytes =
        b"HTTP/1.1 429 Whatever\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\nslow".to_vec();
    let outcome = answer(Reply::Stall(bytes));
    let Delivery::TryAgain { reason, not_before } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.ends_with(": slow"), "{reason}");
    assert_eq!(not_before, Some(Duration::from_secs(7)));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn nobody_is_waited_for_beyond_the_timeout() {
    let receiver = Receiver::new(Reply::Hang);
    let mut slack = Slack::with(&receiver);
    slack.settings.timeout = Duration::from_secs(1);
    let began = Instant::now();
    let reason = try_again(slack.send());
    assert_eq!(reason, "127.0.0.1 did not answer within 1s");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn nor_beyond_the_deadline() {
    let receiver = Receiver::new(Reply::Hang);
    let slack = Slack::with(&receiver);
    let channel = channel::open(&slack.settings).unwrap();
    let began = Instant::now();
    try_again(channel.send(&message(), began + Duration::from_millis(500)));
    assert!(began.elapsed() < Duration::from_secs(5));
    receiver.request();
    // One that is over is not begun.
    assert_eq!(
        try_again(channel.send(&message(), began)),
        "there was no time left to try"
    );
    receiver.assert_silent();
}

#[test]
fn secrets_repeated_by_the_server_are_hidden() {
    let url = format!("/services/T0/B0/{KEY}");
    let reason = refused(answer(Reply::status(404, "", &format!("no hook at {url}"))));
    assert!(reason.ends_with("no hook at [redacted]"), "{reason}");
}

#[test]
fn a_secret_that_others_can_read_is_not_used() {
    let receiver = Receiver::new(Reply::status(200, "", ""));
    let slack = Slack::with(&receiver);
    let path = slack.secrets.path("url");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let reason = try_again(slack.send());
    assert!(reason.contains("chmod 600"), "{reason}");
    receiver.assert_silent();
    // Somebody does as the sentence says.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    delivered(slack.send());
    receiver.request();
}

#[test]
fn a_secret_can_be_replaced_while_the_channel_is_open() {
    let (first, second) = (
        Receiver::new(Reply::status(200, "", "")),
        Receiver::new(Reply::status(200, "", "")),
    );
    let slack = Slack::with(&first);
    let channel = channel::open(&slack.settings).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    delivered(channel.send(&message(), deadline));
    first.request();
    slack.secrets.write("url", &second.url("/"));
    delivered(channel.send(&message(), deadline));
    first.assert_silent();
    second.request();
}

#[rstest]
#[case(
    "http://hooks.example.org/hunter2",
    "http://, which everybody on the way can read"
)]
#[case("https://u:hunter2@hooks.example.org/", "user or password")]
#[case("hunter2", "it is not a URL")]
fn a_bad_url_in_a_file_is_said_to_be_bad(#[case] url: &str, #[case] said: &str) {
    let reason = try_again(Slack::at(url).send());
    assert!(reason.contains(said), "{reason}");
}

#[test]
fn a_credential_that_is_not_there() {
    let url = SecretSource::Credential("slack".to_owned());
    let reason = try_again(send(&settings(ChannelKind::Slack { url }), &message()));
    assert!(reason.contains("LoadCredential="), "{reason}");
}

#[test]
fn a_bad_key_signs_nothing() {
    let secrets = Secrets::new();
    let receiver = Receiver::new(Reply::status(200, "", ""));
    let kind = ChannelKind::Webhook {
        url: Value::Plain(receiver.url("/")),
        secret: secrets.write("secret", "hunter2"),
    };
    let reason = try_again(send(&settings(kind), &message()));
    assert!(reason.contains("key of the signature"), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
    receiver.assert_silent();
}

#[test]
fn a_proxy_is_used_when_it_is_configured() {
    let proxy = Receiver::new(Reply::status(200, "", ""));
    let mut slack = Slack::at(&format!("http://hooks.invalid/{KEY}"));
    slack.settings.http = HttpSettings {
        proxy: Some(proxy.url("")),
        allow_http: true,
    };
    delivered(slack.send());
    assert_eq!(
        proxy.request().line,
        format!("POST http://hooks.invalid/{KEY} HTTP/1.1")
    );
}
