//! Mail to a real server, and to servers that are none.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
};

use prunella_config::channels::{Encryption, Login, MailSettings};
use rstest::rstest;
use rustls::{ServerConnection, StreamOwned};

use super::*;
use crate::{certificates::Certificates, mail_server::MailServer, receiver};

const PASSWORD: &str = "hunter2 correct horse";

fn mail(port: u16, encryption: Encryption) -> MailSettings {
    MailSettings {
        host: "localhost".to_owned(),
        port,
        encryption,
        login: None,
        from: "Prunella <prunella@example.org>".to_owned(),
        to: vec![
            "ops@example.org".to_owned(),
            "Ön call <oncall@example.org>".to_owned(),
        ],
        reply_to: Some("ops@example.org".to_owned()),
    }
}

/// A server, its authority, and settings that reach it.
struct Scene {
    certificates: Certificates,
    secrets: Secrets,
    server: MailServer,
    mail: MailSettings,
}

impl Scene {
    fn new(encryption: Encryption, more: &[&str]) -> Self {
        Self::named("DNS:localhost", encryption, more)
    }

    fn named(names: &str, encryption: Encryption, more: &[&str]) -> Self {
        let certificates = Certificates::new(names);
        let tls = match encryption {
            Encryption::StartTls => "starttls",
            Encryption::Tls => "implicit",
            Encryption::None => "none",
        };
        let mut arguments = vec!["--tls", tls];
        arguments.extend(more);
        let server = MailServer::start(Some(&certificates), &arguments);
        Self {
            mail: mail(server.port, encryption),
            secrets: Secrets::new(),
            certificates,
            server,
        }
    }

    fn log_in(mut self, password: &str) -> Self {
        self.mail.login = Some(Login {
            user: "prunella".to_owned(),
            password: self.secrets.write("password", password),
        });
        self
    }

    fn settings(&self) -> ChannelSettings {
        with_ca(
            ChannelKind::Mail(self.mail.clone()),
            &self.certificates.authority(),
        )
    }

    #[track_caller]
    fn send(&self, message: &Message) -> Delivery {
        let outcome = send(&self.settings(), message);
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
        outcome
    }
}

const LOGIN: [&str; 2] = ["--password", PASSWORD];

#[rstest]
#[case::starttls(Encryption::StartTls, &[], "PLAIN")]
#[case::starttls_with_login(Encryption::StartTls, &["--only-login"], "LOGIN")]
#[case::tls(Encryption::Tls, &[], "PLAIN")]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_takes_it_encrypted_and_logged_in(
    #[case] encryption: Encryption,
    #[case] more: &[&str],
    #[case] mechanism: &str,
) {
    let scene = Scene::new(encryption, &[&LOGIN, more].concat()).log_in(PASSWORD);
    let detail = delivered(scene.send(&message()));
    assert_eq!(detail, "localhost: 250 2.0.0 Ok: queued as 4Xq1");
    let taken = scene.server.stop();
    assert_eq!(taken.len(), 1);
    let taken = &taken[0];
    assert!(taken.encrypted);
    assert_eq!(taken.login.as_deref(), Some(mechanism));
    assert_eq!(taken.hello, "web1.example.org");
    assert_eq!(taken.from, "prunella@example.org");
    assert_eq!(taken.to, ["ops@example.org", "oncall@example.org"]);
    assert_golden("mail.eml", &taken.mail.replace("\r\n", "\n"));
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_gets_the_same_each_time_and_one_thread() {
    let scene = Scene::new(Encryption::StartTls, &[]);
    for message in [message(), message(), resolved()] {
        delivered(scene.send(&message));
    }
    let taken = scene.server.stop();
    let header = |mail: &str, name: &str| {
        let found = mail
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found
            .unwrap_or_else(|| panic!("no {name} in {mail}"))
            .to_owned()
    };
    assert_eq!(taken[0].mail, taken[1].mail);
    assert_ne!(
        header(&taken[0].mail, "Message-ID"),
        header(&taken[2].mail, "Message-ID")
    );
    for name in ["In-Reply-To", "References"] {
        assert_eq!(header(&taken[0].mail, name), header(&taken[2].mail, name));
    }
    assert_golden("mail-resolved.eml", &taken[2].mail.replace("\r\n", "\n"));
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_on_this_host_needs_no_encryption() {
    let scene = Scene::new(Encryption::None, &[]);
    delivered(scene.send(&message()));
    let taken = scene.server.stop();
    assert_eq!(taken.len(), 1);
    assert!(!taken[0].encrypted && taken[0].login.is_none());
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_without_starttls_gets_nothing() {
    let certificates = Certificates::new("DNS:localhost");
    let server = MailServer::start(None, &["--tls", "none"]);
    let kind = ChannelKind::Mail(mail(server.port, Encryption::StartTls));
    let reason = try_again(send(&with_ca(kind, &certificates.authority()), &message()));
    assert!(
        reason.starts_with("localhost offers no STARTTLS, and mail is not sent without encryption"),
        "{reason}"
    );
    assert!(server.stop().is_empty());
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_is_not_trusted_by_its_word() {
    for encryption in [Encryption::StartTls, Encryption::Tls] {
        // An authority that we do not know.
        let scene = Scene::new(encryption, &LOGIN).log_in(PASSWORD);
        let other = Certificates::new("DNS:localhost");
        let mut settings = scene.settings();
        settings.ca_file = Some(other.authority());
        let reason = try_again(send(&settings, &message()));
        // One of the same name is not the same.
        assert!(
            reason.contains("invalid peer certificate: BadSignature"),
            "{reason}"
        );
        settings.ca_file = None;
        try_again(send(&settings, &message()));
        assert!(scene.server.stop().is_empty());
        // The name of another.
        let scene = Scene::named("DNS:mail.example.org", encryption, &LOGIN).log_in(PASSWORD);
        let reason = try_again(scene.send(&message()));
        assert!(reason.contains("not valid for"), "{reason}");
        assert!(scene.server.stop().is_empty());
    }
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_refuses_a_wrong_password_until_it_is_right() {
    let scene = Scene::new(Encryption::StartTls, &LOGIN).log_in("hunter2 wrong");
    let settings = scene.settings();
    let channel = channel::open(&settings).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let reason = try_again(channel.send(&message(), deadline));
    assert!(
        reason.starts_with("localhost does not accept the login of prunella: 535"),
        "{reason}"
    );
    assert!(!reason.contains("hunter2"), "{reason}");
    // Somebody repairs it, and the channel stays open.
    scene.secrets.write("password", PASSWORD);
    delivered(channel.send(&message(), deadline));
    assert_eq!(scene.server.stop().len(), 1);
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_that_wants_a_login_and_gets_none() {
    let scene = Scene::new(Encryption::StartTls, &LOGIN);
    let reason = try_again(scene.send(&message()));
    assert!(reason.contains("530"), "{reason}");
    assert!(scene.server.stop().is_empty());
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_refuses_one_recipient_and_takes_it_for_the_other() {
    let mut scene = Scene::new(Encryption::StartTls, &[]);
    scene.mail.to = vec![
        "nobody@example.org".to_owned(),
        "ops@example.org".to_owned(),
    ];
    assert_eq!(
        delivered(scene.send(&message())),
        "localhost: 250 2.0.0 Ok: queued as 4Xq1; refused for nobody@example.org (550 5.1.1 No such user here)"
    );
    // With nobody else there is nobody to tell.
    scene.mail.to.truncate(1);
    assert_eq!(
        refused(scene.send(&message())),
        "localhost: refused for nobody@example.org (550 5.1.1 No such user here)"
    );
    let taken = scene.server.stop();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].to, ["ops@example.org"]);
}

#[test]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_that_greylists_gets_it_once_for_each() {
    let mut scene = Scene::new(Encryption::StartTls, &[]);
    scene.mail.to = vec!["ops@example.org".to_owned(), "grey@example.org".to_owned()];
    // Who has it is remembered beyond the channel, so no other test may have one
    // of the same name.
    let message = Message {
        id: "greylisted-1".to_owned(),
        ..message()
    };
    assert_eq!(
        try_again(scene.send(&message)),
        "localhost: not now for grey@example.org (451 4.7.1 Greylisted, come again in 5 minutes); taken for ops@example.org"
    );
    delivered(scene.send(&message));
    let taken = scene.server.stop();
    let to: Vec<_> = taken.iter().map(|taken| taken.to.clone()).collect();
    assert_eq!(to, [["ops@example.org"], ["grey@example.org"]]);
    assert_eq!(taken[0].mail, taken[1].mail);
}

#[rstest]
#[case::sender_never("--sender", "550 5.7.1 You may not send as this", false)]
#[case::sender_later("--sender", "450 4.3.2 Not just now", true)]
#[case::text_never("--data", "554 5.7.1 Spam", false)]
#[case::text_later("--data", "452 4.3.1 No room", true)]
#[ignore = "needs a real mail server: `cargo xtask test` gets it"]
fn a_real_server_that_takes_no_mail(#[case] option: &str, #[case] said: &str, #[case] again: bool) {
    let scene = Scene::new(Encryption::StartTls, &[option, said]);
    let outcome = scene.send(&message());
    let reason = if again {
        try_again(outcome)
    } else {
        refused(outcome)
    };
    assert!(reason.ends_with(said), "{reason}");
    assert!(scene.server.stop().is_empty());
}

/// Nothing that is said before TLS may count for what is said under it: here
/// somebody slips in the answers to come.
#[test]
fn data_injected_before_tls_is_ignored() {
    let certificates = Certificates::new("DNS:localhost");
    let config = Arc::new(certificates.server());
    let address = receiver::raw(move |stream| {
        let mut plain = BufReader::new(stream);
        say(&mut plain, "220 mail.test\r\n");
        hear(&mut plain, "EHLO");
        say(&mut plain, "250-mail.test\r\n250 STARTTLS\r\n");
        hear(&mut plain, "STARTTLS");
        say(
            &mut plain,
            "220 go\r\n250 mail.test\r\n250 sender\r\n250 one\r\n250 two\r\n354 text\r\n250 queued\r\n",
        );
        let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), plain.into_inner());
        let mut tls = BufReader::new(tls);
        hear(&mut tls, "EHLO");
        say(&mut tls, "250 mail.test\r\n");
        hear(&mut tls, "MAIL");
        say(&mut tls, "550 5.7.1 the true answer\r\n");
    });
    let kind = ChannelKind::Mail(mail(address.port(), Encryption::StartTls));
    let outcome = send(&with_ca(kind, &certificates.authority()), &message());
    assert_eq!(
        refused(outcome),
        "localhost does not take mail from us: 550 5.7.1 the true answer"
    );
}

fn say(stream: &mut BufReader<impl std::io::Read + std::io::Write>, text: &str) {
    stream.get_mut().write_all(text.as_bytes()).unwrap();
    stream.get_mut().flush().unwrap();
}

fn hear(stream: &mut BufReader<impl std::io::Read>, command: &str) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with(command), "{line}");
}

/// Says `greeting`, and then nothing more, or that there is nothing more.
fn answers(greeting: &'static [u8], end: bool) -> SocketAddr {
    receiver::raw(move |mut stream: TcpStream| {
        stream.write_all(greeting).unwrap();
        if end {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        // Until the other side has had enough.
        let _ = stream.read(&mut [0; 1024]);
    })
}

#[rstest]
#[case::not_smtp(b"HTTP/1.1 400 Bad Request\r\n\r\n")]
#[case::no_service(b"554 no mail here\r\n")]
#[case::busy(b"421 too busy\r\n")]
#[case::half(b"22")]
#[case::gone(b"")]
fn a_bad_greeting_is_tried_again(#[case] greeting: &'static [u8]) {
    let address = answers(greeting, true);
    let mut settings = settings(ChannelKind::Mail(mail(
        address.port(),
        Encryption::StartTls,
    )));
    settings.timeout = Duration::from_secs(2);
    let reason = try_again(send(&settings, &message()));
    assert!(
        reason.starts_with("localhost does not greet us: "),
        "{reason}"
    );
    assert!(!reason.ends_with(": "), "{reason}");
}

#[test]
fn nobody_is_waited_for_beyond_the_timeout() {
    let address = answers(b"220-mail.test\r\n", false);
    let mut settings = settings(ChannelKind::Mail(mail(
        address.port(),
        Encryption::StartTls,
    )));
    settings.timeout = Duration::from_secs(1);
    let began = Instant::now();
    assert_eq!(
        try_again(send(&settings, &message())),
        "localhost took longer than 1s (waiting for its greeting)"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let port = receiver::nobody().port();
    let kind = ChannelKind::Mail(mail(port, Encryption::Tls));
    let reason = try_again(send(&settings(kind), &message()));
    assert!(
        reason.starts_with(&format!("cannot connect to localhost, port {port}: ")),
        "{reason}"
    );
    let mut mail = mail(25, Encryption::Tls);
    mail.host = "mail.invalid".to_owned();
    let reason = try_again(send(&settings(ChannelKind::Mail(mail)), &message()));
    assert!(
        reason.starts_with("cannot find the address of mail.invalid: "),
        "{reason}"
    );
}

/// The configuration forbids it; should settings come from elsewhere, so does
/// the channel.
#[test]
fn an_unencrypted_connection_never_leaves_this_host() {
    let mut mail = mail(25, Encryption::None);
    // For documentation (RFC 5737): nobody has it.
    mail.host = "192.0.2.1".to_owned();
    let reason = try_again(send(&settings(ChannelKind::Mail(mail)), &message()));
    assert_eq!(
        reason,
        "192.0.2.1 is not this host, and mail may leave it only encrypted"
    );
}

#[test]
fn an_address_that_is_none_is_found_when_the_channel_is_opened() {
    let mut mail = mail(25, Encryption::Tls);
    mail.to.push("a..b@example.org".to_owned());
    let error = channel::open(&settings(ChannelKind::Mail(mail)))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "the channel `test` cannot be used: `a..b@example.org` is not a mail address"
    );
}
