//! A real HTTP receiver of alerts, which writes down what it gets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT};
use serde_json::Value;

/// Writes each request down before it answers, with what stands in
/// /run/receiver/answer: a status, or `wait` until something else stands there.
const RECEIVER: &str = r#"
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def answer():
    with open("/run/receiver/answer") as file:
        return file.read().strip()

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open("/run/receiver/got", "a") as got:
            got.write(json.dumps({
                "path": self.path,
                "id": self.headers["webhook-id"],
                "body": json.loads(body),
            }) + "\n")
            got.flush()
            os.fsync(got.fileno())
        while (status := answer()) == "wait":
            time.sleep(0.05)
        self.send_response(int(status))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass

ThreadingHTTPServer(("127.0.0.1", 9099), Receiver).serve_forever()
"#;

/// Nothing waits long: the windows are as short as a test wants them.
pub(crate) const CONFIG: &str = r#"
[channel.pager]
kind = "webhook"
url = "http://127.0.0.1:9099/pager"
secret-file = "/etc/prunella/secrets/pager"
timeout = "20s"

[channel.team]
kind = "webhook"
url = "http://127.0.0.1:9099/team"
secret-file = "/etc/prunella/secrets/pager"
timeout = "20s"

[alerts]
escalation = ["pager"]
recovery = ["team"]
group-wait = "1s"
recovery-group-wait = "1s"
"#;

/// A scene with a receiver that is not started yet.
pub(crate) fn scene() -> Builder {
    Scene::builder()
        .unit(
            "receiver.service",
            "[Service]\nRuntimeDirectory=receiver\nRuntimeDirectoryPreserve=yes\n\
             ExecStart=/usr/bin/python3 /opt/test/receiver.py\n",
        )
        .file("/opt/test/receiver.py", RECEIVER, 0o644)
        .file("/etc/prunella/prunella.toml", CONFIG, 0o644)
        .file(
            "/etc/prunella/secrets/pager",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
            0o600,
        )
}

/// The same, with people told of an outage after so long.
pub(crate) fn scene_telling_after(length: &str) -> Builder {
    let config = CONFIG.replace(
        "[alerts]\n",
        &format!("[alerts]\nnotify-after = \"{length}\"\n"),
    );
    scene().file("/etc/prunella/prunella.toml", &config, 0o644)
}

/// Starts the receiver, which answers so.
pub(crate) fn receiver(scene: &Scene, answer: &str) {
    scene.run_ok(&["mkdir", "-p", "/run/receiver"]).unwrap();
    answers(scene, answer);
    scene.start(&["receiver.service"]);
    scene
        .wait_for("the receiver to listen", TIMEOUT, || {
            let ports = scene.run_ok(&["cat", "/proc/net/tcp"])?;
            // 9099
            Ok(ports.contains(":238B ").then_some(()))
        })
        .unwrap();
}

pub(crate) fn answers(scene: &Scene, answer: &str) {
    scene
        .write_file("/run/receiver/answer.new", answer, 0o644)
        .unwrap();
    scene
        .run_ok(&["mv", "/run/receiver/answer.new", "/run/receiver/answer"])
        .unwrap();
}

/// What the receiver got, in order.
pub(crate) fn got(scene: &Scene) -> Vec<Value> {
    if !scene.exists("/run/receiver/got").unwrap() {
        return Vec::new();
    }
    scene
        .read_file("/run/receiver/got")
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn wait_got(scene: &Scene, number: usize) -> Vec<Value> {
    scene
        .wait_for(&format!("{number} messages"), TIMEOUT, || {
            let got = got(scene);
            Ok((got.len() >= number).then_some(got))
        })
        .unwrap()
}

pub(crate) fn units(message: &Value) -> Vec<&str> {
    message["body"]["data"]["units"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

pub(crate) fn kind(message: &Value) -> &str {
    message["body"]["type"].as_str().unwrap()
}

pub(crate) fn alert_group(message: &Value) -> &Value {
    &message["body"]["data"]["alert_group"]
}

pub(crate) fn is_resolved(message: &Value) -> bool {
    message["body"]["data"]["resolved"] == Value::Bool(true)
}

/// The messages about one unit, in order.
pub(crate) fn about(scene: &Scene, unit: &str) -> Vec<Value> {
    let mut got = got(scene);
    got.retain(|message| units(message).contains(&unit));
    got
}

pub(crate) fn headline(message: &Value) -> &str {
    message["body"]["data"]["headline"].as_str().unwrap()
}

/// The whole text of a message.
pub(crate) fn text(message: &Value) -> &str {
    message["body"]["data"]["text"].as_str().unwrap()
}

/// Waits for the message that resolves what was told of a unit.
#[track_caller]
pub(crate) fn wait_end(scene: &Scene, unit: &str) -> Value {
    scene
        .wait_for("its end", TIMEOUT, || {
            Ok(about(scene, unit).into_iter().find(is_resolved))
        })
        .unwrap()
}
