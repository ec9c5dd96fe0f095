//! What a server's certificate says of itself: whose it is, and until when it is valid.
//!
//! It is somebody else's text, and is read without being trusted: no signature and no
//! authority is looked at.

use std::time::Duration;

use prunella_core::{Timestamp, capability::Certificate, text};
use x509_cert::{
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::{tls, wire::Talk};

/// Characters of a name.
const NAME: usize = 100;

/// What the other side has shown of itself, where `place` was asked for `server_name`.
/// `None` where it has shown nothing that can be read.
pub(super) fn shown(talk: &Talk, place: &str, server_name: Option<&str>) -> Option<Certificate> {
    read(talk.certificate()?, tls::asked_name(place, server_name))
}

/// Reads a certificate in DER. `asked` is the name that was asked for. `None`, when it
/// cannot be read: it says nothing then.
pub(super) fn read(der: &[u8], asked: Option<&str>) -> Option<Certificate> {
    let certificate = match x509_cert::Certificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(error) => {
            tracing::debug!("a certificate cannot be read: {error}");
            return None;
        }
    };
    let read = certificate.tbs_certificate();
    let validity = read.validity();
    let name = asked
        .map(str::to_owned)
        .or_else(|| first_name(read))
        .map(|name| text::one_line(&name, NAME));
    Some(Certificate {
        name,
        begins: at(validity.not_before.to_unix_duration()),
        ends: at(validity.not_after.to_unix_duration()),
    })
}

/// The first host that it names.
fn first_name(read: &x509_cert::TbsCertificate) -> Option<String> {
    let (_, names) = read.get_extension::<SubjectAltName>().ok()??;
    names.0.iter().find_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        _ => None,
    })
}

fn at(since_1970: Duration) -> Timestamp {
    Timestamp::default().saturating_add(since_1970)
}
