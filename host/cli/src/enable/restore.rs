//! What `disable` set aside, and `enable` puts back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use prunella_core::UnitName;

use crate::{
    output::{self, GOOD},
    paths::Paths,
};

/// What is behind the name of a file that is out of force.
const SUFFIX: &str = ".disabled";

/// The name that a file has while it is out of force.
pub(super) fn set_aside_name(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(SUFFIX);
    name.into()
}

/// Gives a file that was set aside before another name: nobody's edits are lost.
pub(super) fn make_room(set_aside: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(set_aside).is_err() {
        return Ok(());
    }
    let older = (1..)
        .map(|number: u32| {
            let mut name = set_aside.to_owned().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        })
        .find(|name| fs::symlink_metadata(name).is_err());
    let Some(older) = older else { return Ok(()) };
    fs::rename(set_aside, &older)
        .with_context(|| format!("cannot rename {}", set_aside.display()))?;
    output::print(&format!(
        "  {GOOD}renamed   {} to {}{GOOD:#}\n",
        set_aside.display(),
        older.display()
    ))?;
    Ok(())
}

/// A services file that `disable` set aside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    /// As it lies there.
    pub(super) path: PathBuf,
    /// The name that it has in force.
    pub(super) in_force: PathBuf,
    pub(super) text: String,
}

impl SetAside {
    /// Its lines, without the first one that Prunella wrote for itself.
    pub(super) fn shown(&self) -> impl Iterator<Item = &str> {
        let mark = |line: &&str| line.starts_with("# Written by Prunella;");
        self.text.lines().skip_while(mark)
    }

    /// Takes it into force again.
    pub(super) fn restore(&self) -> anyhow::Result<()> {
        fs::rename(&self.path, &self.in_force)
            .with_context(|| format!("cannot restore {}", self.path.display()))
    }
}

/// The file that was set aside for `unit`, by what it declares. Where there are several, the
/// one with the name that `enable` would give comes first.
pub(super) fn find(
    paths: &Paths,
    unit: &UnitName,
    usual: &Path,
) -> anyhow::Result<Option<SetAside>> {
    let folder = paths.services();
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(None);
    };
    let usual = set_aside_name(usual);
    let mut found = None;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let name = path.to_str().unwrap_or_default();
        let Some(in_force) = name
            .strip_suffix(SUFFIX)
            .filter(|name| name.ends_with(".toml"))
            .map(PathBuf::from)
        else {
            continue;
        };
        // A name that is taken again is not this unit's any more.
        if !path.is_file() || fs::symlink_metadata(&in_force).is_ok() {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if declared(&text).as_ref() != Some(unit) {
            continue;
        }
        if path == usual || found.is_none() {
            found = Some(SetAside {
                path,
                in_force,
                text,
            });
        }
    }
    Ok(found)
}

/// The unit that a services file is about.
fn declared(text: &str) -> Option<UnitName> {
    let table: toml::Table = toml::from_str(text).ok()?;
    UnitName::from_user(table.get("unit")?.as_str()?).ok()
}

/// The lines of `now` that say something which `text` does not: what would be written anew.
/// A list with nothing in it says nothing.
pub(super) fn news<'a>(text: &str, now: &'a str) -> Vec<&'a str> {
    let known: Vec<&str> = text.lines().map(str::trim).collect();
    let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
    // What it sets already, the operator set.
    let set: Vec<String> = known
        .iter()
        .filter(|line| says(line) && !is_empty_list(line))
        .filter_map(|line| key(line))
        .collect();
    now.lines()
        .filter(|line| says(line) && !is_empty_list(line) && !known.contains(&line.trim()))
        .filter(|line| key(line).is_none_or(|key| !set.contains(&key)))
        .collect()
}

/// The lines of `text` that would not be written anew, but for what follows from whether the
/// service runs.
pub(super) fn lost<'a>(text: &'a str, now: &str) -> Vec<&'a str> {
    let again: Vec<&str> = now.lines().map(str::trim).collect();
    text.lines()
        .map(str::trim)
        .filter(|line| says(line) && !is_empty_list(line) && !line.starts_with("run-policy"))
        .filter(|line| !again.contains(line))
        .collect()
}

fn says(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn is_empty_list(line: &str) -> bool {
    line.split_once('=')
        .is_some_and(|(_, value)| value.trim() == "[]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: &Path) -> Paths {
        Paths {
            config: config.to_owned(),
            state: config.to_owned(),
            run: config.to_owned(),
            cache: config.to_owned(),
        }
    }

    #[test]
    fn what_was_set_aside_is_found_by_its_unit() {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        fs::create_dir(paths.services()).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(paths.services().join(name), text).unwrap();
        };
        let unit = UnitName::new("web.service").unwrap();
        let usual = paths.services().join("web.toml");
        let found = |usual: &Path| find(&paths, &unit, usual).unwrap();
        assert_eq!(found(&usual), None);

        write("db.toml.disabled", "unit = \"db.service\"\n");
        write("broken.toml.disabled", "unit = \n");
        write("web.toml.bak", "unit = \"web.service\"\n");
        assert_eq!(found(&usual), None);

        write("shop.toml.disabled", "unit = \"web\"\ncritical = true\n");
        let shop = found(&usual).unwrap();
        assert_eq!(shop.in_force, paths.services().join("shop.toml"));
        write("web.toml.disabled", "unit = \"web.service\"\n");
        assert_eq!(found(&usual).unwrap().in_force, usual);

        shop.restore().unwrap();
        assert!(shop.in_force.is_file() && !shop.path.exists());
        write("web.toml", "unit = \"web.service\"\n");
        assert_eq!(found(&usual), None);
    }

    #[test]
    fn only_what_is_new_is_told() {
        let text = "unit = \"web.service\"\n# ports = [\"tcp/80\"]\ncritical = true\n";
        let now = "# why\nunit = \"web.service\"\n\nports = [\"tcp/80\"]\n";
        assert_eq!(news(text, now), ["ports = [\"tcp/80\"]"]);
        assert_eq!(lost(text, now), ["critical = true"]);
        let down = "unit = \"web.service\"\nports = []\nrun-policy = \"on-failure\"\n";
        assert_eq!(news(down, now), ["ports = [\"tcp/80\"]"]);
        assert_eq!(lost(down, now), Vec::<&str>::new());
        assert_eq!(news(now, down), ["run-policy = \"on-failure\""]);
    }
}
