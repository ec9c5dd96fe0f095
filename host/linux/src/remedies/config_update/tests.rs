use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
};

use prunella_core::remedy::{ConfigFormat, ConfigValues, Lease, LeaseEnds};
use rstest::rstest;

use super::*;

const AT: Timestamp = Timestamp::from_millis(4_000_000_000_123);

struct Case {
    _folder: tempfile::TempDir,
    update: Update,
}

impl Case {
    fn with(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("etc")).unwrap();
        let path = top.join("etc/web.toml");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let values = ["8", "4", "2"].map(str::to_owned).to_vec();
        Self {
            update: Update {
                name: "web".to_owned(),
                declared: ConfigUpdate {
                    path,
                    format: ConfigFormat::Toml,
                    key: "workers".to_owned(),
                    values: ConfigValues::Listed(values),
                    check: "config".to_owned(),
                    secret: false,
                    untouched_for: Duration::from_secs(600),
                    lease: Lease {
                        lasts: Duration::from_secs(60),
                        ends: LeaseEnds::Kept,
                        calm: Duration::ZERO,
                    },
                },
                copies: top.join("content/web.service/web"),
            },
            _folder: folder,
        }
    }

    fn path(&self) -> &PathBuf {
        &self.update.declared.path
    }

    fn content(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// How many files there are in its folder.
    fn files(&self) -> usize {
        fs::read_dir(self.path().parent().unwrap()).unwrap().count()
    }

    fn plan(&self) -> Plan {
        plan(&self.update, AT).unwrap()
    }

    fn nothing(&self) -> String {
        let plan = self.plan();
        assert!(!plan.eligible, "{plan:?}");
        plan.summary
    }

    fn planned(&self) -> ReplacedContent {
        match self.plan().undo {
            Some(Undo::TakeContentBack(replaced)) => replaced,
            other => panic!("{other:?}"),
        }
    }

    fn done(&self) -> (ReplacedContent, Receipt) {
        let replaced = self.planned();
        prepare(&self.update, &replaced).unwrap();
        let receipt = put(&self.update, &replaced).unwrap();
        (replaced, receipt)
    }
}

#[test]
fn a_step_is_done_and_taken_back() {
    let case = Case::with("# eight\nworkers = 8 # more\nport = 80\n");
    let owner = fs::metadata(case.path()).unwrap();
    assert_eq!(case.plan().summary, "change workers in `web` from 8 to 4");
    let (replaced, receipt) = case.done();
    assert_eq!(receipt.summary, "changed workers in `web` from 8 to 4");
    assert_eq!(
        receipt.details.as_deref(),
        Some("- workers = 8 # more\n+ workers = 4 # more")
    );
    assert_eq!(case.content(), "# eight\nworkers = 4 # more\nport = 80\n");
    let now = fs::metadata(case.path()).unwrap();
    assert_eq!((now.mode(), now.uid()), (owner.mode(), owner.uid()));
    assert_eq!(case.files(), 2, "the former is kept");
    let done = replace::take_back(&replaced, true).unwrap();
    assert!(done.starts_with("brought the former content"), "{done}");
    assert_eq!(case.content(), "# eight\nworkers = 8 # more\nport = 80\n");
    assert_eq!(case.files(), 1);
    assert_eq!(
        case.nothing(),
        "it was tried to change workers in `web` from 8 to 4 before, and that did not help"
    );
}

#[test]
fn what_was_cut_off_may_be_done_again() {
    let case = Case::with("workers = 8\n");
    let (replaced, _) = case.done();
    replace::take_back(&replaced, false).unwrap();
    assert_eq!(case.content(), "workers = 8\n");
    case.done();
    assert_eq!(case.content(), "workers = 4\n");
}

#[test]
fn undoing_what_was_not_done_changes_nothing() {
    let case = Case::with("workers = 8\n");
    let replaced = case.planned();
    replace::take_back(&replaced, true).unwrap();
    assert_eq!(
        (case.content().as_str(), case.files()),
        ("workers = 8\n", 1)
    );
    // Cut off, or refused by its check, before it was put in place.
    prepare(&case.update, &replaced).unwrap();
    assert_eq!(
        (case.content().as_str(), case.files()),
        ("workers = 8\n", 2)
    );
    replace::take_back(&replaced, false).unwrap();
    assert_eq!(
        (case.content().as_str(), case.files()),
        ("workers = 8\n", 1)
    );
    assert!(case.plan().eligible);
}

#[test]
fn one_step_after_the_other() {
    let case = Case::with("workers = 8\n");
    let (replaced, _) = case.done();
    let later = AT.saturating_add(case.update.declared.untouched_for);
    let next = plan(&case.update, later).unwrap();
    assert_eq!(next.summary, "change workers in `web` from 4 to 2");
    // Whether a step has helped is not known at once.
    let mut patient = case.update.clone();
    patient.declared.untouched_for = Duration::from_secs(u32::MAX.into());
    assert!(!plan(&patient, AT).unwrap().eligible);
    // What Prunella has brought back is nobody's work.
    replace::take_back(&replaced, false).unwrap();
    let again = plan(&patient, AT).unwrap();
    assert_eq!(again.summary, "change workers in `web` from 8 to 4");
}

#[test]
fn a_change_of_a_moment_ago_is_left_to_who_made_it() {
    let mut case = Case::with("workers = 8\n");
    case.update.declared.untouched_for = Duration::from_secs(u32::MAX.into());
    let because = case.nothing();
    assert!(because.ends_with("may still be at work on it"), "{because}");
    // However old the file says that it is.
    let old = fs::File::options().append(true).open(case.path()).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let just_now = SystemClock.now().saturating_add(Duration::from_secs(1));
    let mut update = case.update.clone();
    update.declared.untouched_for = Duration::from_secs(600);
    let because = plan(&update, just_now).unwrap().summary;
    assert!(because.ends_with("may still be at work on it"), "{because}");
}

#[rstest]
#[case::other(
    "workers = 6\n",
    "`web` is left alone: workers is 6, which is no declared value"
)]
#[case::last(
    "workers = 2\n",
    "workers in `web` is 2, the last of its declared values"
)]
#[case::missing(
    "port = 80\n",
    "`web` is left alone: workers does not stand in the file"
)]
#[case::broken("workers = \n", "`web` is left alone: the file cannot be read as TOML")]
#[case::empty("", "`web` is empty")]
fn what_is_left_alone(#[case] content: &str, #[case] because: &str) {
    let nothing = Case::with(content).nothing();
    assert!(nothing.starts_with(because), "{nothing}");
}

#[test]
fn what_is_no_single_file_is_left_alone() {
    let case = Case::with("workers = 8\n");
    let other = case.path().with_file_name("other");
    fs::hard_link(case.path(), &other).unwrap();
    assert_eq!(case.nothing(), "`web` has a second name elsewhere");
    fs::remove_file(case.path()).unwrap();
    assert_eq!(case.nothing(), "`web` does not exist");
    std::os::unix::fs::symlink(&other, case.path()).unwrap();
    assert_eq!(case.nothing(), "`web` is no regular file");
}

#[test]
fn what_was_changed_since_the_plan_is_not_replaced() {
    let case = Case::with("workers = 8\n");
    let replaced = case.planned();
    // In place: it is the same file.
    fs::write(case.path(), "workers = 8\nport = 80\n").unwrap();
    let failure = prepare(&case.update, &replaced).unwrap_err();
    assert!(failure.is("changed-meanwhile"), "{failure:?}");

    let replaced = case.planned();
    prepare(&case.update, &replaced).unwrap();
    fs::write(case.path(), "workers = 8\nport = 81\n").unwrap();
    let failure = put(&case.update, &replaced).unwrap_err();
    assert!(failure.is("changed-meanwhile"), "{failure:?}");
    assert_eq!(case.content(), "workers = 8\nport = 81\n");
    replace::take_back(&replaced, false).unwrap();
    assert_eq!(
        (case.content().as_str(), case.files()),
        ("workers = 8\nport = 81\n", 1)
    );
}

#[test]
fn what_was_written_for_it_is_put_in_place_as_it_was_checked() {
    let case = Case::with("workers = 8\n");
    let replaced = case.planned();
    prepare(&case.update, &replaced).unwrap();
    fs::write(case.path().with_file_name(&replaced.aside), "workers = 0\n").unwrap();
    let failure = put(&case.update, &replaced).unwrap_err();
    assert!(failure.is("changed-meanwhile"), "{failure:?}");
    assert_eq!(case.content(), "workers = 8\n");
}

#[test]
fn what_was_changed_since_stays() {
    let case = Case::with("workers = 8\n");
    let (replaced, _) = case.done();
    fs::write(case.path(), "workers = 3\n").unwrap();
    let failure = replace::take_back(&replaced, true).unwrap_err();
    assert!(failure.is("changed-since"), "{failure:?}");
    assert_eq!(case.content(), "workers = 3\n");
}

#[rstest]
#[case::by_its_key("password", false)]
#[case::by_declaration("workers", true)]
fn a_secret_is_shown_to_nobody(#[case] key: &str, #[case] secret: bool) {
    let mut case = Case::with(&format!("{key} = \"one-two\"\n"));
    case.update.declared.key = key.to_owned();
    case.update.declared.secret = secret;
    let values = ["one-two", "three-four"].map(str::to_owned).to_vec();
    case.update.declared.values = ConfigValues::Listed(values);
    let told = case.plan().summary;
    assert_eq!(
        told,
        format!("change {key} in `web` to the next of its values")
    );
    let (_, receipt) = case.done();
    assert!(!format!("{receipt:?}").contains("three"), "{receipt:?}");
    let last = case.nothing();
    assert!(!last.contains("three"), "{last}");
}

/// An access list and what users have attached stay; where the file system has neither, there
/// is nothing to keep.
#[test]
fn attributes_are_kept() {
    let case = Case::with("workers = 8\n");
    let file = fs::File::open(case.path()).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::fsetxattr(&file, "user.note", b"mine", flags).is_err() {
        return;
    }
    case.done();
    let file = fs::File::open(case.path()).unwrap();
    let mut note = Vec::with_capacity(100);
    rustix::fs::fgetxattr(
        &file,
        "user.note",
        rustix::buffer::spare_capacity(&mut note),
    )
    .unwrap();
    assert_eq!(note, b"mine");
}
