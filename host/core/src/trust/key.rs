//! Keys that the operator trusts, each for some names.

use minisign_verify::{Error, PublicKey};

use crate::{StrategyName, glob};

/// Why a text is not a minisign public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is for another algorithm.
    #[error("it is a key for another algorithm than minisign's Ed25519")]
    Algorithm,
    /// It is something else.
    #[error("it is not the public key of minisign")]
    Encoding,
}

/// A key whose signatures count, for the names that it may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The stem of its file in `keys/`.
    pub name: String,
    /// Whose it is, in the operator's words.
    pub comment: String,
    /// Patterns of the strategies it may sign, with `*` and `?`.
    pub names: Vec<String>,
    pub(super) public: PublicKey,
}

impl TrustedKey {
    /// A key from its base64, the second line of a `minisign.pub`.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn new(
        name: String,
        key: &str,
        comment: String,
        names: Vec<String>,
    ) -> Result<Self, KeyError> {
        let public = PublicKey::from_base64(key.trim()).map_err(|error| match error {
            Error::UnsupportedAlgorithm => KeyError::Algorithm,
            _ => KeyError::Encoding,
        })?;
        Ok(Self {
            name,
            comment,
            names,
            public,
        })
    }

    /// Whether its signature counts for this strategy.
    pub fn may_sign(&self, strategy: &StrategyName) -> bool {
        self.names
            .iter()
            .any(|pattern| glob::matches(pattern, strategy.as_str()))
    }
}
