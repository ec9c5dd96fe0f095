use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
};

use prunella_core::{Timestamp, remedy::FileRestore};

use super::{
    super::copies::{Copies, Seen, keep},
    *,
};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_123);

struct Case {
    _folder: tempfile::TempDir,
    path: PathBuf,
    copies: PathBuf,
}

impl Case {
    /// A file with this content, of which a copy is kept.
    fn with(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("etc")).unwrap();
        let case = Self {
            path: top.join("etc/web.conf"),
            copies: top.join("content/web.service/conf"),
            _folder: folder,
        };
        fs::write(&case.path, content).unwrap();
        fs::set_permissions(&case.path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(case.keep());
        case
    }

    fn declared(&self) -> FileRestore {
        FileRestore {
            path: self.path.clone(),
            source: None,
            check: None,
            secret: false,
            generations: 2,
            settle: Duration::ZERO,
            keep: Duration::from_secs(60),
        }
    }

    fn keep(&self) -> bool {
        let seen = Seen::at(&self.path).unwrap().unwrap();
        keep(&self.declared(), &self.copies, &seen, AT).unwrap()
    }

    fn kept(&self) -> Copies {
        Copies::read(&self.copies).unwrap()
    }

    fn content(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// How the last copy would be brought back.
    fn replaced(&self) -> ReplacedContent {
        let before = fs::symlink_metadata(&self.path).ok();
        ReplacedContent {
            path: self.path.clone(),
            aside: "web.conf.replaced".to_owned(),
            before: before.map(|found| (found.dev(), found.ino())),
            sha256: self.kept().latest().unwrap().sha256.clone(),
            modified: AT,
            copies: self.copies.clone(),
        }
    }

    fn restore(&self, replaced: &ReplacedContent) -> Answer<Receipt> {
        let from = Origin::Copy(self.kept().latest().unwrap().clone());
        restore("conf", replaced, &from, false)
    }

    /// How many files there are in its folder.
    fn files(&self) -> usize {
        fs::read_dir(self.path.parent().unwrap()).unwrap().count()
    }
}

#[test]
fn broken_content_is_replaced_and_comes_back() {
    let case = Case::with("listen 80\n");
    fs::write(&case.path, "lis").unwrap();
    let replaced = case.replaced();
    let receipt = case.restore(&replaced).unwrap();
    assert!(receipt.changed);
    assert_eq!(receipt.details.unwrap(), "- lis\n+ listen 80");
    assert_eq!(case.content(), "listen 80\n");
    let mode = fs::metadata(&case.path).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o640);
    assert_eq!(case.files(), 2, "the former is kept");
    let done = take_back(&replaced, true).unwrap();
    assert!(done.starts_with("brought the former content"), "{done}");
    assert_eq!(case.content(), "lis");
    assert_eq!(case.files(), 1);
    assert!(case.kept().did_not_help(&sha256(b"lis"), &replaced.sha256));
    let again = take_back(&replaced, true).unwrap();
    assert!(again.ends_with("had not been changed"), "{again}");
    assert_eq!(case.content(), "lis");
}

#[test]
fn a_missing_file_is_made_and_removed() {
    let case = Case::with("KEY=1\n");
    fs::remove_file(&case.path).unwrap();
    let replaced = case.replaced();
    case.restore(&replaced).unwrap();
    assert_eq!(case.content(), "KEY=1\n");
    assert_eq!(fs::metadata(&case.path).unwrap().mode() & 0o777, 0o640);
    let done = take_back(&replaced, true).unwrap();
    assert!(done.ends_with("which had been missing"), "{done}");
    assert_eq!(case.files(), 0);
    take_back(&replaced, true).unwrap();
}

#[test]
fn undoing_what_was_not_done_changes_nothing() {
    let case = Case::with("a\n");
    fs::write(&case.path, "b\n").unwrap();
    let replaced = case.replaced();
    take_back(&replaced, true).unwrap();
    assert_eq!(case.content(), "b\n");
    // Cut off when the new content was written, and not yet put in place.
    fs::write(case.path.with_file_name(&replaced.aside), "a\n").unwrap();
    take_back(&replaced, true).unwrap();
    assert_eq!((case.content().as_str(), case.files()), ("b\n", 1));
}

#[test]
fn what_was_changed_since_stays() {
    let case = Case::with("a\n");
    fs::write(&case.path, "b\n").unwrap();
    let replaced = case.replaced();
    case.restore(&replaced).unwrap();
    fs::write(&case.path, "c\n").unwrap();
    assert!(take_back(&replaced, true).unwrap_err().is("changed-since"));
    assert_eq!(case.content(), "c\n");
    // Even with the content that was brought back.
    fs::write(&case.path, "a\n").unwrap();
    assert!(take_back(&replaced, true).unwrap_err().is("changed-since"));
}

#[test]
fn what_was_changed_since_the_plan_is_not_replaced() {
    let case = Case::with("a\n");
    fs::write(&case.path, "b\n").unwrap();
    let replaced = case.replaced();
    let other = case.path.with_file_name("other");
    fs::write(&other, "c\n").unwrap();
    fs::rename(&other, &case.path).unwrap();
    assert!(case.restore(&replaced).unwrap_err().is("changed-meanwhile"));
    assert_eq!((case.content().as_str(), case.files()), ("c\n", 1));
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let case = Case::with("a\n");
    let replaced = case.replaced();
    let target = case.path.with_file_name("target");
    fs::write(&target, "b\n").unwrap();
    fs::remove_file(&case.path).unwrap();
    std::os::unix::fs::symlink(&target, &case.path).unwrap();
    assert!(case.restore(&replaced).unwrap_err().is("changed-meanwhile"));
    assert_eq!(case.content(), "b\n");
}

#[test]
fn only_the_latest_copies_are_kept() {
    let case = Case::with("1\n");
    for content in ["2\n", "3\n"] {
        fs::write(&case.path, content).unwrap();
        assert!(case.keep());
    }
    let kept = case.kept();
    assert!(kept.find(&sha256(b"1\n")).is_none());
    assert_eq!(kept.latest().unwrap().sha256, sha256(b"3\n"));
    assert_eq!(fs::read_dir(&case.copies).unwrap().count(), 3);
    for entry in fs::read_dir(&case.copies).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0);
    }
    assert!(kept.is_current(&Seen::at(&case.path).unwrap().unwrap()));
}

#[test]
fn a_damaged_copy_is_not_brought_back() {
    let case = Case::with("a\n");
    let replaced = case.replaced();
    fs::write(case.copies.join(&replaced.sha256), "x").unwrap();
    assert!(case.restore(&replaced).unwrap_err().is("unread"));
    assert_eq!((case.content().as_str(), case.files()), ("a\n", 1));
}

#[test]
fn nothing_is_told_of_a_secret() {
    let case = Case::with("a\n");
    fs::write(&case.path, "b\n").unwrap();
    let from = Origin::Copy(case.kept().latest().unwrap().clone());
    let receipt = restore("conf", &case.replaced(), &from, true).unwrap();
    assert_eq!(receipt.details, None);
}
