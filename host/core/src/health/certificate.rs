//! For how long certificates have to stay valid: `[health] certificate`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Certificate;

/// For how long the certificate of a service has to stay valid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSettings {
    /// With so long left, or less, its service is degraded. When absent: a third of its
    /// lifetime, 21 days at most. Who renews certificates does it before.
    pub degraded: Option<Duration>,
    /// With so long left, or less, that is critical; a third of the above, when absent.
    pub critical: Option<Duration>,
}

impl CertificateSettings {
    /// No certificate has to be valid for longer.
    const LONGEST: Duration = Duration::from_secs(21 * 24 * 3_600);

    /// From when on this one makes its service degraded.
    pub fn degraded_at(&self, certificate: &Certificate) -> Duration {
        let lifetime = certificate.ends.since(certificate.begins);
        self.degraded
            .unwrap_or_else(|| (lifetime / 3).min(Self::LONGEST))
    }

    /// From when on that is critical.
    pub fn critical_at(&self, certificate: &Certificate) -> Duration {
        self.critical
            .unwrap_or_else(|| self.degraded_at(certificate) / 3)
    }
}
