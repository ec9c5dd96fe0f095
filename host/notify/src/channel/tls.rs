//! TLS as every channel uses it: rustls with ring, and the system's authorities
//! or the operator's own.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Larger than the file of all authorities that systems have.
const CA_FILE_MAX: u64 = 4 << 20;

/// What to accept where no TLS is spoken: nobody. A host without authorities can
/// still talk to itself.
pub(super) fn trusting_nobody() -> Result<ClientConfig, String> {
    Ok(builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot set up TLS: {error}"))
}

/// What to accept: certificates of the authorities in `ca_file` alone, or of the
/// system's.
pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let builder = builder()?;
    let Some(path) = ca_file else {
        return builder
            .with_platform_verifier()
            .map(|builder| builder.with_no_client_auth())
            .map_err(|error| {
                format!(
                    "cannot read the system's certificate authorities: {error}; install the package ca-certificates, or name a file with `ca-file`"
                )
            });
    };
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "cannot read certificate authorities from {}: {error}",
            path.display()
        )
    };
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CA_FILE_MAX).read_to_end(&mut pem))
        .map_err(|error| failed(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"there is none in it (PEM is needed)"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
