//! What is told of changes, and what is not.

use std::time::{Duration, SystemTime};

use prunella_core::service::{DeclaredFile, ReadBy, Service};
use rstest::rstest;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn write(root: &Path, path: &str, text: &str, age: Duration) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::now() - age)
        .unwrap();
}

fn declared(path: &str, role: FileRole) -> DeclaredFile {
    DeclaredFile {
        path: path.into(),
        role,
        mode: None,
        owner: None,
        group: None,
        target: None,
        keys: Vec::new(),
        optional: false,
        read_by: ReadBy::Service,
        secret: false,
    }
}

fn look(root: &Path, service: &Service, fragment: &str, zone: TimeZone) -> Vec<Change> {
    let mut look = Look::of(
        root,
        &ChangesQuestion {
            service,
            fragment: Some(fragment),
            since: Timestamp::from(SystemTime::now() - 24 * HOUR),
            until: Timestamp::from(SystemTime::now() + HOUR),
        },
    );
    look.zone = zone;
    look.look()
}

#[test]
fn files_of_the_unit_and_declared_ones() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let fragment = "/usr/lib/systemd/system/shop@.service";
    write(root, &fragment[1..], "", 2 * HOUR);
    write(
        root,
        "etc/systemd/system/shop@eu.service.d/a.conf",
        "",
        HOUR,
    );
    write(
        root,
        "etc/systemd/system/shop@.service.d/b.conf",
        "",
        3 * HOUR,
    );
    write(root, "run/systemd/system/service.d/c.conf", "", 4 * HOUR);
    write(
        root,
        "etc/systemd/system/shop@eu.service.d/50-prunella.conf",
        "",
        HOUR,
    );
    write(
        root,
        "etc/systemd/system/shop@eu.service.d/README",
        "",
        HOUR,
    );
    write(root, "etc/systemd/system/other.service.d/a.conf", "", HOUR);
    write(root, "etc/shop/env", "", HOUR / 2);
    write(root, "etc/prunella/prunella.toml", "", HOUR / 2);
    write(root, "var/lib/shop/db", "", HOUR / 2);
    let mut service = Service::new(UnitName::new("shop@eu.service").unwrap());
    for (name, path, role) in [
        ("environment", "/etc/shop/env", FileRole::Env),
        ("database", "/var/lib/shop/db", FileRole::Database),
        ("gone", "/etc/shop/gone", FileRole::Plain),
        ("own", "/etc/prunella/prunella.toml", FileRole::Plain),
    ] {
        service.files.insert(name.to_owned(), declared(path, role));
    }
    let mut changes = look(root, &service, fragment, TimeZone::UTC);
    // Its folder was changed when the last file came into it.
    let missing = changes.remove(0);
    assert_eq!(missing.what, "/etc/shop/gone");
    assert_eq!(missing.of, ChangeOf::Missing);
    assert_eq!(missing.how, "something in /etc/shop last changed");
    let found: Vec<(&str, ChangeOf)> = changes
        .iter()
        .map(|change| (change.what.as_str(), change.of))
        .collect();
    assert_eq!(
        found,
        [
            ("/etc/shop/env", ChangeOf::File),
            (
                "/etc/systemd/system/shop@eu.service.d/a.conf",
                ChangeOf::Unit
            ),
            ("/usr/lib/systemd/system/shop@.service", ChangeOf::Unit),
            ("/etc/systemd/system/shop@.service.d/b.conf", ChangeOf::Unit),
            ("/run/systemd/system/service.d/c.conf", ChangeOf::Unit),
        ]
    );
    assert!(changes.iter().all(|change| change.how == "was modified"));
}

#[test]
fn a_file_that_keeps_an_old_time_was_put_in_place_now() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "etc/shop.conf", "", 1000 * HOUR);
    let mut service = Service::new(UnitName::new("shop.service").unwrap());
    service
        .files
        .insert("config".into(), declared("/etc/shop.conf", FileRole::Plain));
    let changes = look(folder.path(), &service, "/none", TimeZone::UTC);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].how.contains("owner or mode"), "{changes:?}");
}

#[test]
fn packages_of_dpkg() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let zone = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC);
    let line = |age: Duration, rest: &str| {
        let at = jiff::Timestamp::try_from(SystemTime::now() - age).unwrap();
        let at = at.to_zoned(zone.clone());
        format!("{} {rest}\n", at.strftime("%Y-%m-%d %H:%M:%S"))
    };
    let log = [
        line(50 * HOUR, "upgrade old:amd64 1 2"),
        line(2 * HOUR, "startup archives unpack"),
        line(2 * HOUR, "upgrade nginx:amd64 1.22.1-9 1.22.1-10"),
        line(2 * HOUR, "status installed nginx:amd64 1.22.1-10"),
        line(HOUR, "install libfoo1:amd64 <none> 3.0-1"),
        line(HOUR, "remove libbar2:amd64 1.0-1 <none>"),
        "nonsense\n".to_owned(),
    ];
    write(root, "var/log/dpkg.log", &log.concat(), HOUR);
    write(
        root,
        "var/lib/dpkg/info/nginx.list",
        "/.\n/lib/systemd/system/nginx.service\n",
        HOUR,
    );
    let service = Service::new(UnitName::new("nginx.service").unwrap());
    let mut changes = look(
        root,
        &service,
        "/usr/lib/systemd/system/nginx.service",
        zone,
    );
    changes.sort_by(|a, b| a.what.cmp(&b.what));
    let found: Vec<(&str, &str, ChangeOf)> = changes
        .iter()
        .map(|change| (change.what.as_str(), change.how.as_str(), change.of))
        .collect();
    assert_eq!(
        found,
        [
            ("libbar2:amd64", "was removed", ChangeOf::Package),
            ("libfoo1:amd64", "was installed (3.0-1)", ChangeOf::Package),
            (
                "nginx:amd64",
                "was upgraded from 1.22.1-9 to 1.22.1-10",
                ChangeOf::OwnPackage
            ),
        ]
    );
}

#[rstest]
#[case(
    "2026-11-20T10:00:00+0000 SUBDEBUG Upgrade: nginx-1:1.20.1-14.el9.x86_64",
    Some(("nginx-1:1.20.1-14.el9.x86_64", "was upgraded"))
)]
#[case(
    "2026-11-20T12:00:00+0200 SUBDEBUG Installed: jq-1.6-14.el9.x86_64",
    Some(("jq-1.6-14.el9.x86_64", "was installed"))
)]
#[case(
    "2026-11-20T10:00:00+0000 SUBDEBUG Upgraded: nginx-1:1.20.1-13.el9.x86_64",
    None
)]
#[case("2026-11-20T10:00:00+0000 INFO --- logging initialized ---", None)]
#[case("", None)]
fn packages_of_rpm(#[case] line: &str, #[case] expected: Option<(&str, &str)>) {
    let found = dnf_line(line);
    assert_eq!(
        found
            .as_ref()
            .map(|change| (change.what.as_str(), change.how.as_str())),
        expected
    );
    if let Some(change) = found {
        assert_eq!(change.at.as_millis(), 1_795_168_800_000);
    }
}

#[test]
fn only_the_end_of_a_long_log_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(
        &path,
        format!("first\n{}last\n", "x".repeat(99).repeat(4000) + "\n"),
    )
    .unwrap();
    let end = end_of(&path);
    assert_eq!(end, "last\n");
    assert_eq!(end_of(Path::new("/nonexistent")), "");
}

#[test]
fn this_host_answers() {
    let service = Service::new(UnitName::new("dbus.service").unwrap());
    let look = Look::of(
        Path::new("/"),
        &ChangesQuestion {
            service: &service,
            fragment: Some("/usr/lib/systemd/system/dbus.service"),
            since: Timestamp::default(),
            until: Timestamp::MAX,
        },
    );
    let changes = look.look();
    assert!(changes.len() <= PACKAGES_MAX + DROP_INS_MAX);
}
