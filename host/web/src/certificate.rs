//! The certificate, read again when its files change.
//!
//! Whoever renews it replaces the files and needs to tell nobody: with a new connection, and
//! at most once in five seconds, the files are looked at. A pair that cannot be used (half
//! written, or not of one another) is told of in the journal, and the one before stays.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// So often the files are looked at, at most.
const EVERY: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {path}: {source}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} holds no {what} in PEM form: {detail}")]
    Missing {
        path: PathBuf,
        what: &'static str,
        detail: String,
    },
    #[error("the certificate and the key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// A certificate from two files.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    now: Mutex<Now>,
}

struct Now {
    pair: Arc<CertifiedKey>,
    seen: Seen,
    looked: Instant,
}

/// What tells that a file is another one: when it was changed, and how long it is.
type Seen = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads both files.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        // Before the content: what changes in between is read again.
        let seen = seen(chain, key);
        let pair = Arc::new(pair(chain, key)?);
        Ok(Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            now: Mutex::new(Now {
                pair,
                seen,
                looked: Instant::now(),
            }),
        })
    }

    /// The pair as the files have it now.
    fn current(&self, every: Duration) -> Arc<CertifiedKey> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= every {
            now.looked = Instant::now();
            let seen = seen(&self.chain, &self.key);
            if seen != now.seen {
                now.seen = seen;
                match pair(&self.chain, &self.key) {
                    Ok(pair) => {
                        now.pair = Arc::new(pair);
                        tracing::info!(certificate = %self.chain.display(), "uses a new certificate");
                    }
                    Err(error) => tracing::error!(
                        %error,
                        "the new certificate cannot be used; the one before stays in use"
                    ),
                }
            }
        }
        Arc::clone(&now.pair)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current(EVERY))
    }
}

fn seen(chain: &Path, key: &Path) -> Seen {
    [chain, key].map(|path| {
        let there = fs::metadata(path).ok()?;
        Some((there.modified().ok()?, there.len()))
    })
}

fn pair(chain: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| CertificateError::Unreadable {
            path: path.to_owned(),
            source,
        })
    };
    let missing = |path: &Path, what, detail: String| CertificateError::Missing {
        path: path.to_owned(),
        what,
        detail,
    };
    let bytes = read(chain)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| missing(chain, "certificate", error.to_string()))?;
    if certificates.is_empty() {
        return Err(missing(chain, "certificate", "none is in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| missing(key, "private key", error.to_string()))?;
    Ok(CertifiedKey::from_der(
        certificates,
        private,
        &ring::default_provider(),
    )?)
}

/// How TLS is spoken with this certificate: TLS 1.2 and 1.3, HTTP/1.1.
pub fn server_config(certificate: Certificate) -> Result<ServerConfig, CertificateError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
