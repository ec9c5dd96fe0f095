//! One conversation with a mail server.
//!
//! lettre speaks SMTP; the connection under it is made here, since the name is
//! resolved in Rust, and since nothing may be left of what was read before
//! STARTTLS: an answer slipped in there must not count as one of the server's.

use std::{cell::Cell, error::Error as _, net::IpAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt, Starttls},
        extension::ClientId,
    },
};
use prunella_config::channels::{Encryption, Login, MailSettings};
use prunella_core::text::{REDACTED, one_line};
use prunella_net::{names, secret, tls};
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::stream::Secured;
use crate::{
    Delivery,
    channel::{CONNECT_TIMEOUT, again, refused},
};

/// For a polite end, when everything is done.
const QUIT_TIME: Duration = Duration::from_secs(1);

/// So much of what a server says is shown.
const SHOWN_MAX: usize = 300;

/// What a conversation needs.
pub(super) struct Session<'a> {
    pub(super) mail: &'a MailSettings,
    pub(super) ca_file: Option<&'a Path>,
    /// Our host's name.
    pub(super) hello: &'a str,
    /// What is being done, for when it takes too long.
    pub(super) stage: &'a Cell<&'static str>,
}

/// What came of a conversation.
pub(super) struct Outcome {
    /// What the server said when it took the mail over; absent when it did not.
    pub(super) said: Option<String>,
    /// For whom it did.
    pub(super) took: Vec<Address>,
    /// For whom it may do so later (4xx).
    pub(super) later: Vec<(Address, String)>,
    /// For whom it never will (5xx).
    pub(super) never: Vec<(Address, String)>,
}

impl Session<'_> {
    /// Sends `mail` to each of `to` whom the server takes it for.
    pub(super) async fn send(
        &self,
        from: &Address,
        to: &[Address],
        mail: &[u8],
    ) -> Result<Outcome, Delivery> {
        let mut outcome = Outcome {
            said: None,
            took: Vec::new(),
            later: Vec::new(),
            never: Vec::new(),
        };
        if to.is_empty() {
            return Ok(outcome);
        }
        let mut server = self.connect().await?;
        if let Some(login) = &self.mail.login {
            self.log_in(&mut server, login).await?;
        }
        self.stage.set("naming the sender");
        server
            .command(Mail::new(Some(from.clone()), Vec::new()))
            .await
            .map_err(|error| self.failed("does not take mail from us", &error))?;
        self.stage.set("naming the recipients");
        for address in to {
            let answer = server.command(Rcpt::new(address.clone(), Vec::new())).await;
            match answer {
                Ok(_) => outcome.took.push(address.clone()),
                Err(error) if error.is_permanent() => {
                    outcome.never.push((address.clone(), said(&error)));
                }
                Err(error) if error.is_transient() => {
                    outcome.later.push((address.clone(), said(&error)));
                }
                Err(error) => return Err(self.failed("broke off", &error)),
            }
        }
        if !outcome.took.is_empty() {
            self.stage.set("handing the mail over");
            server
                .command(Data)
                .await
                .map_err(|error| self.failed("does not take the mail", &error))?;
            let answer = server
                .message(mail)
                .await
                .map_err(|error| self.failed("does not take the mail", &error))?;
            let words: Vec<&str> = answer.message().collect();
            let words = format!("{} {}", answer.code(), words.join(" "));
            outcome.said = Some(one_line(&words, SHOWN_MAX));
        }
        // It has answered for the mail; what comes now changes nothing.
        let _ = timeout(QUIT_TIME, server.quit()).await;
        Ok(outcome)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Delivery> {
        let host = &self.mail.host;
        let tcp = self.reach().await?;
        let hello = self.hello(&tcp);
        match self.mail.encryption {
            Encryption::None => {
                self.stage.set("waiting for its greeting");
                AsyncSmtpConnection::connect_with_transport(Box::new(tcp), &hello).await
            }
            Encryption::Tls => {
                let secured = self.secure(tcp, b"").await?;
                self.stage.set("waiting for its greeting");
                AsyncSmtpConnection::connect_with_transport(Box::new(secured), &hello).await
            }
            Encryption::StartTls => {
                let tcp = self.start_tls(tcp, &hello).await?;
                let secured = self.secure(tcp, b"220 encrypted\r\n").await?;
                self.stage.set("greeting it under TLS");
                AsyncSmtpConnection::connect_with_transport(Box::new(secured), &hello).await
            }
        }
        .map_err(|error| again(format!("{host} does not greet us: {}", said(&error))))
    }

    /// The first of its addresses that answers.
    async fn reach(&self) -> Result<TcpStream, Delivery> {
        let (host, port) = (&self.mail.host, self.mail.port);
        let addresses = names::addresses(host)
            .await
            .map_err(|error| again(format!("cannot find the address of {host}: {error}")))?;
        // A name may lead anywhere.
        if self.mail.encryption == Encryption::None
            && !addresses.iter().all(|address| address.is_loopback())
        {
            return Err(again(format!(
                "{host} is not this host, and mail may leave it only encrypted"
            )));
        }
        self.stage.set("connecting");
        let mut failure = "it has no address".to_owned();
        for address in addresses {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect((address, port))).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => failure = error.to_string(),
                Err(_) => failure = format!("no answer within {CONNECT_TIMEOUT:?}"),
            }
        }
        Err(again(format!(
            "cannot connect to {host}, port {port}: {failure}"
        )))
    }

    fn hello(&self, tcp: &TcpStream) -> ClientId {
        let name = self.hello;
        let whole = name.contains('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if whole {
            return ClientId::Domain(name.to_owned());
        }
        // RFC 5321, 4.1.3: whoever has no full name says an address.
        match tcp.local_addr().map(|local| local.ip()) {
            Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) => ClientId::Domain("localhost".to_owned()),
        }
    }

    /// Asks for TLS on a plain connection. Nothing else is ever said on it.
    async fn start_tls(&self, tcp: TcpStream, hello: &ClientId) -> Result<TcpStream, Delivery> {
        let host = &self.mail.host;
        let broken = |error: std::io::Error| again(format!("the connection to {host}: {error}"));
        let ours = tcp.into_std().map_err(broken)?;
        let theirs = ours.try_clone().map_err(broken)?;
        let theirs = TcpStream::from_std(theirs).map_err(broken)?;
        self.stage.set("waiting for its greeting");
        // Whatever this has read beyond the answer to STARTTLS goes with it.
        let mut plain = AsyncSmtpConnection::connect_with_transport(Box::new(theirs), hello)
            .await
            .map_err(|error| again(format!("{host} does not greet us: {}", said(&error))))?;
        if !plain.can_starttls() {
            return Err(again(format!(
                "{host} offers no STARTTLS, and mail is not sent without encryption: if it speaks TLS from the start, as on port 465, write `encryption = \"tls\"`"
            )));
        }
        self.stage.set("starting TLS");
        plain
            .command(Starttls)
            .await
            .map_err(|error| again(format!("{host} does not start TLS: {}", said(&error))))?;
        TcpStream::from_std(ours).map_err(broken)
    }

    async fn secure(&self, tcp: TcpStream, greeting: &'static [u8]) -> Result<Secured, Delivery> {
        let host = &self.mail.host;
        let config = tls::config(self.ca_file).map_err(|error| again(error.to_string()))?;
        let name = ServerName::try_from(host.clone())
            .map_err(|error| again(format!("`{host}` can have no certificate: {error}")))?;
        self.stage.set("agreeing on TLS");
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .map_err(|error| again(format!("no TLS with {host}: {error}")))?;
        Ok(Secured { tls, greeting })
    }

    async fn log_in(
        &self,
        server: &mut AsyncSmtpConnection,
        login: &Login,
    ) -> Result<(), Delivery> {
        let host = &self.mail.host;
        if self.mail.encryption == Encryption::None {
            return Err(again(format!(
                "no password is sent to {host} without encryption"
            )));
        }
        let password = secret::read(&login.password).map_err(|error| again(error.to_string()))?;
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if server
            .server_info()
            .get_auth_mechanism(&mechanisms)
            .is_none()
        {
            return Err(again(format!(
                "{host} offers no login that we know (PLAIN, LOGIN): leave `user` out if it needs none"
            )));
        }
        self.stage.set("logging in");
        let credentials = Credentials::new(login.user.clone(), password.reveal().to_owned());
        server
            .auth(&mechanisms, &credentials)
            .await
            .map_err(|error| {
                // Servers do not repeat it; should one do so, it goes no further.
                let plain = format!("\0{}\0{}", login.user, password.reveal());
                let said = said(&error)
                    .replace(password.reveal(), REDACTED)
                    .replace(&STANDARD.encode(password.reveal()), REDACTED)
                    .replace(&STANDARD.encode(plain), REDACTED);
                again(format!(
                    "{host} does not accept the login of {}: {said}",
                    login.user
                ))
            })?;
        Ok(())
    }

    /// A failure once the mail itself is being talked about.
    fn failed(&self, what: &str, error: &Error) -> Delivery {
        let host = &self.mail.host;
        let said = said(error);
        let reason = format!("{host} {what}: {said}");
        // 530: authentication required; 535, 538: of that kind (RFC 4954).
        let login = ["530", "534", "535", "538"]
            .iter()
            .any(|code| said.starts_with(code));
        if error.is_permanent() && !login {
            refused(reason)
        } else {
            again(reason)
        }
    }
}

/// `550 5.1.1 No such user`; without an answer, what happened instead.
fn said(error: &Error) -> String {
    let cause = error.source().map(ToString::to_string);
    let said = match (error.status(), cause) {
        (Some(code), Some(words)) => format!("{code} {words}"),
        (Some(code), None) => code.to_string(),
        (None, Some(cause)) => cause,
        (None, None) => error.to_string(),
    };
    one_line(&said.replace(['\r', '\n'], " "), SHOWN_MAX)
}
