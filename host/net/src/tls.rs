//! TLS as everybody here uses it: rustls with ring, and the system's authorities
//! or the operator's own.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Larger than the file of all authorities that systems have.
const CA_FILE_MAX: u64 = 4 << 20;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls and ring do not fit each other.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
    /// The system has no authorities.
    #[error(
        "cannot read the system's certificate authorities: {0}; install the package \
         ca-certificates, or name a file with `ca-file`"
    )]
    System(rustls::Error),
    /// The operator's own authorities cannot be had.
    #[error("cannot read certificate authorities from {}: {reason}", file.display())]
    CaFile { file: PathBuf, reason: String },
}

/// What to accept where no TLS is spoken: nobody. A host without authorities can
/// still talk to itself.
///
/// # Errors
/// [`TlsError::Setup`].
pub fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    Ok(builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// What to accept: certificates of the authorities in `ca_file` alone, or of the
/// system's.
///
/// # Errors
/// [`TlsError`].
pub fn config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let builder = builder()?;
    let Some(path) = ca_file else {
        return builder
            .with_platform_verifier()
            .map(|builder| builder.with_no_client_auth())
            .map_err(TlsError::System);
    };
    let failed = |reason: &dyn std::fmt::Display| TlsError::CaFile {
        file: path.to_owned(),
        reason: reason.to_string(),
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

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)
}
