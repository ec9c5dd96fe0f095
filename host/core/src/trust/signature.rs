//! minisign signatures of components, verified offline.
//!
//! The signed ("trusted") comment names the strategy and its version, so that
//! neither can be changed, and one's signature is no other's:
//!
//! ```text
//! minisign -S -m site-fix.wasm -t "prunella strategy site-fix 1.2.0"
//! ```

use std::{collections::BTreeMap, fmt};

use minisign_verify::{Error, Signature as Minisign};
use semver::Version;

use super::TrustedKey;
use crate::{StrategyName, text::one_line};

/// A signature that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The version that it names.
    pub version: Version,
    /// The key's name: the stem of its file in `keys/`.
    pub key: String,
    /// Whose key it is, in the operator's words.
    pub comment: String,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} by `{}`", self.version, self.key)?;
        if !self.comment.is_empty() {
            write!(f, " ({})", one_line(&self.comment, 120))?;
        }
        Ok(())
    }
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The file could not be read, or not be trusted.
    #[error("{0}")]
    File(String),
    /// It is not one of minisign's.
    #[error("the file is not a signature of minisign's (four lines, as `minisign -S` writes them)")]
    Format,
    /// Made in the format before minisign 0.6.
    #[error(
        "it is in minisign's legacy format, which is not taken; sign again without `-l` (before version 0.11: with `-H`)"
    )]
    Legacy,
    /// No trusted key made it.
    #[error(
        "none of the trusted keys made it; if you trust its author, add their key to the folder `keys`"
    )]
    UnknownKey,
    /// The bytes or the comment are not what was signed.
    #[error(
        "the file or the signed comment was changed after it was signed by `{key}`; get both anew from their author"
    )]
    Tampered {
        /// The key it claims.
        key: String,
    },
    /// The key signs other strategies.
    #[error(
        "the key `{key}` may sign {}, and not `{strategy}`; add the name to `names` in keys/{key}.toml if it may",
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    )]
    NotItsName {
        key: String,
        /// What it may sign.
        names: Vec<String>,
        /// What it signed.
        strategy: String,
    },
    /// The signed comment does not say what it should.
    #[error(
        "the signed comment is `{comment}`, and should be `prunella strategy NAME VERSION`; its author signs with `-t \"prunella strategy {strategy} 1.0.0\"`"
    )]
    Comment {
        /// What it says.
        comment: String,
        /// What this is.
        strategy: String,
    },
    /// It is for another strategy.
    #[error("it is a signature of `{signed}`, and this is `{strategy}`")]
    OtherName {
        /// What was signed.
        signed: String,
        /// What this is.
        strategy: String,
    },
    /// The version is none.
    #[error(
        "the signed comment has `{version}` for a version, and should have one such as `1.2.0`"
    )]
    Version {
        /// What it has.
        version: String,
    },
}

/// Verifies that a trusted key signed these bytes as this strategy.
///
/// # Errors
/// Why the signature does not count.
pub fn verify(
    strategy: &StrategyName,
    wasm: &[u8],
    signature: &str,
    keys: &BTreeMap<String, TrustedKey>,
) -> Result<Signed, SignatureError> {
    let parsed = Minisign::decode(signature).map_err(|_| SignatureError::Format)?;
    // Several files may hold one key, each for some names.
    let mut failed = SignatureError::UnknownKey;
    for key in keys.values() {
        match key.public.verify(wasm, &parsed, false) {
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => return Err(SignatureError::Legacy),
            // Key ids are chosen by whoever makes a key: another may be right.
            Err(_) => {
                if failed == SignatureError::UnknownKey {
                    failed = SignatureError::Tampered {
                        key: key.name.clone(),
                    };
                }
            }
            Ok(()) if !key.may_sign(strategy) => {
                failed = SignatureError::NotItsName {
                    key: key.name.clone(),
                    names: key.names.clone(),
                    strategy: strategy.to_string(),
                };
            }
            Ok(()) => {
                return Ok(Signed {
                    version: version(strategy, parsed.trusted_comment())?,
                    key: key.name.clone(),
                    comment: key.comment.clone(),
                });
            }
        }
    }
    Err(failed)
}

/// The version that a signed comment names, if it is about this strategy.
fn version(strategy: &StrategyName, comment: &str) -> Result<Version, SignatureError> {
    let rest = comment.strip_prefix("prunella strategy ");
    let Some((name, version)) = rest.and_then(|rest| rest.split_once(' ')) else {
        return Err(SignatureError::Comment {
            comment: one_line(comment, 120),
            strategy: strategy.to_string(),
        });
    };
    if name != strategy.as_str() {
        return Err(SignatureError::OtherName {
            signed: one_line(name, 64),
            strategy: strategy.to_string(),
        });
    }
    Version::parse(version).map_err(|_| SignatureError::Version {
        version: one_line(version, 64),
    })
}
