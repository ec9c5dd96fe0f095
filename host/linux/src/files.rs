//! Declared files: how they stand, their hash, and the names in env files.
//!
//! Nothing is opened that was not looked at first, and then the very same file
//! is opened: see [`confined`](crate::confined). Sentences say what is wrong
//! and name no path. Who can read a file is computed from owners, permission
//! bits and ACLs; see [`access`](crate::access) for what that leaves out.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use prunella_core::{
    Failure,
    capability::{Answer, EnvKey, FileKind, FileStatus, Files, Repair},
    hash::hexadecimal,
    service::{DeclaredFile, FileRole, ReadBy, Service},
};
use rustix::fs::{FileType, Stat};
use sha2::{Digest, Sha256};

use crate::{
    access::{self, Access},
    accounts::{Accounts, Identity},
    bounded::bounded,
    confined::{self, Last, Rule, WalkError, Walked},
    env_file,
    runs_as::Who,
};

/// An environment file longer than this is none: systemd passes all of it on
/// to execve, which takes no more.
const LONGEST_ENV_FILE: u64 = 1024 * 1024;
/// Read at a time while hashing; the deadline is looked at in between.
const CHUNK: usize = 128 * 1024;

/// The declared files of one service.
pub(crate) struct LinuxFiles {
    service: Arc<Service>,
    who: Arc<dyn Who>,
}

impl LinuxFiles {
    pub(crate) fn new(service: Arc<Service>, who: Arc<dyn Who>) -> Self {
        Self { service, who }
    }
}

impl Files for LinuxFiles {
    fn stat(&self, deadline: Instant, name: &str) -> Answer<FileStatus> {
        let declared = self.service.file(name)?.clone();
        let runs_as = match declared.read_by {
            ReadBy::Manager => None,
            ReadBy::Service => Some(self.who.runs_as(deadline)?),
        };
        let name = name.to_owned();
        bounded(deadline, "looking at a declared file", move || {
            let accounts = Accounts::read();
            let reader = runs_as.map_or_else(Identity::root, |who| who.identity(&accounts));
            stat(&name, &declared, &accounts, &reader)
        })?
    }

    fn sha256(&self, deadline: Instant, name: &str) -> Answer<String> {
        let declared = self.service.file(name)?.clone();
        if declared.secret {
            return Err(Failure::denied(
                "secret",
                format!("`{name}` is marked secret, so its hash is not told"),
            ));
        }
        let name = name.to_owned();
        bounded(deadline, "hashing a declared file", move || {
            let mut file = open_content(&name, &declared.path, Last::Keep)?;
            sha256(deadline, &name, &mut file)
        })?
    }

    fn env_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        let declared = self.service.file(name)?.clone();
        let name = name.to_owned();
        bounded(deadline, "reading a declared file", move || {
            env_keys(&name, &declared)
        })?
    }

    fn missing_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<String>> {
        let wanted = self.service.file(name)?.keys.clone();
        let there = self.env_keys(deadline, name)?;
        Ok(wanted
            .into_iter()
            .filter(|key| !there.iter().any(|found| found.name == *key && !found.empty))
            .collect())
    }
}

fn stat(
    name: &str,
    declared: &DeclaredFile,
    accounts: &Accounts,
    reader: &Identity,
) -> Answer<FileStatus> {
    let found = match confined::walk(&declared.path, Rule::Look, Last::Keep) {
        Ok(found) => found,
        Err(error @ (WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder)) => {
            return Ok(absent(declared, error));
        }
        Err(error) => {
            return Err(Failure::failed("cannot-look", format!("`{name}`: {error}")));
        }
    };
    let kind = kind_of(found.kind());
    let link_target = (kind == FileKind::Symlink)
        .then(|| found.link_target())
        .and_then(Result::ok)
        .map(|target| prunella_core::text::one_line(&target.to_string_lossy(), 4096));
    // What a link leads to counts for reading, and for what the file is.
    let end = if kind == FileKind::Symlink {
        confined::walk(&declared.path, Rule::Look, Last::Follow).ok()
    } else {
        None
    };
    let readable = match (&end, kind) {
        (Some(end), _) => readable(end, declared, reader),
        (None, FileKind::Symlink) => false,
        (None, _) => readable(&found, declared, reader),
    };
    let (deviations, repairable) =
        compare(declared, accounts, &found.stat, kind, end.as_ref(), &found);
    Ok(FileStatus {
        kind: Some(kind),
        mode: found.stat.st_mode & 0o7777,
        owner: accounts.user_name(found.stat.st_uid),
        group: accounts.group_name(found.stat.st_gid),
        size: (!declared.secret).then(|| u64::try_from(found.stat.st_size).unwrap_or(0)),
        age: age(&found.stat),
        link_target,
        deviations,
        repairable,
        readable,
    })
}

fn absent(declared: &DeclaredFile, error: WalkError) -> FileStatus {
    let mut deviations = Vec::new();
    if !declared.optional {
        deviations.push(error.to_string());
    }
    // A link that should be there can be made, when its folder is there.
    let makes_link = declared.target.is_some() && error == WalkError::Missing;
    FileStatus {
        kind: None,
        mode: 0,
        owner: String::new(),
        group: String::new(),
        size: None,
        age: Duration::ZERO,
        link_target: None,
        deviations,
        repairable: if makes_link {
            vec![Repair::Target]
        } else {
            Vec::new()
        },
        readable: false,
    }
}

/// How it departs from its declaration, and what of that can be repaired.
fn compare(
    declared: &DeclaredFile,
    accounts: &Accounts,
    stat: &Stat,
    kind: FileKind,
    end: Option<&Walked>,
    found: &Walked,
) -> (Vec<String>, Vec<Repair>) {
    let mut deviations = Vec::new();
    let mut repairable = Vec::new();

    // A link to a file of the right kind is as good as the file, unless a link
    // was declared.
    let kind_there = match end {
        Some(end) if declared.role != FileRole::Symlink => kind_of(end.kind()),
        _ => kind,
    };
    let dangling = kind == FileKind::Symlink && end.is_none();
    if dangling {
        deviations.push("it is a symbolic link to something that does not exist".to_owned());
    } else if let Some(expected) = declared.role.kind()
        && kind_there != expected
    {
        deviations.push(format!(
            "it is {}, declared is {}",
            phrase(kind_there),
            phrase(expected)
        ));
    }

    if let Some(target) = &declared.target {
        let matches =
            kind == FileKind::Symlink && found.link_target().is_ok_and(|there| there == *target);
        if !matches {
            deviations.push(if kind == FileKind::Symlink {
                "it leads elsewhere than declared".to_owned()
            } else {
                format!("it is {}, declared is a symbolic link", phrase(kind))
            });
            if kind == FileKind::Symlink {
                repairable.push(Repair::Target);
            }
        }
        // The sentence about the kind says the same.
        deviations.dedup();
    }

    let attributes =
        declared.mode.is_some() || declared.owner.is_some() || declared.group.is_some();
    if kind == FileKind::Symlink {
        if attributes {
            deviations.push(
                "it is a symbolic link, so its declared mode and owner cannot be compared"
                    .to_owned(),
            );
        }
        return (deviations, repairable);
    }
    // A second name of the same file may be anywhere: not for us to change.
    let changeable = kind == FileKind::Directory || (kind == FileKind::File && stat.st_nlink == 1);
    if let Some(mode) = declared.mode
        && let there = comparable_mode(stat.st_mode, kind)
        && there != mode
    {
        deviations.push(format!("its mode is {there:04o}, declared is {mode:04o}"));
        if changeable {
            repairable.push(Repair::Mode);
        }
    }
    let mut owner_deviates = false;
    if let Some(owner) = &declared.owner {
        match accounts.uid_of(owner) {
            None => deviations.push(format!("its declared owner `{owner}` does not exist")),
            Some(uid) if uid != stat.st_uid => {
                owner_deviates = true;
                deviations.push(format!(
                    "its owner is {}, declared is {owner}",
                    accounts.user_name(stat.st_uid)
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(group) = &declared.group {
        match accounts.gid_of(group) {
            None => deviations.push(format!("its declared group `{group}` does not exist")),
            Some(gid) if gid != stat.st_gid => {
                owner_deviates = true;
                deviations.push(format!(
                    "its group is {}, declared is {group}",
                    accounts.group_name(stat.st_gid)
                ));
            }
            Some(_) => {}
        }
    }
    if owner_deviates && changeable {
        repairable.push(Repair::Owner);
    }
    (deviations, repairable)
}

/// The permission bits that a declared mode is compared with. On a directory
/// setgid and sticky mean how it is shared, and are not declared.
pub(crate) fn comparable_mode(mode: u32, kind: FileKind) -> u32 {
    if kind == FileKind::Directory {
        mode & 0o777
    } else {
        mode & 0o7777
    }
}

fn readable(end: &Walked, declared: &DeclaredFile, reader: &Identity) -> bool {
    let wanted = match kind_of(end.kind()) {
        // Connecting to a socket needs write permission (unix(7)).
        FileKind::Socket => access::WRITE,
        FileKind::Directory => access::READ | access::SEARCH,
        // A database that cannot be written to is of no use to its service,
        // but `readable` is what was asked.
        _ => access::READ,
    };
    // Opening a folder's name where a file was expected helps nobody.
    let usable = declared
        .role
        .kind()
        .is_none_or(|kind| kind == FileKind::Symlink || kind == kind_of(end.kind()));
    usable
        && end
            .folders
            .iter()
            .all(|folder| folder.allows(reader, access::SEARCH))
        && Access::of(&end.fd, &end.stat).allows(reader, wanted)
}

fn age(stat: &Stat) -> Duration {
    let modified = u64::try_from(stat.st_mtime).unwrap_or(0);
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_sub(Duration::from_secs(modified))
}

fn kind_of(kind: FileType) -> FileKind {
    match kind {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Socket => FileKind::Socket,
        FileType::Fifo => FileKind::Fifo,
        FileType::BlockDevice | FileType::CharacterDevice => FileKind::Device,
        // The kernel has no other kinds; were there one, it would be no link
        // and no folder, and reading it is refused below.
        FileType::RegularFile | FileType::Unknown => FileKind::File,
    }
}

fn phrase(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "a regular file",
        FileKind::Directory => "a directory",
        FileKind::Symlink => "a symbolic link",
        FileKind::Socket => "a socket",
        FileKind::Fifo => "a named pipe",
        FileKind::Device => "a device",
    }
}

/// Opens a declared regular file for reading.
fn open_content(name: &str, path: &Path, last: Last) -> Answer<File> {
    let found = confined::walk(path, Rule::Look, last).map_err(|error| match error {
        WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder => {
            Failure::not_found("no-such-file", format!("`{name}`: {error}"))
        }
        error => Failure::failed("cannot-look", format!("`{name}`: {error}")),
    })?;
    if found.kind() != FileType::RegularFile {
        return Err(Failure::invalid(
            "not-a-regular-file",
            format!("`{name}` is {}", phrase(kind_of(found.kind()))),
        ));
    }
    if !found.content_is_meant() {
        return Err(Failure::denied(
            "foreign-link",
            format!("`{name}`: a link of one user leads to a file of another, so it is not read"),
        ));
    }
    found.open().map(File::from).map_err(|error| {
        Failure::failed("cannot-open", format!("`{name}` cannot be opened: {error}"))
    })
}

fn sha256(deadline: Instant, name: &str, file: &mut File) -> Answer<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        if Instant::now() >= deadline {
            return Err(Failure::timed_out(
                "deadline",
                format!("`{name}` is too long to be hashed in time"),
            ));
        }
        let read = file
            .read(&mut chunk)
            .map_err(|error| cannot_read(name, &error))?;
        match chunk.get(..read) {
            Some([]) | None => break,
            Some(bytes) => hash.update(bytes),
        }
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn env_keys(name: &str, declared: &DeclaredFile) -> Answer<Vec<EnvKey>> {
    if declared.role != FileRole::Env {
        return Err(Failure::invalid(
            "not-an-env-file",
            format!(
                "`{name}` is declared as {}, not as an env file",
                declared.role.word()
            ),
        ));
    }
    // systemd follows a link here, so what counts is what it leads to.
    let file = open_content(name, &declared.path, Last::Follow)?;
    let mut content = Vec::new();
    file.take(LONGEST_ENV_FILE + 1)
        .read_to_end(&mut content)
        .map_err(|error| cannot_read(name, &error))?;
    if u64::try_from(content.len()).is_ok_and(|length| length > LONGEST_ENV_FILE) {
        return Err(Failure::invalid(
            "too-large",
            format!("`{name}` is longer than 1 MiB, which no environment file is"),
        ));
    }
    env_file::keys(&content)
        .map_err(|error| Failure::invalid("not-text", format!("`{name}`: {error}")))
}

fn cannot_read(name: &str, error: &std::io::Error) -> Failure {
    Failure::failed("cannot-read", format!("`{name}` cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown, lchown, symlink},
        path::PathBuf,
    };

    use prunella_core::{FailureKind, UnitName};
    use rstest::rstest;

    use super::*;
    use crate::runs_as::RunsAs;

    struct As(&'static str);

    impl Who for As {
        fn runs_as(&self, _deadline: Instant) -> Answer<RunsAs> {
            Ok(RunsAs {
                user: self.0.to_owned(),
                ..RunsAs::default()
            })
        }
    }

    /// A folder that everybody may search, and one declared file in it.
    struct Bench {
        dir: tempfile::TempDir,
        declared: DeclaredFile,
    }

    impl Bench {
        fn new(role: FileRole) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let path = dir.path().join("it");
            Self {
                dir,
                declared: DeclaredFile {
                    path,
                    role,
                    mode: None,
                    owner: None,
                    group: None,
                    target: None,
                    keys: Vec::new(),
                    optional: false,
                    read_by: ReadBy::Service,
                    secret: false,
                },
            }
        }

        fn with_content(role: FileRole, content: &[u8]) -> Self {
            let bench = Self::new(role);
            fs::write(&bench.declared.path, content).unwrap();
            bench
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn chmod(&self, mode: u32) {
            fs::set_permissions(&self.declared.path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn files(&self) -> LinuxFiles {
            let mut service = Service::new(UnitName::new("a.service").unwrap());
            service.files.insert("it".to_owned(), self.declared.clone());
            LinuxFiles::new(Arc::new(service), Arc::new(As("4242")))
        }

        fn stat(&self) -> FileStatus {
            self.files().stat(soon(), "it").unwrap()
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_file_as_declared() {
        let mut bench = Bench::with_content(FileRole::Plain, b"12345");
        bench.chmod(0o640);
        bench.declared.mode = Some(0o640);
        bench.declared.owner = Some("root".to_owned());
        bench.declared.group = Some("0".to_owned());
        let status = bench.stat();
        assert_eq!(status.kind, Some(FileKind::File));
        assert_eq!((status.mode, status.size), (0o640, Some(5)));
        assert_eq!(
            (status.owner.as_str(), status.group.as_str()),
            ("root", "root")
        );
        assert_eq!(status.deviations, Vec::<String>::new());
        assert_eq!(status.repairable, []);
        assert!(status.age < Duration::from_secs(600));
        assert!(!status.readable, "0640 of root is nothing for 4242");
    }

    #[test]
    fn deviations_are_named_and_repairable() {
        let mut bench = Bench::with_content(FileRole::Plain, b"");
        bench.chmod(0o600);
        bench.declared.mode = Some(0o640);
        bench.declared.owner = Some("4242".to_owned());
        let status = bench.stat();
        assert_eq!(
            status.deviations,
            [
                "its mode is 0600, declared is 0640",
                "its owner is root, declared is 4242"
            ]
        );
        assert_eq!(status.repairable, [Repair::Mode, Repair::Owner]);
    }

    #[test]
    fn a_second_name_is_not_repairable() {
        let mut bench = Bench::with_content(FileRole::Plain, b"");
        fs::hard_link(&bench.declared.path, bench.path("other")).unwrap();
        bench.declared.mode = Some(0o400);
        let status = bench.stat();
        assert_eq!(status.deviations.len(), 1);
        assert_eq!(status.repairable, []);
    }

    #[test]
    fn how_a_directory_is_shared_is_no_deviation() {
        let mut bench = Bench::new(FileRole::Directory);
        fs::create_dir(&bench.declared.path).unwrap();
        bench.chmod(0o2750);
        bench.declared.mode = Some(0o750);
        assert_eq!(bench.stat().deviations, Vec::<String>::new());
    }

    #[rstest]
    #[case::needed(false, &["it does not exist"])]
    #[case::optional(true, &[])]
    fn nothing_there(#[case] optional: bool, #[case] deviations: &[&str]) {
        let mut bench = Bench::new(FileRole::Plain);
        bench.declared.optional = optional;
        let status = bench.stat();
        assert_eq!(status.kind, None);
        assert_eq!(status.deviations, deviations);
        assert!(!status.readable);
    }

    #[test]
    fn a_missing_link_can_be_made() {
        let mut bench = Bench::new(FileRole::Symlink);
        bench.declared.target = Some(PathBuf::from("releases/2"));
        assert_eq!(bench.stat().repairable, [Repair::Target]);
    }

    #[test]
    fn a_link_that_leads_elsewhere() {
        let mut bench = Bench::new(FileRole::Symlink);
        fs::write(bench.path("one"), "").unwrap();
        symlink("one", &bench.declared.path).unwrap();
        bench.declared.target = Some(PathBuf::from("two"));
        let status = bench.stat();
        assert_eq!(status.kind, Some(FileKind::Symlink));
        assert_eq!(status.link_target.as_deref(), Some("one"));
        assert_eq!(status.deviations, ["it leads elsewhere than declared"]);
        assert_eq!(status.repairable, [Repair::Target]);
        bench.declared.target = Some(PathBuf::from("one"));
        assert_eq!(bench.stat().deviations, Vec::<String>::new());
        assert!(bench.stat().readable);
    }

    #[test]
    fn a_link_to_nothing() {
        let bench = Bench::new(FileRole::Plain);
        symlink("nowhere", &bench.declared.path).unwrap();
        let status = bench.stat();
        assert_eq!(
            status.deviations,
            ["it is a symbolic link to something that does not exist"]
        );
        assert!(!status.readable);
    }

    #[test]
    fn a_file_in_place_of_a_link_is_left_to_people() {
        let mut bench = Bench::with_content(FileRole::Symlink, b"");
        bench.declared.target = Some(PathBuf::from("one"));
        let status = bench.stat();
        assert_eq!(
            status.deviations,
            ["it is a regular file, declared is a symbolic link"]
        );
        assert_eq!(status.repairable, []);
    }

    #[test]
    fn another_kind_than_declared() {
        let bench = Bench::new(FileRole::Database);
        fs::create_dir(&bench.declared.path).unwrap();
        let status = bench.stat();
        assert_eq!(
            status.deviations,
            ["it is a directory, declared is a regular file"]
        );
        assert!(!status.readable);
    }

    #[test]
    fn every_folder_on_the_way_counts() {
        let mut bench = Bench::new(FileRole::Plain);
        let folder = bench.path("closed");
        fs::create_dir(&folder).unwrap();
        bench.declared.path = folder.join("it");
        fs::write(&bench.declared.path, "").unwrap();
        bench.chmod(0o644);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!bench.stat().readable);
        bench.declared.read_by = ReadBy::Manager;
        assert!(bench.stat().readable);
        bench.declared.read_by = ReadBy::Service;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).unwrap();
        assert!(bench.stat().readable);
    }

    #[test]
    fn what_is_secret_stays_so() {
        let mut bench = Bench::with_content(FileRole::Plain, b"secret");
        bench.declared.secret = true;
        assert_eq!(bench.stat().size, None);
        let failure = bench.files().sha256(soon(), "it").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.is("secret"));
    }

    #[test]
    fn a_hash() {
        let bench = Bench::with_content(FileRole::Plain, b"abc");
        assert_eq!(
            bench.files().sha256(soon(), "it").unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn only_regular_files_are_hashed() {
        let bench = Bench::new(FileRole::Plain);
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &bench.declared.path,
            rustix::fs::Mode::from_raw_mode(0o600),
        )
        .unwrap();
        let failure = bench.files().sha256(soon(), "it").unwrap_err();
        assert!(failure.is("not-a-regular-file"), "{failure}");
        fs::remove_file(&bench.declared.path).unwrap();
        symlink("/etc/passwd", &bench.declared.path).unwrap();
        let failure = bench.files().sha256(soon(), "it").unwrap_err();
        assert!(failure.is("not-a-regular-file"), "{failure}");
    }

    #[test]
    fn a_folder_that_was_turned_into_a_link_shows_nothing() {
        let mut bench = Bench::new(FileRole::Plain);
        let folder = bench.path("theirs");
        symlink("/etc", &folder).unwrap();
        lchown(&folder, Some(4242), Some(4242)).unwrap();
        bench.declared.path = folder.join("shadow");
        let failure = bench.files().sha256(soon(), "it").unwrap_err();
        assert!(failure.is("foreign-link"), "{failure}");
    }

    #[test]
    fn the_names_in_an_env_file() {
        let mut bench = Bench::with_content(FileRole::Env, b"A=secret\nB=\n");
        bench.declared.keys = ["A", "B", "C"].map(str::to_owned).to_vec();
        let files = bench.files();
        assert_eq!(
            files.env_keys(soon(), "it").unwrap(),
            [
                EnvKey {
                    name: "A".to_owned(),
                    empty: false
                },
                EnvKey {
                    name: "B".to_owned(),
                    empty: true
                }
            ]
        );
        assert_eq!(files.missing_keys(soon(), "it").unwrap(), ["B", "C"]);
    }

    #[test]
    fn an_env_file_may_be_a_link_as_for_systemd() {
        let bench = Bench::new(FileRole::Env);
        fs::write(bench.path("real"), "A=1\n").unwrap();
        symlink("real", &bench.declared.path).unwrap();
        assert_eq!(bench.files().env_keys(soon(), "it").unwrap().len(), 1);
        assert_eq!(bench.stat().deviations, Vec::<String>::new());
        // Not when another made the link and the file is not theirs.
        lchown(&bench.declared.path, Some(4242), Some(4242)).unwrap();
        assert!(
            bench
                .files()
                .env_keys(soon(), "it")
                .unwrap_err()
                .is("foreign-link")
        );
        chown(bench.path("real"), Some(4242), None).unwrap();
        assert_eq!(bench.files().env_keys(soon(), "it").unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_env_file() {
        let large = vec![b'#'; 1024 * 1024 + 1];
        let bench = Bench::with_content(FileRole::Env, &large);
        assert!(
            bench
                .files()
                .env_keys(soon(), "it")
                .unwrap_err()
                .is("too-large")
        );
        let bench = Bench::with_content(FileRole::Env, b"A=\xff\n");
        assert!(
            bench
                .files()
                .env_keys(soon(), "it")
                .unwrap_err()
                .is("not-text")
        );
        let bench = Bench::with_content(FileRole::Plain, b"A=1\n");
        assert!(
            bench
                .files()
                .env_keys(soon(), "it")
                .unwrap_err()
                .is("not-an-env-file")
        );
        let bench = Bench::new(FileRole::Env);
        assert!(
            bench
                .files()
                .env_keys(soon(), "it")
                .unwrap_err()
                .is("no-such-file")
        );
    }

    #[test]
    fn sentences_name_no_path() {
        let bench = Bench::new(FileRole::Env);
        let failure = bench.files().missing_keys(soon(), "it").unwrap_err();
        assert!(!failure.message.contains('/'), "{failure}");
        let failure = bench.files().stat(soon(), "other").unwrap_err();
        assert!(failure.is("not-declared"));
    }
}
