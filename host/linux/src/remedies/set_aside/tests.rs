//! What is moved, what is left alone, and what an act leaves that was cut off.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::PathBuf,
};

use rstest::rstest;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_796_043_243_000);

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("prunella-aside")
            .tempdir_in("/var/lib")
            .unwrap();
        Self { dir }
    }

    /// A cache with something in it, of another user.
    fn with_cache() -> Self {
        let bench = Self::new();
        let cache = bench.cache();
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o750)).unwrap();
        chown(&cache, Some(4242), Some(4243)).unwrap();
        fs::write(cache.join("index"), "old").unwrap();
        bench
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn declared(&self) -> SetAside {
        SetAside {
            path: self.cache(),
            keep: Duration::from_secs(60),
        }
    }

    fn plan(&self) -> Answer<Plan> {
        plan("cache", &self.declared(), NOW)
    }

    fn moved(&self) -> MovedAside {
        let Some(Undo::MoveBack(moved)) = self.plan().unwrap().undo else {
            panic!("it cannot be undone");
        };
        moved
    }

    /// The names in the folder, and what their indexes say.
    fn stands(&self) -> Vec<(String, Option<String>)> {
        let mut found: Vec<(String, Option<String>)> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let index = fs::read_to_string(entry.path().join("index"));
                (entry.file_name().into_string().unwrap(), index.ok())
            })
            .collect();
        found.sort();
        found
    }
}

fn there(name: &str, index: Option<&str>) -> (String, Option<String>) {
    (name.to_owned(), index.map(str::to_owned))
}

const ASIDE: &str = "cache.set-aside-20261130-125403";

#[test]
fn a_folder_is_replaced_by_an_empty_one_like_it_and_comes_back() {
    let bench = Bench::with_cache();
    let moved = bench.moved();
    assert_eq!(moved.aside, ASIDE);
    apply("cache", &moved).unwrap();
    assert_eq!(
        bench.stands(),
        [there("cache", None), there(ASIDE, Some("old"))]
    );
    let made = fs::metadata(bench.cache()).unwrap();
    assert_eq!(
        (made.uid(), made.gid(), made.mode() & 0o7777),
        (4242, 4243, 0o750)
    );

    let done = undo(&moved).unwrap();
    assert_eq!(done, format!("moved {} back", bench.cache().display()));
    assert_eq!(bench.stands(), [there("cache", Some("old"))]);
}

#[test]
fn what_was_made_since_is_kept() {
    let bench = Bench::with_cache();
    let moved = bench.moved();
    apply("cache", &moved).unwrap();
    fs::write(bench.cache().join("index"), "new").unwrap();
    let done = undo(&moved).unwrap();
    assert!(done.contains("what was made since is kept as"), "{done}");
    assert_eq!(
        bench.stands(),
        [there("cache", Some("old")), there(ASIDE, Some("new"))]
    );
    discard(&moved).unwrap();
    assert_eq!(bench.stands(), [there("cache", Some("old"))]);
    let again = discard(&moved).unwrap();
    assert!(again.contains("is gone already"), "{again}");
}

/// However far it came: the old state is there after that, and nothing besides.
#[rstest]
#[case::nothing_was_done(&|_: &Bench, _: &MovedAside| {})]
#[case::the_empty_folder_was_made(&|bench: &Bench, moved: &MovedAside| {
    fs::create_dir(bench.dir.path().join(&moved.aside)).unwrap();
})]
#[case::it_was_renamed_and_none_made(&|bench: &Bench, moved: &MovedAside| {
    fs::rename(bench.cache(), bench.dir.path().join(&moved.aside)).unwrap();
})]
#[case::all_was_done(&|_: &Bench, moved: &MovedAside| {
    apply("cache", moved).unwrap();
})]
fn undoing_what_was_cut_off_leaves_the_old_state(#[case] cut: &dyn Fn(&Bench, &MovedAside)) {
    let bench = Bench::with_cache();
    let moved = bench.moved();
    cut(&bench, &moved);
    undo(&moved).unwrap();
    assert_eq!(bench.stands(), [there("cache", Some("old"))]);
    undo(&moved).unwrap();
    assert_eq!(
        bench.stands(),
        [there("cache", Some("old"))],
        "twice is once"
    );
}

#[test]
fn a_file_is_moved_and_comes_back() {
    let bench = Bench::new();
    fs::write(bench.cache(), "old").unwrap();
    let moved = bench.moved();
    apply("cache", &moved).unwrap();
    assert!(!bench.cache().exists());
    undo(&moved).unwrap();
    assert_eq!(fs::read_to_string(bench.cache()).unwrap(), "old");
}

#[test]
fn there_is_nothing_to_move_where_nothing_is() {
    let bench = Bench::new();
    let plan = bench.plan().unwrap();
    assert!(!plan.eligible);
    assert_eq!(plan.summary, "`cache` does not exist");
    fs::create_dir(bench.cache()).unwrap();
    assert_eq!(bench.plan().unwrap().summary, "`cache` is empty");
}

#[test]
fn a_link_is_left_alone() {
    let bench = Bench::new();
    symlink("/etc", bench.cache()).unwrap();
    let failure = bench.plan().unwrap_err();
    assert!(failure.is("unsafe-path"), "{failure}");
}

#[test]
fn what_was_put_in_its_place_meanwhile_is_left_alone() {
    let bench = Bench::with_cache();
    let moved = bench.moved();
    fs::rename(bench.cache(), bench.dir.path().join("theirs")).unwrap();
    fs::create_dir(bench.cache()).unwrap();
    fs::write(bench.cache().join("index"), "new").unwrap();
    let failure = apply("cache", &moved).unwrap_err();
    assert!(failure.is("changed-meanwhile"), "{failure}");
    let gone = undo(&moved).unwrap_err();
    assert!(gone.is("gone"), "{gone}");
    assert_eq!(
        bench.stands(),
        [there("cache", Some("new")), there("theirs", Some("old"))]
    );
}
