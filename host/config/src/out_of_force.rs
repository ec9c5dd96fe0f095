//! The services whose files are not used, for the mistakes in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use prunella_core::{UnitName, service::Service};
use toml::de::DeTable;

use super::load::{SERVICES, read_text, toml_files};

/// A services file that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfForce {
    /// Below the configuration's folder.
    pub file: PathBuf,
    /// What is wrong, on one line, with its place.
    pub mistake: String,
    /// Whether the file seems to say that the service is critical.
    critical: bool,
}

impl OutOfForce {
    /// A service that is watched and not healed, so that people hear of its failures.
    pub(super) fn service(&self, root: &Path, unit: &UnitName) -> Service {
        Service {
            critical: self.critical,
            declared_in: Some(root.join(&self.file)),
            ..Service::new(unit.clone())
        }
    }
}

/// The units of the files `left_out` below `root`, each with its mistake, as far as no
/// other file puts them in care. Nothing but messages depends on it, so a guess is better
/// than silence.
pub(super) fn units(
    root: &Path,
    left_out: &BTreeMap<PathBuf, String>,
    in_care: &BTreeMap<UnitName, Service>,
) -> BTreeMap<UnitName, OutOfForce> {
    let whole_folder = left_out.get(Path::new(SERVICES)).into_iter();
    let files = whole_folder.flat_map(|mistake| {
        files(root)
            .into_iter()
            .map(move |file| (file, mistake.clone()))
    });
    let single = left_out
        .iter()
        .filter(|(file, _)| file.parent() == Some(Path::new(SERVICES)))
        .map(|(file, mistake)| (file.clone(), mistake.clone()));
    files
        .chain(single)
        .filter_map(|(file, mistake)| known(root, file, mistake))
        .filter(|(unit, _)| !in_care.contains_key(unit))
        .collect()
}

/// The services' files, whatever is in them.
fn files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(SERVICES)) else {
        return Vec::new();
    };
    let all = entries
        .flatten()
        .map(|entry| Path::new(SERVICES).join(entry.file_name()))
        .collect();
    toml_files(all).0
}

/// The unit that a file declares; one that cannot be understood is taken for that of
/// its name, by which `prunella enable` writes it.
fn known(root: &Path, file: PathBuf, mistake: String) -> Option<(UnitName, OutOfForce)> {
    let text = read_text(&root.join(&file)).map_or_else(
        |_| String::new(),
        |(_, bytes)| String::from_utf8_lossy(&bytes).into_owned(),
    );
    let (table, _) = DeTable::parse_recoverable(&text);
    let declared = table.get_ref().get("unit");
    let declared = declared
        .and_then(|unit| unit.get_ref().as_str())
        .and_then(|unit| UnitName::from_user(unit).ok());
    let critical = table.get_ref().get("critical");
    let critical = critical.and_then(|critical| critical.get_ref().as_bool());
    let unit = declared.or_else(|| UnitName::from_user(file.file_stem()?.to_str()?).ok())?;
    // A template never runs itself.
    if unit.is_template() {
        return None;
    }
    let out = OutOfForce {
        file,
        mistake,
        critical: critical.unwrap_or(false),
    };
    Some((unit, out))
}
