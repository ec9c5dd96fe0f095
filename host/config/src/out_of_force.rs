//! Of which services the files are that were left out for the mistakes in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use prunella_core::{UnitName, service::Service};
use toml::de::DeTable;

/// So much of a file is read.
const MOST: u64 = 1 << 20;

/// The units of the files `left_out` below `root`, as far as no other file puts them in
/// care. Nothing but messages depends on it, so a guess is better than silence.
pub(super) fn units(
    root: &Path,
    left_out: &BTreeSet<PathBuf>,
    in_care: &BTreeMap<UnitName, Service>,
) -> BTreeMap<UnitName, PathBuf> {
    left_out
        .iter()
        .filter_map(|file| Some((unit_of(root, file)?, file.clone())))
        .filter(|(unit, _)| !in_care.contains_key(unit))
        .collect()
}

/// The unit that a file declares; one that cannot be understood is taken for that of
/// its name, by which `prunella enable` writes it.
fn unit_of(root: &Path, file: &Path) -> Option<UnitName> {
    let declared = text(&root.join(file)).and_then(|text| {
        let (table, _) = DeTable::parse_recoverable(&text);
        let unit = table.get_ref().get("unit")?.get_ref().as_str()?;
        UnitName::from_user(unit).ok()
    });
    declared.or_else(|| UnitName::from_user(file.file_stem()?.to_str()?).ok())
}

fn text(path: &Path) -> Option<String> {
    // A pipe would block the opening.
    if !path.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST).read_to_end(&mut bytes))
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
