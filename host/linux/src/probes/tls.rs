//! TLS, to whoever answers.
//!
//! A probe asks whether a service answers, and sends nothing that is secret. So no
//! certificate is judged, as the kubelet judges none: one that has expired, or that
//! names another host than `127.0.0.1`, is nothing that a restart heals. Until when it is
//! valid is read from it, and told.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::TlsConnector;

use super::error::ProbeError;

/// For whom a server of `host:port` is asked: a name, or an address.
fn asked_host<'a>(place: &'a str, server_name: Option<&'a str>) -> Option<&'a str> {
    server_name.or_else(|| {
        let (host, _) = place.rsplit_once(':')?;
        Some(host.trim_start_matches('[').trim_end_matches(']'))
    })
}

/// The name for which a server of `host:port` is asked; nothing, where that is an address.
pub(super) fn asked_name<'a>(place: &'a str, server_name: Option<&'a str>) -> Option<&'a str> {
    asked_host(place, server_name).filter(|host| host.parse::<IpAddr>().is_err())
}

/// Our side of a conversation with `host:port`, and for whom it asks.
pub(super) fn client(
    place: &str,
    server_name: Option<&str>,
    accepts: Accepts,
) -> Result<(TlsConnector, ServerName<'static>), ProbeError> {
    let wrong = |why: &dyn std::fmt::Display| ProbeError::BadAddress(format!("`{place}`: {why}"));
    let host = asked_host(place, server_name).ok_or_else(|| wrong(&"it is not `host:port`"))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(&error))?;
    let settings = match accepts {
        Accepts::Any => settings()?,
        Accepts::Valid => judging()?,
    };
    Ok((TlsConnector::from(settings), name))
}

/// Whose certificates are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Anybody's: nothing secret is sent.
    Any,
    /// Those that the host's authorities vouch for, for the name that is asked for.
    Valid,
}

/// For what sends a secret.
fn judging() -> Result<Arc<ClientConfig>, ProbeError> {
    let failed = |error| ProbeError::Failed("setting up TLS", io::Error::other(error));
    let settings = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_platform_verifier()
        .map_err(failed)?
        .with_no_client_auth();
    Ok(Arc::new(settings))
}

/// The same for all: making them costs more than a handshake.
fn settings() -> Result<Arc<ClientConfig>, ProbeError> {
    static MADE: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(Arc::clone(made));
    }
    let provider = Arc::new(ring::default_provider());
    let mut settings = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ProbeError::Failed("setting up TLS", io::Error::other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    // Each is to show its certificate each time.
    settings.resumption = Resumption::disabled();
    Ok(Arc::clone(MADE.get_or_init(|| Arc::new(settings))))
}

/// Whether the other side said something that is no TLS.
pub(super) fn is_no_tls(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(
        tls,
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. })
    )
}

/// Accepts every certificate, and still wants proof that the other side has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
