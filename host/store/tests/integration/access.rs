//! Keys and sessions are found by their hashes alone, and orders are kept.

#![allow(clippy::unwrap_used, reason = "a test ends with a panic")]

use prunella_core::access::{AuditEntry, KeyInfo, KeyName, Role, SessionInfo, Via};
use prunella_store::Store;

use crate::common::{ms, unit};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    (folder, store)
}

fn key(name: &str, role: Role) -> KeyInfo {
    KeyInfo {
        name: KeyName::new(name).unwrap(),
        role,
        unit: (role == Role::Service).then(|| unit("a.service")),
        created_at: ms(1),
        created_by: "me".into(),
        expires_at: Some(ms(9)),
        last_used_at: None,
    }
}

fn session(name: &str, expires_at: u64) -> SessionInfo {
    SessionInfo {
        name: name.into(),
        role: Role::Operator,
        created_at: ms(5),
        expires_at: ms(expires_at),
    }
}

#[test]
fn a_key_is_found_by_its_hash_until_it_is_revoked() {
    let (_folder, store) = store();
    let one = key("grafana", Role::Viewer);
    let other = key("app", Role::Service);
    assert!(store.add_key(&one, "h1").unwrap());
    assert!(store.add_key(&other, "h2").unwrap());
    let again = key("grafana", Role::Operator);
    assert!(!store.add_key(&again, "h3").unwrap(), "the name is taken");

    assert_eq!(store.key_of("h1").unwrap(), Some(one.clone()));
    assert_eq!(store.key_of("h2").unwrap(), Some(other.clone()));
    assert_eq!(store.key_of("h3").unwrap(), None);
    assert_eq!(store.key_of("grafana").unwrap(), None);

    store.key_used(&one.name, ms(7)).unwrap();
    let used = KeyInfo {
        last_used_at: Some(ms(7)),
        ..one.clone()
    };
    assert_eq!(store.keys().unwrap(), [other.clone(), used]);

    assert!(store.revoke_key(&one.name).unwrap());
    assert!(!store.revoke_key(&one.name).unwrap());
    assert_eq!(store.key_of("h1").unwrap(), None);
    assert_eq!(store.keys().unwrap(), [other]);
}

#[test]
fn a_session_is_found_until_its_end_or_its_time() {
    let (_folder, store) = store();
    store.add_session(&session("anna", 20), "s1").unwrap();
    store.add_session(&session("otto", 30), "s2").unwrap();
    assert_eq!(
        store.session_of("s1", ms(19)).unwrap(),
        Some(session("anna", 20))
    );
    assert_eq!(store.session_of("s1", ms(20)).unwrap(), None);
    assert!(store.end_session("s2").unwrap());
    assert!(!store.end_session("s2").unwrap());
    assert_eq!(store.session_of("s2", ms(6)).unwrap(), None);
}

#[test]
fn orders_are_read_newest_first_a_part_at_a_time() {
    let (_folder, store) = store();
    for number in 1..=3 {
        let entry = AuditEntry {
            seq: 0,
            at: ms(number),
            by: "key app".into(),
            via: Via::Key,
            method: "POST".into(),
            address: format!("/{number}"),
            order: None,
            status: 403,
            peer: Some("192.0.2.1".into()),
        };
        store.audited(&entry).unwrap();
    }
    let latest = store.audit(None, 2).unwrap();
    let addresses: Vec<&str> = latest.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(addresses, ["/3", "/2"]);
    let rest = store.audit(Some(latest.last().unwrap().seq), 2).unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].address, "/1");
    assert_eq!((rest[0].status, rest[0].via), (403, Via::Key));
}
