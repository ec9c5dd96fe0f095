//! Notices that the files of one folder changed, by inotify.
//!
//! A file is looked at when whoever writes it has closed it, or when it came
//! complete: by a rename, or as a link. The folder itself may come later, go,
//! and come back.

use std::{
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

/// Many events: each has 16 bytes and a name.
const BUFFER: usize = 16 << 10;

/// Watches one folder.
#[derive(Debug)]
pub struct FolderWatch {
    inotify: OwnedFd,
    folder: PathBuf,
    /// Of the folder in which the folder is.
    above: i32,
    /// Of the folder, while it is there.
    inside: Option<i32>,
}

impl FolderWatch {
    /// Watches from now on. The folder need not be there yet, the one above it
    /// has to.
    ///
    /// # Errors
    /// What the kernel says against it.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let above = folder
            .parent()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        let above = inotify::add_watch(
            &inotify,
            above,
            WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE
                | WatchFlags::ATTRIB
                | WatchFlags::ONLYDIR,
        )?;
        let mut watch = Self {
            inotify,
            folder: folder.to_owned(),
            above,
            inside: None,
        };
        watch.look_inside()?;
        Ok(watch)
    }

    /// Waits until something changed. What changes from then on is noticed the
    /// next time, so look at the files after this.
    ///
    /// # Errors
    /// What the kernel says against it.
    pub fn wait(&mut self) -> io::Result<()> {
        // The folder may have been replaced by another of its name.
        if self.look_inside()? {
            return Ok(());
        }
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            let events = event.events();
            let matters = if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                true
            } else if event.wd() == self.above {
                name == self.folder.file_name()
            } else {
                self.matters(events, name)
            };
            if matters {
                return Ok(());
            }
        }
    }

    /// Whether an event in the folder means that a file may be read now.
    fn matters(&self, events: ReadFlags, name: Option<&OsStr>) -> bool {
        let Some(name) = name else {
            // About the folder itself.
            return true;
        };
        // Half-written files have hidden names.
        if name.as_bytes().starts_with(b".") {
            return false;
        }
        if events.contains(ReadFlags::CREATE) {
            // Whoever made a file will close it; a link comes complete.
            return fs::symlink_metadata(self.folder.join(name))
                .is_ok_and(|found| !found.is_file() || found.nlink() > 1);
        }
        true
    }

    /// Watches the folder of this name as it is now; true when it is another
    /// one than before.
    fn look_inside(&mut self) -> io::Result<bool> {
        let flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let before = self.inside;
        self.inside = match inotify::add_watch(&self.inotify, &self.folder, flags) {
            Ok(watch) => Some(watch),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(self.inside != before)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        os::unix::fs::{PermissionsExt as _, symlink},
        sync::mpsc::{self, Receiver},
        thread,
        time::Duration,
    };

    use super::*;

    /// Each change that is noticed.
    fn watched(folder: &Path) -> Receiver<()> {
        let mut watch = FolderWatch::new(folder).unwrap();
        let (noticed, notices) = mpsc::channel();
        thread::spawn(move || {
            while watch.wait().is_ok() {
                if noticed.send(()).is_err() {
                    break;
                }
            }
        });
        notices
    }

    #[track_caller]
    fn noticed(notices: &Receiver<()>, what: &str) {
        notices
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or_else(|_| panic!("not noticed: {what}"));
        // One change may be several events.
        while notices.recv_timeout(Duration::from_millis(100)).is_ok() {}
    }

    /// A change that matters is noticed after it, and nothing before that.
    #[track_caller]
    fn unnoticed(notices: &Receiver<()>, what: &str) {
        assert!(
            notices.recv_timeout(Duration::from_millis(200)).is_err(),
            "noticed: {what}"
        );
    }

    #[test]
    fn only_complete_files_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugins");
        fs::create_dir(&folder).unwrap();
        let notices = watched(&folder);
        let file = folder.join("a.wasm");

        let mut writing = fs::File::create(&file).unwrap();
        writing.write_all(b"half").unwrap();
        unnoticed(&notices, "a file that is still written");
        drop(writing);
        noticed(&notices, "a file that is closed");

        fs::write(folder.join(".a.wasm.new"), b"hidden").unwrap();
        unnoticed(&notices, "a hidden file");
        fs::rename(folder.join(".a.wasm.new"), &file).unwrap();
        noticed(&notices, "a rename");

        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        noticed(&notices, "a mode");
        fs::hard_link(&file, folder.join("b.wasm")).unwrap();
        noticed(&notices, "a hard link");
        symlink("a.wasm", folder.join("c.wasm")).unwrap();
        noticed(&notices, "a symbolic link");
        fs::read(&file).unwrap();
        unnoticed(&notices, "reading");
        fs::remove_file(&file).unwrap();
        noticed(&notices, "a removal");
        fs::write(root.path().join("prunella.toml"), b"").unwrap();
        unnoticed(&notices, "another file above");
    }

    #[test]
    fn the_folder_may_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugins");
        let notices = watched(&folder);
        fs::create_dir(&folder).unwrap();
        noticed(&notices, "the folder comes");
        fs::write(folder.join("a.wasm"), b"a").unwrap();
        noticed(&notices, "a file in it");
        fs::remove_dir_all(&folder).unwrap();
        noticed(&notices, "the folder goes");
        fs::create_dir(root.path().join("other")).unwrap();
        fs::write(root.path().join("other/a.wasm"), b"a").unwrap();
        unnoticed(&notices, "another folder");
        fs::rename(root.path().join("other"), &folder).unwrap();
        noticed(&notices, "another folder of that name");
        fs::write(folder.join("a.wasm"), b"b").unwrap();
        noticed(&notices, "a file in that");
    }
}
