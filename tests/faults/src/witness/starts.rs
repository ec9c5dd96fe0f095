//! Sees every start of a unit. systemd keeps, for each unit that it starts, a
//! link `/run/systemd/units/invocation:UNIT`, put in place anew at each start;
//! the kernel tells of it. So this works without bus and journal, which may be
//! what the fault is about.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};
use rustix::fs::inotify;

use super::now;

const UNITS: &str = "/run/systemd/units";
const PREFIX: &str = "invocation:";

type Seen = Arc<Mutex<Vec<(i64, String)>>>;

pub(super) struct Starts(Seen);

impl Starts {
    pub(super) fn watch() -> Result<Self> {
        let events = inotify::init(inotify::CreateFlags::CLOEXEC).context(
            "the kernel gives no inotify instance: all machines of a host share \
             fs.inotify.max_user_instances; run fewer side by side",
        )?;
        let wanted = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&events, UNITS, wanted)
            .with_context(|| format!("cannot watch {UNITS}"))?;
        let mut last = invocations()?;
        let seen = Seen::default();
        thread::spawn({
            let seen = seen.clone();
            move || {
                let mut events = File::from(events);
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length) = events.read(&mut buffer) {
                    let at = now();
                    for name in names(buffer.get(..length).unwrap_or_default()) {
                        let Some(unit) = name.strip_prefix(PREFIX) else {
                            continue;
                        };
                        // It may be gone, or a newer one, by now: then it was
                        // started all the same.
                        let id = fs::read_link(Path::new(UNITS).join(&name)).ok();
                        let known = last.insert(unit.to_owned(), id.clone());
                        if id.is_some() && known.is_some_and(|known| known == id) {
                            continue;
                        }
                        seen.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((at, unit.to_owned()));
                    }
                }
            }
        });
        Ok(Self(seen))
    }

    pub(super) fn seen(&self) -> Vec<(i64, String)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn invocations() -> Result<BTreeMap<String, Option<PathBuf>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(UNITS)? {
        let entry = entry?;
        if let Some(unit) = entry.file_name().to_string_lossy().strip_prefix(PREFIX) {
            all.insert(unit.to_owned(), fs::read_link(entry.path()).ok());
        }
    }
    Ok(all)
}

/// The names in what inotify(7) has put into a buffer: each event is watch, mask,
/// cookie, length of the name (all of four bytes), and the name, filled up with
/// zeros.
fn names(mut events: &[u8]) -> Vec<String> {
    const HEADER: usize = 16;
    let mut names = Vec::new();
    while let Some((header, rest)) = events.split_at_checked(HEADER) {
        let length = header
            .last_chunk::<4>()
            .map_or(0, |length| u32::from_ne_bytes(*length));
        let Ok(length) = usize::try_from(length) else {
            break;
        };
        let Some((name, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        names.push(OsStr::from_bytes(name).to_string_lossy().into_owned());
        events = rest;
    }
    names
}
