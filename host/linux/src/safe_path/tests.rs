//! Which ways are walked, and which are not.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, lchown, symlink},
    path::PathBuf,
};

use rstest::rstest;

use super::*;

/// A tree in a folder that only root can write in, all the way down.
fn tree() -> (tempfile::TempDir, PathBuf) {
    // /tmp is writable by all: a tree there would never count as root's.
    let dir = tempfile::Builder::new()
        .prefix("prunella-walk")
        .tempdir_in("/var/lib")
        .unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().to_owned();
    fs::create_dir(path.join("mine")).unwrap();
    fs::write(path.join("mine/file"), "x").unwrap();
    fs::create_dir(path.join("theirs")).unwrap();
    fs::write(path.join("theirs/file"), "y").unwrap();
    chown(path.join("theirs"), Some(4242), Some(4242)).unwrap();
    chown(path.join("theirs/file"), Some(4242), Some(4242)).unwrap();
    (dir, path)
}

fn foreign_link(target: impl AsRef<Path>, link: PathBuf) {
    symlink(target, &link).unwrap();
    lchown(&link, Some(4242), Some(4242)).unwrap();
}

#[test]
fn roots_own_links_are_followed() {
    let (_dir, tree) = tree();
    symlink("mine", tree.join("relative")).unwrap();
    symlink(tree.join("mine"), tree.join("absolute")).unwrap();
    symlink("../mine/file", tree.join("mine/up")).unwrap();
    for path in [
        "relative/file",
        "absolute/file",
        "mine/up",
        "mine/../mine/file",
    ] {
        let found = walk(&tree.join(path), Rule::Change, Last::Follow).unwrap();
        assert_eq!(found.kind(), FileType::RegularFile, "{path}");
        assert!(found.trusted, "{path}");
    }
}

#[test]
fn a_link_at_the_end_can_be_kept() {
    let (_dir, tree) = tree();
    symlink("mine/file", tree.join("link")).unwrap();
    let found = walk(&tree.join("link"), Rule::Change, Last::Keep).unwrap();
    assert_eq!(found.kind(), FileType::Symlink);
    assert_eq!(found.link_target().unwrap(), "mine/file");
}

#[test]
fn changing_follows_no_link_from_a_folder_of_others() {
    let (_dir, tree) = tree();
    foreign_link("/etc", tree.join("theirs/etc"));
    foreign_link("/etc/passwd", tree.join("theirs/passwd"));
    // Root's own link in their folder: they could have moved it there.
    symlink("/etc", tree.join("theirs/moved")).unwrap();
    for path in ["theirs/etc/passwd", "theirs/passwd", "theirs/moved/passwd"] {
        assert_eq!(
            walk(&tree.join(path), Rule::Change, Last::Follow).unwrap_err(),
            WalkError::ForeignLink,
            "{path}"
        );
    }
    assert_eq!(
        walk(
            &tree.join("theirs/../mine/file"),
            Rule::Change,
            Last::Follow
        )
        .unwrap_err(),
        WalkError::ForeignParent
    );
}

#[test]
fn a_sticky_folder_for_all_is_a_folder_of_others() {
    let (_dir, tree) = tree();
    fs::create_dir(tree.join("shared")).unwrap();
    fs::set_permissions(tree.join("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
    foreign_link("/etc/passwd", tree.join("shared/trap"));
    assert_eq!(
        walk(&tree.join("shared/trap"), Rule::Change, Last::Follow).unwrap_err(),
        WalkError::ForeignLink
    );
}

#[test]
fn a_foreign_link_shows_only_what_is_its_owners() {
    let (_dir, tree) = tree();
    foreign_link(tree.join("theirs/file"), tree.join("theirs/own"));
    foreign_link("/etc/passwd", tree.join("theirs/trap"));
    let own = walk(&tree.join("theirs/own"), Rule::Look, Last::Follow).unwrap();
    assert!(own.content_is_meant());
    let trap = walk(&tree.join("theirs/trap"), Rule::Look, Last::Follow).unwrap();
    assert!(!trap.content_is_meant());
}

#[rstest]
#[case::nothing("mine/none", WalkError::Missing)]
#[case::no_folder("none/file", WalkError::MissingFolder)]
#[case::through_a_file("mine/file/x", WalkError::NotAFolder)]
#[case::file_with_a_slash("mine/file/", WalkError::NotAFolder)]
#[case::round_and_round("loop", WalkError::TooManyLinks)]
fn ways_that_lead_nowhere(#[case] path: &str, #[case] error: WalkError) {
    let (_dir, tree) = tree();
    symlink("loop", tree.join("loop")).unwrap();
    assert_eq!(
        walk(&tree.join(path), Rule::Change, Last::Follow).unwrap_err(),
        error
    );
}

#[test]
fn a_relative_path_is_refused() {
    assert_eq!(
        walk(Path::new("etc"), Rule::Look, Last::Keep).unwrap_err(),
        WalkError::NotAbsolute
    );
}

#[test]
fn a_fifo_does_not_block() {
    let (_dir, tree) = tree();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        tree.join("pipe"),
        Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let found = walk(&tree.join("pipe"), Rule::Look, Last::Keep).unwrap();
    assert_eq!(found.kind(), FileType::Fifo);
    found.open().unwrap();
}

#[test]
fn files_that_belong_to_root() {
    let (_dir, tree) = tree();
    assert_eq!(belongs_to_root(&tree.join("mine/file")), Ok(()));
    assert_eq!(belongs_to_root(Path::new("/bin/sh")), Ok(()));
    fs::write(tree.join("theirs/root"), "").unwrap();
    assert!(
        belongs_to_root(&tree.join("theirs/root"))
            .unwrap_err()
            .contains("folder")
    );
    chown(tree.join("mine/file"), Some(4242), None).unwrap();
    assert!(
        belongs_to_root(&tree.join("mine/file"))
            .unwrap_err()
            .contains("belongs to another")
    );
    fs::write(tree.join("mine/loose"), "").unwrap();
    fs::set_permissions(tree.join("mine/loose"), fs::Permissions::from_mode(0o664)).unwrap();
    assert!(belongs_to_root(&tree.join("mine/loose")).is_err());
}

#[test]
fn the_folder_of_something_that_is_not_there() {
    let (_dir, tree) = tree();
    let place = walk_to_folder(&tree.join("mine/none"), Rule::Change).unwrap();
    assert_eq!(place.name, "none");
    assert!(place.folder.trusted);
    let place = walk_to_folder(&tree.join("theirs/none"), Rule::Change).unwrap();
    assert!(!place.folder.trusted);
    assert_eq!(
        walk_to_folder(&tree.join("none/none"), Rule::Change).unwrap_err(),
        WalkError::MissingFolder
    );
}
