//! Remedies that fit what a unit says of itself, for the operator to decide about.

use std::path::{Path, PathBuf};

use prunella_core::{UnitName, capability::UnitStatus};

use super::{Finding, Seen};

/// Where systemd makes the folders of CacheDirectory=.
const CACHES: &str = "/var/cache";

/// What the name of a unit ends with that waits to take another's place.
const STANDBYS: [&str; 2] = ["-standby", "-spare"];

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
    List(Vec<String>),
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
pub(super) fn fitting(status: &UnitStatus, seen: &Seen) -> Vec<Finding<ProposedRemedy>> {
    let unit = &status.name;
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
    if let Some(other) = status.required_by.iter().find(|by| by.kind() == "service") {
        found.push(Finding::new(
            ProposedRemedy::new("circuit", "circuit", Vec::new()),
            format!(
                "{other} requires it; when it fails again and again, it can be kept down between \
                 its tries, and no service is started against it"
            ),
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

/// What declares that another unit takes the place of this one, where its name says so.
/// `is_there` tells whether there is a unit of a name.
pub(super) fn standby(
    unit: &UnitName,
    is_there: impl Fn(&UnitName) -> bool,
) -> Option<Finding<ProposedRemedy>> {
    let (stem, kind) = unit.as_str().rsplit_once('.')?;
    let standby = STANDBYS
        .iter()
        .filter_map(|end| UnitName::new(format!("{stem}{end}.{kind}")).ok())
        .find(is_there)?;
    Some(Finding::new(
        ProposedRemedy::new(
            "failover",
            "standby",
            vec![("standbys", ProposedValue::List(vec![standby.to_string()]))],
        ),
        format!("by its name {standby} is a standby; it can take over when nothing gentler helps"),
    ))
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
    fn what_another_service_requires_may_have_a_circuit() {
        let of = |by: &[&str]| {
            let mut status = super::super::tests::status("db.service");
            status.required_by = by.iter().map(|by| UnitName::new(*by).unwrap()).collect();
            let found = fitting(&status, &Seen::default()).into_iter().next();
            found.map(|found| (found.what.table, found.why))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["multi-user.target"]), None);
        let (table, why) = of(&["multi-user.target", "app.service"]).unwrap();
        assert_eq!(table, "circuit");
        assert!(why.starts_with("app.service requires it"), "{why}");
    }

    #[test]
    fn a_standby_is_known_by_its_name() {
        let unit = UnitName::new("web.service").unwrap();
        let keys = |there: &str| {
            let found = standby(&unit, |unit| *unit == *there);
            found.map(|found| found.what.keys)
        };
        let list = |name: &str| vec![("standbys", ProposedValue::List(vec![name.to_owned()]))];
        assert_eq!(
            keys("web-standby.service"),
            Some(list("web-standby.service"))
        );
        assert_eq!(keys("web-spare.service"), Some(list("web-spare.service")));
        // A service of this name makes backups.
        assert_eq!(keys("web-backup.service"), None);
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
