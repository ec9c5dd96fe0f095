//! What people were told that is no incident: once, by one process.

#![allow(clippy::unwrap_used, reason = "a test ends with a panic")]

use prunella_store::{Notice, NoticeChange, Store};

#[test]
fn a_matter_is_told_by_one_process_and_forgotten_when_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let notice = |text: &str| Notice {
        text: text.to_owned(),
        alert_group: "g".to_owned(),
        channels: ["team".parse().unwrap()].into(),
    };
    let change = |before: Option<&Notice>, now: Option<&Notice>| {
        let change = NoticeChange {
            key: "configuration",
            before,
            now,
            dispatches: &[],
            at: prunella_core::Timestamp::from_millis(1),
        };
        store.change_notice(&change).unwrap()
    };
    let (first, second) = (notice("a"), notice("b"));
    assert_eq!(store.notice("configuration").unwrap(), None);
    assert!(change(None, Some(&first)));
    assert!(!change(None, Some(&second)), "another process was first");
    assert_eq!(store.notice("configuration").unwrap(), Some(first.clone()));
    assert!(change(Some(&first), Some(&second)));
    assert!(change(Some(&second), None));
    assert_eq!(store.notice("configuration").unwrap(), None);
}
