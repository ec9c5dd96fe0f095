//! The question of a `tls` probe: whether somebody speaks TLS, and with which certificate.

use std::time::Instant;

use prunella_core::service::TlsQuestion;

use super::{Seen, certificate, error::ProbeError, wire::Talk};

/// Greets whoever listens there, and looks at its certificate.
pub(super) async fn ask(question: &TlsQuestion, until: Instant) -> Result<Seen, ProbeError> {
    let server_name = question.server_name.as_deref();
    let talk = Talk::tls(&question.place, server_name, until).await?;
    let certificate = certificate::shown(&talk, &question.place, server_name);
    let detail = match &certificate {
        Some(certificate) => {
            let whose = match &certificate.name {
                Some(name) => format!(" for {name}"),
                None => String::new(),
            };
            let until = certificate.ends.day().unwrap_or_else(|| "ever".to_owned());
            format!("it speaks TLS, with a certificate{whose} until {until}")
        }
        None => "it speaks TLS".to_owned(),
    };
    Ok(Seen {
        healthy: true,
        detail,
        certificate,
    })
}
