//! What stands at the declared path, and what could take its place.

use std::path::Path;

use cap_std::fs::MetadataExt as _;
use prunella_core::{Timestamp, capability::Answer, hash::sha256};

use super::{CONTENT, Origin, copies::Copies, replace};
use crate::{
    remedies::in_folder::{look, unsafe_path},
    safe_path::{self, Rule, WalkError},
};

/// What the file is now.
pub(in crate::remedies) enum Now {
    Missing,
    Empty {
        is: (u64, u64),
    },
    Full {
        is: (u64, u64),
        sha256: String,
        modified: Timestamp,
    },
    /// Something that is not replaced.
    Other(String),
}

/// What the file is now.
pub(in crate::remedies) fn look_at(name: &str, path: &Path) -> Answer<Now> {
    let place = match safe_path::walk_to_folder(path, Rule::Change) {
        Ok(place) => place,
        Err(WalkError::MissingFolder) => {
            return Ok(Now::Other(format!("the folder of `{name}` does not exist")));
        }
        Err(error) => return Err(unsafe_path(path, &error.to_string())),
    };
    let Some(found) = look(&place, &place.name)? else {
        return Ok(Now::Missing);
    };
    if !found.is_file() {
        return Ok(Now::Other(format!("`{name}` is no regular file")));
    }
    if found.nlink() != 1 {
        return Ok(Now::Other(format!("`{name}` has a second name elsewhere")));
    }
    let is = (found.dev(), found.ino());
    if found.len() == 0 {
        return Ok(Now::Empty { is });
    }
    if found.len() > CONTENT {
        return Ok(Now::Other(format!("`{name}` is larger than 1 MiB")));
    }
    let content = replace::content_at(&place, path)?;
    let seconds = u64::try_from(found.mtime()).unwrap_or_default();
    Ok(Now::Full {
        is,
        sha256: sha256(&content),
        modified: Timestamp::from_millis(seconds.saturating_mul(1000)),
    })
}

/// The hash and size of what the declared source holds, and what it is brought back from; or
/// why it cannot be.
pub(super) fn source_of(
    name: &str,
    source: &Path,
    copies: &Copies,
) -> Answer<Result<(String, u64, Origin), String>> {
    if safe_path::belongs_to_root(source).is_err() {
        return Ok(Err(format!(
            "the source of `{name}` is missing, or others than root can change it"
        )));
    }
    let (content, found) = replace::read(source)?;
    if content.is_empty() {
        return Ok(Err(format!("the source of `{name}` is empty")));
    }
    let ownership = copies.latest().map_or(found, |copy| copy.ownership);
    let from = Origin::Source(source.to_owned(), ownership);
    Ok(Ok((sha256(&content), content.len() as u64, from)))
}
