//! Debian's prometheus-alertmanager, really run: it has the alert, and then it
//! has it no more.

use prunella_core::Timestamp;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::*;

struct Alertmanager {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
        fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
        let mut child = Command::new("prometheus-alertmanager")
            .current_dir(folder.path())
            .args([
                "--config.file=alertmanager.yml",
                "--storage.path=data",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs Debian's prometheus-alertmanager: `cargo xtask test` gets it");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| {
                let address = line.split("address=").nth(1)?;
                address.split_whitespace().next()?.parse().ok()
            })
            .expect("it says where it listens");
        // It must not wait for somebody to read what else it says.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// The alerts it has, by its own API.
    fn alerts(&self) -> Vec<Value> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "GET /api/v2/alerts HTTP/1.0\r\nHost: {}\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs a real Alertmanager: `cargo xtask test` gets it"]
fn a_real_alertmanager_has_the_alert_until_it_is_over() {
    let server = Alertmanager::start();
    let settings = settings(alertmanager_at(&format!("http://{}", server.address)));
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let warning = Message {
        at: Timestamp::from_millis(now - 60_000),
        severity: Severity::Warning,
        ..message()
    };
    assert!(server.alerts().is_empty());
    // Twice the same is one; what grew worse is another.
    delivered(send(&settings, &warning));
    delivered(send(&settings, &warning));
    let alerts = server.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    assert_eq!(alert["status"]["state"], "active");
    assert_eq!(alert["labels"]["service"], "shop.service");
    assert_eq!(alert["labels"]["severity"], "warning");
    assert_eq!(alert["labels"]["team"], "web");
    assert_eq!(alert["annotations"]["summary"], message().headline);
    let time = |value: &Value| -> jiff::Timestamp { value.as_str().unwrap().parse().unwrap() };
    let lasts = time(&alert["endsAt"]).duration_since(time(&alert["startsAt"]));
    assert_eq!(lasts.as_secs(), 3600, "{alert}");
    let critical = Message {
        at: Timestamp::from_millis(now - 50_000),
        ..message()
    };
    delivered(send(&settings, &critical));
    assert_eq!(server.alerts().len(), 2);
    // Another service has joined the alert group.
    let joined = Message {
        units: vec![UnitName::new("cart.service").unwrap()],
        ..critical.clone()
    };
    delivered(send(&settings, &joined));
    assert_eq!(server.alerts().len(), 3);
    // Another alert group of the same service is not over with this one.
    let other = Message {
        alert_group: "another".to_owned(),
        ..critical
    };
    delivered(send(&settings, &other));
    assert_eq!(server.alerts().len(), 4);
    let over = Message {
        at: Timestamp::from_millis(now - 10_000),
        ..resolved()
    };
    delivered(send(&settings, &over));
    let left = server.alerts();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["labels"]["alert_group"], "another");
}

#[test]
#[ignore = "needs a real Alertmanager: `cargo xtask test` gets it"]
fn a_real_alertmanager_refuses_what_is_no_alert() {
    let server = Alertmanager::start();
    let mut kind = alertmanager_at(&format!("http://{}", server.address));
    if let ChannelKind::Alertmanager { labels, .. } = &mut kind {
        // The configuration would not let this pass.
        labels.insert("not a label".to_owned(), "x".to_owned());
    }
    let reason = refused(send(&settings(kind), &message()));
    assert!(
        reason.starts_with("127.0.0.1 answered 400 Bad Request: "),
        "{reason}"
    );
    assert!(server.alerts().is_empty());
}
