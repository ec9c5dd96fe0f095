//! What each service is sent, to the letter: the files in `golden/`.

use prunella_config::channels::{Authorization, Login, Value};
use rstest::rstest;
use serde_json::Value as Json;

use super::*;
use crate::receiver::{Receiver, Reply, Request};

/// Sends, and compares what arrived.
fn sent(name: &str, settings: &ChannelSettings, message: &Message, receiver: &Receiver) -> Request {
    delivered(send(settings, message));
    let request = receiver.request();
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(request.headers["user-agent"].starts_with("prunella/"));
    let body: Json = serde_json::from_slice(&request.body).unwrap();
    let pretty = serde_json::to_string_pretty(&body).unwrap() + "\n";
    assert_golden(&format!("{name}.json"), &pretty);
    request
}

fn ok() -> Receiver {
    Receiver::new(Reply::status(200, "", ""))
}

#[rstest]
#[case::slack("slack", |url| ChannelKind::Slack { url }, "POST /services/T0/B0/key?x=y HTTP/1.1")]
#[case::discord("discord", |url| ChannelKind::Discord { url }, "POST /services/T0/B0/key?x=y&wait=true HTTP/1.1")]
#[case::teams("teams", |url| ChannelKind::Teams { url }, "POST /services/T0/B0/key?x=y HTTP/1.1")]
fn chats(#[case] name: &str, #[case] kind: fn(SecretSource) -> ChannelKind, #[case] line: &str) {
    let secrets = Secrets::new();
    for (suffix, message) in [("", message()), ("-resolved", resolved())] {
        let receiver = ok();
        let url = secrets.write("url", &receiver.url("/services/T0/B0/key?x=y\n"));
        let name = format!("{name}{suffix}");
        let request = sent(&name, &settings(kind(url)), &message, &receiver);
        assert_eq!(request.line, line);
    }
}

#[test]
fn pagerduty() {
    let secrets = Secrets::new();
    for (name, message) in [("pagerduty", message()), ("pagerduty-resolved", resolved())] {
        let receiver = ok();
        let kind = ChannelKind::PagerDuty {
            url: receiver.url("/v2/enqueue"),
            routing_key: secrets.write("key", "0123456789abcdef0123456789abcdef"),
        };
        let request = sent(name, &settings(kind), &message, &receiver);
        assert_eq!(request.line, "POST /v2/enqueue HTTP/1.1");
    }
}

#[test]
fn ntfy() {
    let secrets = Secrets::new();
    for (name, message) in [("ntfy", message()), ("ntfy-resolved", resolved())] {
        let receiver = ok();
        let kind = ChannelKind::Ntfy {
            url: receiver.url(""),
            topic: Value::Secret(secrets.write("topic", "ops-4f2a")),
            token: Some(secrets.write("token", "tk_0123456789")),
        };
        let request = sent(name, &settings(kind), &message, &receiver);
        assert_eq!(request.line, "POST / HTTP/1.1");
        assert_eq!(request.headers["authorization"], "Bearer tk_0123456789");
    }
}

#[test]
fn alertmanager() {
    for (name, message) in [
        ("alertmanager", message()),
        ("alertmanager-resolved", resolved()),
    ] {
        let receiver = ok();
        let kind = alertmanager_at(&receiver.url("/am/"));
        let request = sent(name, &settings(kind), &message, &receiver);
        assert_eq!(request.line, "POST /am/api/v2/alerts HTTP/1.1");
        assert!(!request.headers.contains_key("authorization"));
    }
}

#[test]
fn alertmanager_with_a_login() {
    let secrets = Secrets::new();
    let receiver = ok();
    let mut kind = alertmanager_at(&receiver.url(""));
    if let ChannelKind::Alertmanager { authorization, .. } = &mut kind {
        *authorization = Some(Authorization::Password(Login {
            user: "Aladdin".to_owned(),
            password: secrets.write("password", "open sesame"),
        }));
    }
    delivered(send(&settings(kind), &message()));
    // The example of RFC 7617.
    assert_eq!(
        receiver.request().headers["authorization"],
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
}

#[test]
fn a_webhook_is_signed() {
    let secrets = Secrets::new();
    let receiver = ok();
    let kind = ChannelKind::Webhook {
        url: Value::Plain(receiver.url("/hooks/prunella")),
        secret: secrets.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"),
    };
    let before = now();
    let request = sent("webhook", &settings(kind), &message(), &receiver);
    assert_eq!(request.headers["webhook-id"], message().id);
    let timestamp: u64 = request.headers["webhook-timestamp"].parse().unwrap();
    assert!((before..=now()).contains(&timestamp));
    // By another program than ours.
    assert_eq!(
        request.headers["webhook-signature"],
        format!("v1,{}", openssl_hmac(&request, timestamp))
    );
}

fn now() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// HMAC-SHA256 over `id.timestamp.body` with the key of
/// [`a_webhook_is_signed`], in base64.
fn openssl_hmac(request: &Request, timestamp: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut signed = format!("{}.{timestamp}.", request.headers["webhook-id"]).into_bytes();
    signed.extend(&request.body);
    fs::write(folder.path().join("signed"), signed).unwrap();
    // MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw in hexadecimal.
    let made = std::process::Command::new("sh")
        .current_dir(&folder)
        .args(["-c", "openssl dgst -sha256 -binary -mac HMAC -macopt hexkey:$(printf MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | openssl base64 -d -A | od -An -tx1 | tr -d ' \\n') signed | openssl base64 -A"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap()
}

/// A message far beyond every limit.
fn huge() -> Message {
    let line = format!("{} <&> ä🔴 \"quoted\" {HOSTILE}\n", "x".repeat(60));
    Message {
        headline: "ä🔴<&>*".repeat(1_000),
        facts: (0..100)
            .map(|n| {
                (
                    format!("Fact {n} <&>{}", "n".repeat(3_000)),
                    "ä🔴<&>*".repeat(2_000),
                )
            })
            .collect(),
        text: line.repeat(3_000),
        alert_group: "ä".repeat(1_000),
        ..message()
    }
}

/// The longest text below `path` (`*` is every element), in UTF-16 units.
fn longest(body: &Json, path: &str) -> usize {
    let mut found = vec![body];
    for step in path.split('/') {
        found = found
            .into_iter()
            .flat_map(|value| match (step, value) {
                ("*", Json::Array(items)) => items.iter().collect(),
                ("*", Json::Object(map)) => map.values().collect(),
                _ => value.get(step).into_iter().collect::<Vec<_>>(),
            })
            .collect();
    }
    assert!(!found.is_empty(), "nothing at {path}");
    found
        .iter()
        .filter_map(|value| value.as_str())
        .map(|text| text.encode_utf16().count())
        .max()
        .unwrap_or_else(|| panic!("no text at {path}"))
}

fn body_of(kind: impl FnOnce(&Receiver) -> ChannelKind) -> (Json, usize) {
    body_with(kind, &huge())
}

fn body_with(kind: impl FnOnce(&Receiver) -> ChannelKind, message: &Message) -> (Json, usize) {
    let receiver = ok();
    delivered(send(&settings(kind(&receiver)), message));
    let body = receiver.request().body;
    (serde_json::from_slice(&body).unwrap(), body.len())
}

#[test]
fn slack_s_limits() {
    let secrets = Secrets::new();
    let (body, _) = body_of(|r| ChannelKind::Slack {
        url: secrets.write("u", &r.url("/")),
    });
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    assert!((140..=150).contains(&longest(&body["blocks"][0], "text/text")));
    for block in &blocks[1..] {
        match block["type"].as_str().unwrap() {
            "section" if block.get("fields").is_some() => {
                assert!(block["fields"].as_array().unwrap().len() <= 10);
                assert!(longest(block, "fields/*/text") <= 2000);
            }
            "section" => assert!(longest(block, "text/text") <= 3000),
            "context" => assert!(longest(block, "elements/*/text") <= 2000),
            other => panic!("{other}"),
        }
    }
    // Cut between two characters as Slack writes them, not within one.
    let header = body["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(header.ends_with('…'), "{header}");
    assert_eq!(header.matches('&').count(), header.matches(';').count());
}

#[test]
fn discord_s_limits() {
    let secrets = Secrets::new();
    let (body, _) = body_of(|r| ChannelKind::Discord {
        url: secrets.write("u", &r.url("/")),
    });
    let embed = &body["embeds"][0];
    let title = longest(embed, "title");
    let description = longest(embed, "description");
    assert!(title <= 256 && description <= 4096);
    let mut all = title + description + longest(embed, "footer/text");
    for field in embed["fields"].as_array().unwrap() {
        let (name, value) = (longest(field, "name"), longest(field, "value"));
        assert!(name <= 256 && value <= 1024);
        all += name + value;
    }
    assert!(all <= 6000, "{all}");
    assert!(all > 5000, "much was left out that had room: {all}");
    assert!(embed["description"].as_str().unwrap().ends_with("…\n```"));
}

#[test]
fn teams_limit() {
    let secrets = Secrets::new();
    let (body, size) = body_of(|r| ChannelKind::Teams {
        url: secrets.write("u", &r.url("/")),
    });
    assert!(size <= 28 * 1024, "{size}");
    assert!(size > 20 * 1024, "much was left out that had room: {size}");
    let blocks = body["attachments"][0]["content"]["body"]
        .as_array()
        .unwrap();
    let shown = |block: &Json| block["inlines"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(shown(&blocks[blocks.len() - 2]), "…");
    assert!(shown(&blocks[blocks.len() - 1]).contains("prunella incidents"));
}

/// Characters of three bytes each, and such as JSON has to escape.
#[rstest]
#[case('漢')]
#[case('"')]
#[case('\\')]
fn limits_in_bytes(#[case] c: char) {
    let text = c.to_string().repeat(5_000);
    let message = Message {
        headline: text.clone(),
        facts: vec![(text.clone(), text.clone()); 60],
        text: format!("{text}\n").repeat(60),
        ..message()
    };
    let secrets = Secrets::new();
    let url = |r: &Receiver| secrets.write("u", &r.url("/"));
    let (_, teams) = body_with(|r| ChannelKind::Teams { url: url(r) }, &message);
    assert!(teams <= 28 * 1024, "{teams}");
    let (_, pagerduty) = body_with(
        |r| ChannelKind::PagerDuty {
            url: r.url("/"),
            routing_key: secrets.write("k", "k"),
        },
        &message,
    );
    assert!(pagerduty <= 512 * 1024, "{pagerduty}");
}

#[test]
fn pagerduty_s_limits() {
    let secrets = Secrets::new();
    let (body, size) = body_of(|r| ChannelKind::PagerDuty {
        url: r.url("/"),
        routing_key: secrets.write("key", "k"),
    });
    assert!(size <= 512 * 1024, "{size}");
    assert_eq!(longest(&body, "payload/summary"), 1024);
    assert!(body["dedup_key"].as_str().unwrap().len() <= 255);
    assert!(longest(&body, "payload/custom_details/*") <= 64 * 1024);
}

#[test]
fn ntfy_s_limits() {
    let (body, _) = body_of(|r| ChannelKind::Ntfy {
        url: r.url("/"),
        topic: Value::Plain("ops".to_owned()),
        token: None,
    });
    let bytes = |key: &str| body[key].as_str().unwrap().len();
    assert!((4090..=4096).contains(&bytes("message")));
    assert!(bytes("title") <= 250);
}
