//! TLS, and the certificates that are shown.

use prunella_core::service::TlsQuestion;

use super::*;

/// A server of TLS, whose certificate nobody signed and which names nobody asked for.
fn tls_server(more: &[&str]) -> (String, Server) {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=elsewhere",
            "-days",
            "6",
        ])
        .args(more)
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(dir.path())
        .output()
        .expect("this test needs openssl: `cargo xtask setup` installs it");
    assert!(made.status.success(), "{made:?}");
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-www"])
        .args(["-key", "key.pem", "-cert", "certificate.pem"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // `ACCEPT 127.0.0.1:43210`, once it listens.
    let place = BufReader::new(child.stdout.as_mut().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()))
        .unwrap();
    (place, Server { child, _dir: dir })
}

#[test]
fn https_is_asked_whatever_the_certificate() {
    let (place, _server) = tls_server(&[]);
    let answer = ask(http(&format!("https://{place}/")));
    assert_eq!(answer.detail, "it answered 200 ok");
    assert!(answer.healthy);
    // What speaks TLS does not understand HTTP.
    let answer = ask(http(&format!("http://{place}/")));
    assert!(!answer.healthy, "{}", answer.detail);
}

#[test]
fn a_server_without_tls_does_not_answer_https() {
    let place = says(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let answer = ask(http(&format!("https://{place}/")));
    assert_eq!(answer.detail, "it does not speak TLS");
    assert!(!answer.healthy);
}

#[test]
fn a_handshake_that_never_ends_is_over_in_time() {
    let place = server(|mut stream| {
        // The head of a handshake message of 16 KiB, a byte at a time.
        for byte in b"\x16\x03\x03\x40\x00".iter().chain(std::iter::repeat(&0)) {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let kind = http(&format!("https://{place}/"));
    let limit = Duration::from_millis(300);
    let answer = ask_within(kind, limit, Duration::from_secs(60)).unwrap();
    assert_eq!(answer.detail, "it did not listen within 0.3 s");
}

fn tls_probe(place: &str, server_name: Option<&str>) -> ProbeKind {
    ProbeKind::Tls(TlsQuestion {
        place: place.to_owned(),
        server_name: server_name.map(str::to_owned),
    })
}

#[test]
fn the_certificate_that_is_shown_is_told() {
    let names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:shop.example"];
    let (place, _server) = tls_server(&names);
    let answer = ask(tls_probe(&place, None));
    assert!(answer.healthy);
    let certificate = answer.certificate.unwrap();
    assert_eq!(certificate.name.as_deref(), Some("shop.example"));
    let lifetime = certificate.ends.since(certificate.begins);
    assert_eq!(lifetime, Duration::from_secs(6 * 24 * 3_600));
    let now = prunella_core::Timestamp::from(std::time::SystemTime::now());
    let age = now.since(certificate.begins);
    assert!(age < Duration::from_secs(600), "{age:?}");
    let day = certificate.ends.day().unwrap();
    assert_eq!(
        answer.detail,
        format!("it speaks TLS, with a certificate for shop.example until {day}")
    );

    // Of an https probe too, and for the name that was asked for.
    let answer = ask(ProbeKind::Http(HttpQuestion {
        url: format!("https://{place}/"),
        server_name: Some("www.shop.example".to_owned()),
        ..HttpQuestion::default()
    }));
    assert_eq!(answer.detail, "it answered 200 ok");
    let shown = answer.certificate.unwrap();
    assert_eq!(shown.name.as_deref(), Some("www.shop.example"));
    assert_eq!(shown.ends, certificate.ends);

    // Whatever it answers.
    let answer = ask(ProbeKind::Http(HttpQuestion {
        url: format!("https://{place}/"),
        status: vec![204],
        ..HttpQuestion::default()
    }));
    assert!(!answer.healthy);
    assert!(answer.certificate.is_some());
}

#[test]
fn a_certificate_without_a_name_is_shown_without_one() {
    let (place, _server) = tls_server(&[]);
    let certificate = ask(tls_probe(&place, None)).certificate.unwrap();
    assert_eq!(certificate.name, None);
}

#[test]
fn who_speaks_no_tls_shows_no_certificate() {
    let place = says(b"220 mail.example ESMTP\r\n");
    let answer = ask(tls_probe(&place, Some("mail.example")));
    assert!(!answer.healthy);
    assert_eq!(answer.detail, "it does not speak TLS");
    assert_eq!(answer.certificate, None);
}

#[test]
fn what_is_no_certificate_tells_nothing() {
    for bytes in [&b""[..], b"\x30\x03\x02\x01\x01", &[0x30; 300]] {
        assert_eq!(certificate::read(bytes, Some("shop.example")), None);
    }
}
