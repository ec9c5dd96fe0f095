//! Reading a component that is in place, and finding out what it may.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use prunella_config::{Config, StrategySettings};
use prunella_core::{
    StrategyName,
    hash::sha256,
    trust::{self, Evidence, Signature, SignatureError, SignaturePolicy, TrustStatus},
};
use prunella_healer::{Component, FileError};
use prunella_linux::trusted_file::{self, TrustedFileError};

use super::{install_paths::signature_of, versions::Versions};
use crate::explained;

/// The largest component that is read. Python's runtime makes 18 MB.
pub const MAX_COMPONENT: u64 = 64 << 20;

/// Minisign's have 300 bytes or so.
pub const MAX_SIGNATURE: u64 = 16 << 10;

/// Reads the components of the operator's, all or `only` these.
pub fn read_all(
    config: &Config,
    versions: &Versions,
    only: Option<&BTreeSet<StrategyName>>,
) -> BTreeMap<StrategyName, Result<Component, FileError>> {
    config
        .strategies
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only.contains(*name)))
        .filter_map(|(name, set)| {
            let path = set.component.as_ref()?;
            Some((name.clone(), read(config, versions, name, path, set)))
        })
        .collect()
}

/// Reads a component and its signature, each once, if root can trust the files.
pub fn read(
    config: &Config,
    versions: &Versions,
    name: &StrategyName,
    path: &Path,
    set: &StrategySettings,
) -> Result<Component, FileError> {
    let bytes = trusted_file::read(path, MAX_COMPONENT).map_err(|error| FileError {
        gone: error.is_gone(),
        message: explained(&error),
    })?;
    let signature = match read_signature(config.signatures, path) {
        Ok(Some(text)) => checked(config, name, &bytes, &text),
        Ok(None) if config.signatures == SignaturePolicy::Off => Signature::NotLookedAt,
        Ok(None) => Signature::Absent,
        Err(error) => Signature::Bad(SignatureError::File(explained(&error))),
    };
    let sha256 = sha256(&bytes);
    let trust = trust(config, versions, name, set, &sha256, &signature);
    Ok(Component {
        bytes,
        sha256,
        trust,
    })
}

/// What the bytes with this hash may, with this signature.
pub fn trust(
    config: &Config,
    versions: &Versions,
    name: &StrategyName,
    set: &StrategySettings,
    sha256: &str,
    signature: &Signature,
) -> TrustStatus {
    TrustStatus::of(&Evidence {
        sha256,
        by_hand: set.sha256.as_deref(),
        installed: set.installed.as_ref().map(|record| record.sha256.as_str()),
        signature,
        highest: versions.highest(name),
        policy: config.signatures,
    })
}

/// What becomes of looking at a signature's text.
pub fn checked(config: &Config, name: &StrategyName, bytes: &[u8], text: &str) -> Signature {
    if config.signatures == SignaturePolicy::Off {
        return Signature::NotLookedAt;
    }
    match trust::verify(name, bytes, text, &config.keys) {
        Ok(signed) => Signature::Good(signed),
        Err(error) => Signature::Bad(error),
    }
}

/// The text of the signature beside a component; none when there is none, or
/// nobody looks.
fn read_signature(
    policy: SignaturePolicy,
    component: &Path,
) -> Result<Option<String>, TrustedFileError> {
    if policy == SignaturePolicy::Off {
        return Ok(None);
    }
    match trusted_file::read(&signature_of(component), MAX_SIGNATURE) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}
