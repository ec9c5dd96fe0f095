//! Remedies that fit what a unit says of itself, for the operator to decide about.

use std::path::{Path, PathBuf};

use prunella_core::UnitName;

use super::{Finding, Seen};

/// Where systemd makes the folders of CacheDirectory=.
const CACHES: &str = "/var/cache";

/// A remedy that an operator may want to declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedRemedy {
    /// The table, such as `set-aside`.
    pub table: &'static str,
    pub name: String,
    /// The keys of the table, apart from `name`, in the order they are written.
    pub keys: Vec<(&'static str, ProposedValue)>,
}

/// What a key is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposedValue {
    Text(String),
    Number(u32),
}

pub(super) fn text(value: &str) -> ProposedValue {
    ProposedValue::Text(value.to_owned())
}

impl ProposedRemedy {
    pub(super) fn new(
        table: &'static str,
        name: &str,
        keys: Vec<(&'static str, ProposedValue)>,
    ) -> Self {
        Self {
            table,
            name: name.to_owned(),
            keys,
        }
    }
}

/// What fits the unit.
pub(super) fn fitting(unit: &UnitName, seen: &Seen) -> Vec<Finding<ProposedRemedy>> {
    let mut found = Vec::new();
    if !seen.pid_file.is_empty() {
        found.push(Finding::new(
            ProposedRemedy::new(
                "stale-file",
                "pid",
                vec![("path", text(&seen.pid_file)), ("kind", text("pid"))],
            ),
            "the unit has a PIDFile=; it is removed only when it is proven stale",
        ));
    }
    for (number, folder) in seen.cache_directories.iter().enumerate() {
        let path = Path::new(CACHES).join(folder);
        let name = numbered("cache", number);
        found.push(Finding::new(
            ProposedRemedy::new(
                "set-aside",
                &name,
                vec![("path", text(&path.to_string_lossy()))],
            ),
            "the unit has a CacheDirectory=; if the service makes it anew when it is missing, a \
             damaged one can be moved aside",
        ));
    }
    if let Some(link) = release_link(&seen.commands, |path| path.is_symlink()) {
        found.push(Finding::new(
            ProposedRemedy::new(
                "release",
                "current",
                vec![("path", text(&link.to_string_lossy()))],
            ),
            "the program is reached by this link; after a deployment that breaks the service, it \
             can go back to the release before",
        ));
    }
    if let Some(template) = template(unit) {
        found.push(Finding::new(
            ProposedRemedy::new(
                "instances",
                "instances",
                vec![
                    ("template", text(&template)),
                    ("min", ProposedValue::Number(1)),
                    ("max", ProposedValue::Number(4)),
                ],
            ),
            "the unit is an instance of a template; more of them can be started",
        ));
    }
    found
}

/// `cache`, `cache-2`, …
pub(super) fn numbered(name: &str, number: usize) -> String {
    match number {
        0 => name.to_owned(),
        more => format!("{name}-{}", more + 1),
    }
}

/// The link on the way to a program or to a file among its arguments that is called as one that
/// says which release is in force.
fn release_link(commands: &[Vec<String>], is_link: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let words = commands.iter().flatten();
    let paths = words.map(Path::new).filter(|path| path.is_absolute());
    paths
        .flat_map(Path::ancestors)
        .find(|path| path.ends_with("current") && is_link(path))
        .map(Path::to_owned)
}

/// `app@.service` of `app@1.service`.
fn template(unit: &UnitName) -> Option<String> {
    let (name, rest) = unit.as_str().split_once('@')?;
    let (instance, kind) = rest.rsplit_once('.')?;
    // Instances are counted.
    instance.parse::<u32>().ok()?;
    Some(format!("{name}@.{kind}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_a_template("app@1.service", Some("app@.service"))]
    #[case::by_another_name("getty@tty1.service", None)]
    #[case::no_template("app.service", None)]
    fn instances_that_are_counted_have_a_template(
        #[case] unit: &str,
        #[case] expected: Option<&str>,
    ) {
        let unit = UnitName::new(unit).unwrap();
        assert_eq!(template(&unit).as_deref(), expected);
    }

    #[test]
    fn a_release_is_reached_by_a_link() {
        let commands = [vec![
            "/usr/bin/python3".to_owned(),
            "/srv/web/current/app.py".to_owned(),
        ]];
        let link = PathBuf::from("/srv/web/current");
        assert_eq!(release_link(&commands, |_| true), Some(link));
        assert_eq!(release_link(&commands, |_| false), None);
    }
}
