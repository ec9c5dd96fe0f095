//! Whose certificates are accepted over HTTP.

use super::*;
use crate::{
    certificates::Certificates,
    receiver::{Receiver, Reply},
};

fn receiver(certificates: &Certificates) -> Receiver {
    Receiver::with_tls(Reply::status(200, "", ""), certificates.server())
}

fn kind(receiver: &Receiver, host: &str) -> ChannelKind {
    alertmanager_at(&format!("https://{host}:{}", receiver.address.port()))
}

#[test]
fn a_certificate_of_our_own_authority() {
    let certificates = Certificates::new("DNS:localhost,IP:127.0.0.1");
    let receiver = receiver(&certificates);
    for host in ["localhost", "127.0.0.1"] {
        let settings = with_ca(kind(&receiver, host), &certificates.authority());
        delivered(send(&settings, &message()));
        receiver.request();
    }
}

#[test]
fn nobody_else_s() {
    let certificates = Certificates::new("IP:127.0.0.1");
    let receiver = receiver(&certificates);
    let other = Certificates::new("IP:127.0.0.1");
    let theirs = with_ca(kind(&receiver, "127.0.0.1"), &other.authority());
    let reason = try_again(send(&theirs, &message()));
    // One of the same name is not the same.
    assert!(
        reason.contains("invalid peer certificate: BadSignature"),
        "{reason}"
    );
    // The system's own know it as little, if there are any.
    try_again(send(&settings(kind(&receiver, "127.0.0.1")), &message()));
    receiver.assert_silent();
}

#[test]
fn nor_one_for_another_name() {
    let certificates = Certificates::new("DNS:mail.example.org");
    let receiver = receiver(&certificates);
    let settings = with_ca(kind(&receiver, "127.0.0.1"), &certificates.authority());
    let reason = try_again(send(&settings, &message()));
    assert!(reason.contains("not valid for"), "{reason}");
    receiver.assert_silent();
}

#[test]
fn an_authority_that_is_none() {
    let certificates = Certificates::new("IP:127.0.0.1");
    let receiver = receiver(&certificates);
    for file in ["openssl.cnf", "nothing.pem"] {
        let settings = with_ca(kind(&receiver, "127.0.0.1"), &certificates.path(file));
        let reason = try_again(send(&settings, &message()));
        assert!(
            reason.contains("cannot read certificate authorities from"),
            "{reason}"
        );
    }
    receiver.assert_silent();
}
