//! Starts `mail_server.py`: a real SMTP server for one test.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde::Deserialize;

use crate::certificates::Certificates;

/// A mail as the server took it.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {
    pub(super) hello: String,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) encrypted: bool,
    /// The mechanism of the login.
    pub(super) login: Option<String>,
    pub(super) mail: String,
}

pub(super) struct MailServer {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    pub(super) port: u16,
}

impl MailServer {
    pub(super) fn start(certificates: Option<&Certificates>, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/channels/mail_server.py");
        let mut command = Command::new(python());
        // It warns of what a test wants.
        command.arg("-Wignore").arg(script).args(arguments);
        if let Some(certificates) = certificates {
            command
                .arg("--certificate")
                .arg(certificates.path("server.pem"))
                .arg("--key")
                .arg(certificates.path("server.key"));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = output
            .next()
            .expect("the mail server says why it did not start")
            .unwrap()
            .parse()
            .unwrap();
        Self {
            child,
            output,
            port,
        }
    }

    /// Stops it; everything that it took.
    pub(super) fn stop(mut self) -> Vec<Taken> {
        self.child.kill().unwrap();
        // What it has written before can be read to its end.
        (&mut self.output)
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has aiosmtpd: the system's, for which Debian packages it.
fn python() -> &'static str {
    let has = |python: &str| {
        Command::new(python)
            .args(["-c", "import aiosmtpd"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    ["/usr/bin/python3", "python3"]
        .into_iter()
        .find(|python| has(python))
        .expect(
            "this test needs a real mail server, Debian's python3-aiosmtpd: `cargo xtask test` gets it",
        )
}
