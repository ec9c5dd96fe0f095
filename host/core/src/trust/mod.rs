//! Whom to trust with acting: signatures, keys, and hashes of bytes.
//!
//! Looking needs no trust. Acting does, and the right to it never follows a
//! file's name. What gives it to a component's bytes:
//!
//! | who says so | how | `required` | `warn` | `off` |
//! |---|---|---|---|---|
//! | the operator, by hand | `sha256` under `[strategy.NAME]` | yes | yes | yes |
//! | a key in `keys/` that may sign this name | `NAME.wasm.minisig` | yes | yes | not looked at |
//! | `prunella plugin add` | the `sha256` that it wrote beside | no | yes | yes |
//!
//! A `sha256` by hand is the operator's own word for exactly these bytes. It is
//! as good as a signature, and it is the last word: where there is one, other
//! bytes may only observe, whoever signed them.

mod key;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

pub use self::{
    key::{KeyError, TrustedKey},
    signature::{SignatureError, Signed, verify},
};

/// Whether what acts has to be signed: `signatures` in `prunella.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignaturePolicy {
    /// What acts is signed by a trusted key, or pinned by hand.
    #[default]
    Required,
    /// What `prunella plugin add` installed may act without a signature; it is
    /// said so.
    Warn,
    /// Signatures are not looked at.
    Off,
}

impl SignaturePolicy {
    /// All there are, with their words in the configuration.
    pub const ALL: [(&'static str, Self); 3] = [
        ("required", Self::Required),
        ("warn", Self::Warn),
        ("off", Self::Off),
    ];
}

/// What is known of where some bytes come from.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The bytes' own hash, in lower-case hexadecimal.
    pub sha256: &'a str,
    /// The hash that the operator pinned by hand.
    pub by_hand: Option<&'a str>,
    /// The hash that `prunella plugin add` wrote down.
    pub installed: Option<&'a str>,
    /// What became of the signature.
    pub signature: &'a Signature,
    /// The highest version of this name that was seen on this host.
    pub highest: Option<&'a Version>,
    /// What the configuration wants.
    pub policy: SignaturePolicy,
}

/// What became of looking at a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// The policy is not to look.
    NotLookedAt,
    /// There is none.
    Absent,
    /// It is good.
    Good(Signed),
    /// It is not.
    Bad(SignatureError),
}

impl Signature {
    /// Who signed which version, when it is good.
    pub fn good(&self) -> Option<&Signed> {
        match self {
            Self::Good(signed) => Some(signed),
            _ => None,
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLookedAt => f.write_str("not looked at (signatures = \"off\")"),
            Self::Absent => f.write_str("none"),
            Self::Good(signed) => signed.fmt(f),
            Self::Bad(error) => write!(f, "not good: {error}"),
        }
    }
}

/// What is known of a component's trustworthiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustStatus {
    /// What became of its signature.
    pub signature: Signature,
    /// Whether it may act, if it is granted to.
    pub right: Result<Right, NoRight>,
}

impl TrustStatus {
    /// What follows from the evidence.
    pub fn of(evidence: &Evidence<'_>) -> Self {
        Self {
            signature: evidence.signature.clone(),
            right: right_to_act(evidence),
        }
    }
}

/// Why some bytes may act, if they are granted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// The operator pinned them by hand.
    ByHand,
    /// A trusted key signed them for this name.
    Signed,
    /// `prunella plugin add` installed them, and no signature is needed.
    Installed,
}

/// Why some bytes may only observe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRight {
    /// The operator pinned other bytes by hand.
    #[error(
        "`sha256` in [strategy.NAME] names other bytes, and these may only observe; if you trust them, set sha256 = \"{sha256}\" there"
    )]
    OtherBytes {
        /// What these are.
        sha256: String,
    },
    /// Its signature is not good.
    #[error("its signature is not good, so it may only observe: {0}")]
    BadSignature(#[from] SignatureError),
    /// It is signed, and older than what was here.
    #[error(
        "it is version {version}, and {highest} has been on this host: an older version may only observe, unless `prunella plugin add --allow-downgrade` installs it"
    )]
    Older {
        version: Version,
        /// The highest that was seen.
        highest: Version,
    },
    /// Nobody vouches for it.
    #[error(
        "it is not signed, so it may only observe; install it with its signature by `prunella plugin add`, or vouch for it yourself with sha256 = \"{sha256}\" under [strategy.NAME]"
    )]
    Unsigned {
        /// What these are.
        sha256: String,
    },
    /// It was put there past `plugin add`.
    #[error(
        "it is not the file that `prunella plugin add` installed, so it may only observe; install it by that command, or vouch for it yourself with sha256 = \"{sha256}\" under [strategy.NAME]"
    )]
    NotInstalled {
        /// What these are.
        sha256: String,
    },
}

/// Whether these bytes may act at all, and why.
///
/// # Errors
/// Why they may only observe.
pub fn right_to_act(evidence: &Evidence<'_>) -> Result<Right, NoRight> {
    let sha256 = || evidence.sha256.to_owned();
    let is = |pin: &str| pin.eq_ignore_ascii_case(evidence.sha256);
    if let Some(pin) = evidence.by_hand {
        return if is(pin) {
            Ok(Right::ByHand)
        } else {
            Err(NoRight::OtherBytes { sha256: sha256() })
        };
    }
    if let Some(signed) = evidence.signature.good() {
        return match evidence.highest {
            Some(highest) if signed.version < *highest => Err(NoRight::Older {
                version: signed.version.clone(),
                highest: highest.clone(),
            }),
            _ => Ok(Right::Signed),
        };
    }
    let installed = evidence.installed.is_some_and(is);
    match (evidence.signature, evidence.policy) {
        // Made by a key that is not trusted here, it is worth what none is.
        (Signature::Bad(SignatureError::UnknownKey), SignaturePolicy::Warn) if installed => {
            Ok(Right::Installed)
        }
        (Signature::Bad(error), _) => Err(error.clone().into()),
        (_, SignaturePolicy::Required) => Err(NoRight::Unsigned { sha256: sha256() }),
        (_, SignaturePolicy::Warn | SignaturePolicy::Off) if installed => Ok(Right::Installed),
        (_, SignaturePolicy::Warn | SignaturePolicy::Off) => {
            Err(NoRight::NotInstalled { sha256: sha256() })
        }
    }
}
