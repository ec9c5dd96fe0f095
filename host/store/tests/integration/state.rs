//! What strategies keep between incidents, and how much.

#![allow(
    clippy::unwrap_used,
    reason = "a test's panic is its report, in its helpers too"
)]

use crate::common::unit;
use prunella_core::{
    StrategyName,
    state::{MAX_KEYS, MAX_VALUE},
};
use prunella_store::Store;

fn named(name: &str) -> StrategyName {
    StrategyName::new(name).unwrap()
}

#[test]
fn it_is_kept_for_each_strategy_at_each_service() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    let (a, b) = (named("a"), named("b"));
    let (web, db) = (unit("web.service"), unit("db.service"));
    let set = |strategy, unit, key: &str, value: &str| {
        store
            .set_state(strategy, unit, key, value)
            .unwrap()
            .unwrap();
    };
    set(&a, &web, "tries", "1");
    set(&a, &web, "tries", "2");
    set(&a, &web, "last", "yesterday");
    set(&a, &db, "tries", "3");
    set(&b, &web, "tries", "4");
    drop(store);

    let store = Store::open(&path).unwrap();
    let get = |strategy, unit| store.state(strategy, unit, "tries").unwrap();
    assert_eq!(get(&a, &web).as_deref(), Some("2"));
    assert_eq!(get(&a, &db).as_deref(), Some("3"));
    assert_eq!(get(&b, &web).as_deref(), Some("4"));
    assert_eq!(get(&b, &db), None);
    assert_eq!(store.state_keys(&a, &web).unwrap(), ["last", "tries"]);

    assert!(store.remove_state(&a, &web, "last").unwrap());
    assert!(!store.remove_state(&a, &web, "last").unwrap());
    assert_eq!(store.state_keys(&a, &web).unwrap(), ["tries"]);

    // With the strategy goes all it kept, and nothing else.
    assert_eq!(store.forget_state(&a).unwrap(), 2);
    assert_eq!(get(&a, &web), None);
    assert_eq!(get(&a, &db), None);
    assert_eq!(get(&b, &web).as_deref(), Some("4"));
}

#[test]
fn a_value_over_the_limit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let (mine, web) = (named("mine"), unit("web.service"));
    let set = |key: &str, value: &str| {
        store
            .set_state(&mine, &web, key, value)
            .unwrap()
            .map_err(|failure| failure.code.unwrap())
    };
    set("a", "kept").unwrap();
    let too_long = "v".repeat(MAX_VALUE + 1);
    assert_eq!(set("a", &too_long).unwrap_err(), "state-value");
    assert_eq!(
        store.state(&mine, &web, "a").unwrap().as_deref(),
        Some("kept")
    );

    // 15 × (4096 + 2) and 5 bytes for `a` leave room for less than one more.
    // Characters of several bytes count with all of them.
    let longest = "ü".repeat(MAX_VALUE / 2);
    for number in 10..25 {
        set(&number.to_string(), &longest).unwrap();
    }
    assert_eq!(set("25", &longest).unwrap_err(), "state-bytes");
    set("10", &longest).unwrap();
    assert!(store.remove_state(&mine, &web, "10").unwrap());
    set("25", &longest).unwrap();

    for number in 30..30 + (MAX_KEYS - 16) {
        set(&number.to_string(), "").unwrap();
    }
    assert_eq!(set("one-more", "").unwrap_err(), "state-keys");
    set("30", "v").unwrap();
    assert_eq!(store.state_keys(&mine, &web).unwrap().len(), MAX_KEYS);
}
