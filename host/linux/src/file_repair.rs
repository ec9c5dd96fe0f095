//! Bringing a declared file back to its declaration.
//!
//! The repair itself runs outside the daemon, in a transient unit: this binary
//! again, with the request as its only argument ([`main`]), and only the
//! capabilities that a repair needs. It works on descriptors from end to end.
//!
//! Whoever can write in a folder on the way could try to have root change a
//! file of their choice. What stops that:
//!
//! - no link is followed that anybody but root could have put there
//!   ([`Rule::Change`]), and the file itself is never a link;
//! - only a regular file with one name, or a directory, is changed: a second
//!   name may be anywhere, and a device or pipe is nobody's declared file;
//! - in a folder that others can write in, what belongs neither to root, nor to
//!   the folder's owner, nor to the declared owner is left alone, and what is
//!   root's is only changed while the kernel forbids links to files of others
//!   (`fs.protected_hardlinks`); else an old `/etc/shadow`, kept alive by a
//!   link, could be handed over by a repair;
//! - never setuid, setgid, sticky or writable for all; a file that is setuid or
//!   setgid now is left alone;
//! - a link takes the place of a link or of nothing, by exchange: what was
//!   there can be looked at afterwards and put back.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prunella_core::{
    Failure,
    capability::{Answer, FileKind, FileRepair, Repair},
    service::Service,
};
use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, RenameFlags, Stat, Uid, fchmod, fchown, readlinkat, renameat,
        renameat_with, statat, symlinkat, unlinkat,
    },
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::Accounts,
    confined::{self, Place, Rule, WalkError, Walked},
    declared::own_program,
    files::comparable_mode,
    runs_as::RunsAs,
    transient::{Capability, ProtectSystem, Runner, Sandbox, Task},
};

/// A repair is a handful of system calls.
const LIMIT: Duration = Duration::from_secs(10);
/// What no repair ever sets: setuid, setgid, sticky, writable for all.
const FORBIDDEN: u32 = 0o7002;

/// Repairs the declared files of one service.
pub(crate) struct LinuxFileRepair {
    service: Arc<Service>,
    runner: Arc<dyn Runner>,
}

impl LinuxFileRepair {
    pub(crate) fn new(service: Arc<Service>, runner: Arc<dyn Runner>) -> Self {
        Self { service, runner }
    }

    fn request(&self, name: &str, what: Repair) -> Answer<Request> {
        let declared = self.service.file(name)?;
        let accounts = Accounts::read();
        let nothing_declared = |what: &str| {
            Failure::invalid(
                "nothing-declared",
                format!("no {what} is declared for `{name}`"),
            )
        };
        let change = match what {
            Repair::Mode => Change::Mode(declared.mode.ok_or_else(|| nothing_declared("mode"))?),
            Repair::Owner => {
                if declared.owner.is_none() && declared.group.is_none() {
                    return Err(nothing_declared("owner"));
                }
                let unknown = |kind: &str, account: &str| {
                    Failure::invalid(
                        "no-such-account",
                        format!("the declared {kind} `{account}` of `{name}` does not exist"),
                    )
                };
                let uid = declared
                    .owner
                    .as_deref()
                    .map(|owner| {
                        accounts
                            .uid_of(owner)
                            .ok_or_else(|| unknown("owner", owner))
                    })
                    .transpose()?;
                let gid = declared
                    .group
                    .as_deref()
                    .map(|group| {
                        accounts
                            .gid_of(group)
                            .ok_or_else(|| unknown("group", group))
                    })
                    .transpose()?;
                Change::Owner { uid, gid }
            }
            Repair::Target => Change::Target(
                declared
                    .target
                    .clone()
                    .ok_or_else(|| nothing_declared("link target"))?,
            ),
        };
        Ok(Request {
            name: name.to_owned(),
            path: declared.path.clone(),
            owner: declared
                .owner
                .as_deref()
                .and_then(|owner| accounts.uid_of(owner)),
            change,
        })
    }
}

impl FileRepair for LinuxFileRepair {
    fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool> {
        let request = self.request(name, what)?;
        let broken = |error: &dyn std::fmt::Display| {
            Failure::failed(
                "repair-broken",
                format!("the {} of `{name}` was not repaired: {error}", what.word()),
            )
        };
        let argument = serde_json::to_string(&request).map_err(|error| broken(&error))?;
        let task = Task {
            purpose: "repair",
            description: format!(
                "repair of the {} of `{name}` for {}",
                what.word(),
                self.service.unit
            ),
            command: vec![
                own_program()?.to_string_lossy().into_owned(),
                "internal".to_owned(),
                "repair".to_owned(),
                argument,
            ],
            runs_as: RunsAs::default(),
            sandbox: sandbox(),
            timeout: LIMIT,
        };
        let ended = self.runner.run(deadline, &task)?;
        if ended.timed_out {
            return Err(Failure::timed_out(
                "deadline",
                format!("the repair of `{name}` took too long and may be half done"),
            ));
        }
        let said = String::from_utf8_lossy(&ended.output);
        let last = said.lines().next_back().unwrap_or_default();
        let outcome: Outcome = serde_json::from_str(last).map_err(|_| {
            broken(&format!(
                "it ended with exit code {:?} and said `{}`",
                ended.exit_code,
                prunella_core::text::one_line(last, 200)
            ))
        })?;
        match outcome {
            Outcome::Changed(changed) => Ok(changed),
            Outcome::Failed(failure) => Err(failure),
        }
    }
}

/// A repair may write everywhere, for a declared file may be anywhere, and can
/// do nothing else.
fn sandbox() -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::No,
        protect_home: false,
        private_tmp: false,
        private_network: true,
        writable: Vec::new(),
        capabilities: vec![
            Capability::Chown,
            Capability::DacOverride,
            Capability::DacReadSearch,
            Capability::Fowner,
        ],
        families: vec!["AF_UNIX"],
    }
}

/// What the transient unit is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    name: String,
    path: PathBuf,
    /// The declared owner, whose file it may be in a folder of others.
    owner: Option<u32>,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Mode(u32),
    Owner { uid: Option<u32>, gid: Option<u32> },
    Target(PathBuf),
}

/// What it answers, as its last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Changed(bool),
    Failed(Failure),
}

/// `internal repair REQUEST`: the part that runs in the transient unit. The
/// request and the answer are JSON; the answer is the last line of the output.
pub(crate) fn main(request: &str) -> ExitCode {
    let outcome = serde_json::from_str::<Request>(request)
        .map_err(|error| Failure::invalid("bad-request", format!("not a repair: {error}")))
        .and_then(|request| carry_out(&request));
    let (outcome, code) = match outcome {
        Ok(changed) => (Outcome::Changed(changed), ExitCode::SUCCESS),
        Err(failure) => (Outcome::Failed(failure), ExitCode::FAILURE),
    };
    crate::internal::answer(&outcome, code)
}

fn carry_out(request: &Request) -> Answer<bool> {
    match &request.change {
        Change::Mode(mode) => {
            if mode & FORBIDDEN != 0 || mode & !0o7777 != 0 {
                return Err(refused(
                    request,
                    "a repair never makes a file setuid, setgid, sticky or writable for all",
                ));
            }
            let found = changeable(request)?;
            let there = comparable_mode(found.stat.st_mode, kind(&found));
            if there == *mode {
                return Ok(false);
            }
            // How a directory is shared (setgid, sticky) stays as it is.
            let kept = found.stat.st_mode & 0o7777 & !comparable_mode(0o7777, kind(&found));
            let file = found.open().map_err(|error| failed(request, error))?;
            fchmod(&file, Mode::from_raw_mode(mode | kept))
                .map_err(|error| failed(request, error))?;
            Ok(true)
        }
        Change::Owner { uid, gid } => {
            let found = changeable(request)?;
            let right = uid.is_none_or(|uid| uid == found.stat.st_uid)
                && gid.is_none_or(|gid| gid == found.stat.st_gid);
            if right {
                return Ok(false);
            }
            let file = found.open().map_err(|error| failed(request, error))?;
            fchown(&file, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
                .map_err(|error| failed(request, error))?;
            Ok(true)
        }
        Change::Target(target) => link(request, target),
    }
}

/// The file, if it is one that may be changed.
fn changeable(request: &Request) -> Answer<Walked> {
    // The folder first: whether others can write in it decides what in it may
    // be changed.
    let place = folder(request)?;
    let folder_owner = place.folder.stat.st_uid;
    let trusted = place.folder.trusted;
    let found = place.open().map_err(|error| walk_failure(request, error))?;
    let stat = &found.stat;
    match found.kind() {
        FileType::RegularFile if stat.st_nlink == 1 => {}
        FileType::RegularFile => {
            return Err(refused(request, "it has a second name elsewhere"));
        }
        FileType::Directory => {}
        FileType::Symlink => return Err(refused(request, "it is a symbolic link")),
        _ => {
            return Err(refused(
                request,
                "it is neither a regular file nor a directory",
            ));
        }
    }
    if found.kind() == FileType::RegularFile && stat.st_mode & 0o6000 != 0 {
        return Err(refused(request, "it is setuid or setgid"));
    }
    if !trusted {
        let owner = stat.st_uid;
        if owner != 0 && owner != folder_owner && Some(owner) != request.owner {
            return Err(refused(
                request,
                "others can write in its folder, and it belongs to somebody else again",
            ));
        }
        if owner == 0 && found.kind() == FileType::RegularFile && !hardlinks_protected() {
            return Err(refused(
                request,
                "others can write in its folder, and fs.protected_hardlinks is off, so it could be a root's file from elsewhere",
            ));
        }
    }
    Ok(found)
}

/// Walks to the folder of the declared file.
fn folder(request: &Request) -> Answer<Place> {
    confined::walk_to_folder(&request.path, Rule::Change)
        .map_err(|error| walk_failure(request, error))
}

fn walk_failure(request: &Request, error: WalkError) -> Failure {
    let message = format!("`{}`: {error}", request.name);
    match error {
        WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder => {
            Failure::not_found("no-such-file", message)
        }
        WalkError::ForeignLink | WalkError::ForeignParent | WalkError::TooManyLinks => {
            Failure::denied("unsafe-path", message)
        }
        WalkError::NotAbsolute => Failure::invalid("not-absolute", message),
        WalkError::Io(_) => Failure::failed("cannot-look", message),
    }
}

fn hardlinks_protected() -> bool {
    std::fs::read_to_string("/proc/sys/fs/protected_hardlinks")
        .is_ok_and(|value| value.trim() == "1")
}

fn kind(found: &Walked) -> FileKind {
    if found.kind() == FileType::Directory {
        FileKind::Directory
    } else {
        FileKind::File
    }
}

/// Makes the link, or gives it its target.
fn link(request: &Request, target: &Path) -> Answer<bool> {
    let place = folder(request)?;
    let dir = &place.folder.fd;
    let name = place.name.as_os_str();
    let bad = |error: Errno| failed(request, error);

    let there = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(stat),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(bad(error)),
    };
    if let Some(there) = &there {
        if !is_link(there) {
            return Err(refused(
                request,
                "something stands in its place that is not a symbolic link",
            ));
        }
        let leads = readlinkat(dir, name, Vec::new()).map_err(bad)?;
        if leads.as_bytes() == target.as_os_str().as_bytes() {
            return Ok(false);
        }
    }

    let new = new_name(&place);
    symlinkat(target, dir, new.as_os_str()).map_err(bad)?;
    let moved = match there {
        None => move_new(&place, &new),
        Some(_) => exchange(request, &place, &new),
    };
    if moved.is_err() {
        // Only our own new link has this name.
        let _ = unlinkat(dir, new.as_os_str(), AtFlags::empty());
    }
    moved.map(|()| true).map_err(|error| match error {
        Moved::Refused(failure) => failure,
        Moved::Errno(Errno::EXIST) => refused(request, "something else took its place just now"),
        Moved::Errno(error) => bad(error),
    })
}

enum Moved {
    Refused(Failure),
    Errno(Errno),
}

/// Gives the new link its name, where nothing stands.
fn move_new(place: &Place, new: &OsString) -> Result<(), Moved> {
    let dir = &place.folder.fd;
    let name = place.name.as_os_str();
    match renameat_with(dir, new.as_os_str(), dir, name, RenameFlags::NOREPLACE) {
        // A file system that cannot do this (NFS): only where no other can put
        // something there in between.
        Err(Errno::INVAL | Errno::NOSYS) if place.folder.trusted => {
            renameat(dir, new.as_os_str(), dir, name).map_err(Moved::Errno)
        }
        other => other.map_err(Moved::Errno),
    }
}

/// Exchanges the new link with the old one, and removes the old one; puts
/// everything back when it turns out not to be a link.
fn exchange(request: &Request, place: &Place, new: &OsString) -> Result<(), Moved> {
    let dir = &place.folder.fd;
    let name = place.name.as_os_str();
    let new = new.as_os_str();
    match renameat_with(dir, new, dir, name, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS) if place.folder.trusted => {
            return renameat(dir, new, dir, name).map_err(Moved::Errno);
        }
        Err(error) => return Err(Moved::Errno(error)),
    }
    let old = statat(dir, new, AtFlags::SYMLINK_NOFOLLOW).map_err(Moved::Errno)?;
    if !is_link(&old) {
        renameat_with(dir, new, dir, name, RenameFlags::EXCHANGE).map_err(Moved::Errno)?;
        return Err(Moved::Refused(refused(
            request,
            "something that is not a symbolic link took its place just now",
        )));
    }
    unlinkat(dir, new, AtFlags::empty()).map_err(Moved::Errno)
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// A name beside the link's, which nothing has.
fn new_name(place: &Place) -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    // A name may have 255 bytes; what is added must fit.
    let stem: Vec<u8> = place.name.as_bytes().iter().copied().take(180).collect();
    name.push(std::ffi::OsStr::from_bytes(&stem));
    name.push(format!(
        ".prunella-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    name
}

fn refused(request: &Request, why: &str) -> Failure {
    Failure::denied(
        "unsafe-repair",
        format!("`{}` is left alone: {why}", request.name),
    )
}

fn failed(request: &Request, error: Errno) -> Failure {
    let code = match error {
        Errno::ROFS => "read-only",
        Errno::NOSPC | Errno::DQUOT => "no-space",
        Errno::PERM | Errno::ACCESS => "not-permitted",
        _ => "repair-failed",
    };
    Failure::failed(
        code,
        format!("`{}` could not be repaired: {error}", request.name),
    )
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
        sync::Mutex,
    };

    use prunella_core::{
        FailureKind, UnitName,
        service::{DeclaredFile, FileRole, ReadBy},
    };
    use rstest::rstest;

    use super::*;
    use crate::transient::Ended;

    /// A folder that only root can write in, all the way down, and in it
    /// another that user 4242 can write in.
    struct Bench {
        dir: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::Builder::new()
                .prefix("prunella-repair")
                .tempdir_in("/var/lib")
                .unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(dir.path().join("theirs")).unwrap();
            chown(dir.path().join("theirs"), Some(4242), Some(4242)).unwrap();
            Self { dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn file(&self, name: &str, owner: u32, mode: u32) -> PathBuf {
            let path = self.path(name);
            fs::write(&path, "content").unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn repair(&self, name: &str, change: Change) -> Answer<bool> {
            self.repair_of(None, name, change)
        }

        /// With a declared owner.
        fn repair_of(&self, owner: Option<u32>, name: &str, change: Change) -> Answer<bool> {
            carry_out(&Request {
                name: "it".to_owned(),
                path: self.path(name),
                owner,
                change,
            })
        }

        fn link(&self, name: &str, target: &str) -> Answer<bool> {
            self.repair(name, Change::Target(PathBuf::from(target)))
        }
    }

    fn owner(uid: u32) -> Change {
        Change::Owner {
            uid: Some(uid),
            gid: Some(uid),
        }
    }

    fn mode_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn denied(answer: Answer<bool>, code: &str) {
        let failure = answer.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
        assert!(failure.is(code), "{failure:?}");
    }

    #[rstest]
    #[case::in_roots_folder("it")]
    #[case::in_their_folder("theirs/it")]
    fn a_mode_is_brought_back_once(#[case] name: &str) {
        let bench = Bench::new();
        let path = bench.file(name, 4242, 0o600);
        assert_eq!(bench.repair(name, Change::Mode(0o640)), Ok(true));
        assert_eq!(mode_of(&path), 0o640);
        assert_eq!(bench.repair(name, Change::Mode(0o640)), Ok(false));
    }

    #[rstest]
    #[case::in_roots_folder("it")]
    #[case::in_their_folder("theirs/it")]
    fn an_owner_is_brought_back_once(#[case] name: &str) {
        let bench = Bench::new();
        let path = bench.file(name, 0, 0o600);
        assert_eq!(bench.repair(name, owner(4242)), Ok(true));
        let there = fs::metadata(&path).unwrap();
        assert_eq!((there.uid(), there.gid()), (4242, 4242));
        assert_eq!(bench.repair(name, owner(4242)), Ok(false));
    }

    #[test]
    fn a_directory_keeps_how_it_is_shared() {
        let bench = Bench::new();
        let path = bench.path("theirs");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o3700)).unwrap();
        assert_eq!(bench.repair("theirs", Change::Mode(0o750)), Ok(true));
        assert_eq!(mode_of(&path), 0o3750);
    }

    #[rstest]
    #[case::setuid(0o4755)]
    #[case::setgid(0o2755)]
    #[case::sticky(0o1755)]
    #[case::writable_for_all(0o666)]
    #[case::no_mode(0o100_644)]
    fn some_modes_are_never_set(#[case] mode: u32) {
        let bench = Bench::new();
        let path = bench.file("it", 0, 0o600);
        denied(bench.repair("it", Change::Mode(mode)), "unsafe-repair");
        assert_eq!(mode_of(&path), 0o600);
    }

    #[test]
    fn what_is_setuid_is_left_alone() {
        let bench = Bench::new();
        bench.file("it", 0, 0o4755);
        denied(bench.repair("it", Change::Mode(0o755)), "unsafe-repair");
        denied(bench.repair("it", owner(4242)), "unsafe-repair");
    }

    #[test]
    fn a_link_is_not_followed() {
        let bench = Bench::new();
        let victim = bench.file("victim", 0, 0o600);
        symlink(&victim, bench.path("theirs/it")).unwrap();
        symlink(&victim, bench.path("it")).unwrap();
        lchown(bench.path("theirs/it"), Some(4242), Some(4242)).unwrap();
        for name in ["theirs/it", "it"] {
            denied(bench.repair(name, Change::Mode(0o644)), "unsafe-repair");
            denied(bench.repair(name, owner(4242)), "unsafe-repair");
        }
        assert_eq!(mode_of(&victim), 0o600);
    }

    #[test]
    fn a_folder_turned_into_a_link_is_not_followed() {
        let bench = Bench::new();
        let victim = bench.file("victim", 0, 0o600);
        let trap = bench.path("theirs/folder");
        symlink(bench.dir.path(), &trap).unwrap();
        lchown(&trap, Some(4242), Some(4242)).unwrap();
        denied(
            bench.repair("theirs/folder/victim", Change::Mode(0o644)),
            "unsafe-path",
        );
        denied(bench.link("theirs/folder/new", "/etc"), "unsafe-path");
        assert_eq!(mode_of(&victim), 0o600);
        assert!(!bench.path("new").exists());
    }

    #[test]
    fn roots_own_links_lead_on() {
        let bench = Bench::new();
        let path = bench.file("theirs/it", 4242, 0o600);
        symlink("theirs", bench.path("current")).unwrap();
        assert_eq!(bench.repair("current/it", Change::Mode(0o640)), Ok(true));
        assert_eq!(mode_of(&path), 0o640);
    }

    #[test]
    fn a_second_name_is_left_alone() {
        let bench = Bench::new();
        let victim = bench.file("victim", 0, 0o600);
        fs::hard_link(&victim, bench.path("theirs/it")).unwrap();
        denied(bench.repair("theirs/it", owner(4242)), "unsafe-repair");
        assert_eq!(fs::metadata(&victim).unwrap().uid(), 0);
    }

    #[test]
    fn a_third_users_file_in_their_folder_is_left_alone() {
        let bench = Bench::new();
        bench.file("theirs/it", 4343, 0o600);
        denied(
            bench.repair("theirs/it", Change::Mode(0o644)),
            "unsafe-repair",
        );
        denied(bench.repair("theirs/it", owner(4242)), "unsafe-repair");
        assert_eq!(
            bench.repair_of(Some(4343), "theirs/it", Change::Mode(0o640)),
            Ok(true),
            "it is the declared owner's"
        );
        // Where only root can write, nobody can have put it there.
        let path = bench.file("it", 4343, 0o600);
        assert_eq!(bench.repair("it", owner(4242)), Ok(true));
        assert_eq!(fs::metadata(path).unwrap().uid(), 4242);
    }

    #[test]
    fn pipes_and_devices_are_left_alone_without_blocking() {
        let bench = Bench::new();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            bench.path("pipe"),
            Mode::from_raw_mode(0o600),
        )
        .unwrap();
        denied(bench.repair("pipe", Change::Mode(0o640)), "unsafe-repair");
        let device = Request {
            name: "it".to_owned(),
            path: PathBuf::from("/dev/null"),
            owner: None,
            change: Change::Mode(0o640),
        };
        denied(carry_out(&device), "unsafe-repair");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let bench = Bench::new();
        for name in ["none", "none/it"] {
            let failure = bench.repair(name, Change::Mode(0o640)).unwrap_err();
            assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
            assert!(!failure.message.contains('/'), "{failure}");
        }
    }

    #[rstest]
    #[case::in_roots_folder("it")]
    #[case::in_their_folder("theirs/it")]
    fn a_link_is_made_and_corrected(#[case] name: &str) {
        let bench = Bench::new();
        let path = bench.path(name);
        assert_eq!(bench.link(name, "one"), Ok(true));
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("one"));
        assert_eq!(bench.link(name, "two"), Ok(true));
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("two"));
        assert_eq!(bench.link(name, "two"), Ok(false));
        // Nothing is left beside it.
        let beside = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().contains("prunella-")
            })
            .count();
        assert_eq!(beside, 0);
    }

    #[test]
    fn nothing_but_a_link_is_replaced() {
        let bench = Bench::new();
        let path = bench.file("it", 0, 0o600);
        denied(bench.link("it", "one"), "unsafe-repair");
        assert_eq!(fs::read_to_string(path).unwrap(), "content");
        fs::create_dir(bench.path("folder")).unwrap();
        denied(bench.link("folder", "one"), "unsafe-repair");
        assert!(bench.path("folder").is_dir());
    }

    #[test]
    fn a_file_that_took_the_links_place_comes_back() {
        let bench = Bench::new();
        let path = bench.file("theirs/it", 4242, 0o600);
        let request = Request {
            name: "it".to_owned(),
            path: path.clone(),
            owner: None,
            change: Change::Target(PathBuf::from("one")),
        };
        // As if it had been exchanged for the link right after we looked.
        let place = folder(&request).unwrap();
        let new = new_name(&place);
        symlinkat("one", &place.folder.fd, new.as_os_str()).unwrap();
        assert!(matches!(
            exchange(&request, &place, &new),
            Err(Moved::Refused(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
        assert!(matches!(
            move_new(&place, &new),
            Err(Moved::Errno(Errno::EXIST))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    }

    /// Runs the helper's part right here, as the transient unit would.
    #[derive(Default)]
    struct Here(Mutex<Vec<Task>>);

    impl Runner for Here {
        fn run(&self, _deadline: Instant, task: &Task) -> Answer<Ended> {
            self.0.lock().unwrap().push(task.clone());
            let request: Request = serde_json::from_str(&task.command[3]).unwrap();
            let outcome = match carry_out(&request) {
                Ok(changed) => Outcome::Changed(changed),
                Err(failure) => Outcome::Failed(failure),
            };
            Ok(Ended {
                exit_code: Some(0),
                signal: None,
                timed_out: false,
                output: format!("{}\n", serde_json::to_string(&outcome).unwrap()).into_bytes(),
            })
        }
    }

    fn declared(path: PathBuf) -> DeclaredFile {
        DeclaredFile {
            path,
            role: FileRole::Plain,
            mode: Some(0o640),
            owner: None,
            group: Some("no-such-group".to_owned()),
            target: None,
            keys: Vec::new(),
            optional: false,
            read_by: ReadBy::Service,
            secret: false,
        }
    }

    #[test]
    fn a_declared_file_is_repaired_by_its_name_only() {
        let bench = Bench::new();
        let path = bench.file("it", 0, 0o600);
        let mut service = Service::new(UnitName::new("a.service").unwrap());
        service
            .files
            .insert("it".to_owned(), declared(path.clone()));
        let runner = Arc::new(Here::default());
        let repair =
            LinuxFileRepair::new(Arc::new(service), Arc::clone(&runner) as Arc<dyn Runner>);
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(repair.repair(soon, "it", Repair::Mode), Ok(true));
        assert_eq!(mode_of(&path), 0o640);
        assert_eq!(repair.repair(soon, "it", Repair::Mode), Ok(false));
        for (name, what, code) in [
            ("other", Repair::Mode, "not-declared"),
            ("it", Repair::Target, "nothing-declared"),
            ("it", Repair::Owner, "no-such-account"),
        ] {
            let failure = repair.repair(soon, name, what).unwrap_err();
            assert!(failure.is(code), "{failure:?}");
        }
        let tasks = runner.0.lock().unwrap();
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks[0].command[1..3], ["internal", "repair"]);
        assert!(tasks[0].sandbox.private_network);
    }
}
