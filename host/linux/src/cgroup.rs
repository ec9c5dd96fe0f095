//! Control groups: which unit a process or a socket belongs to.
//!
//! systemd keeps the processes of each unit in a control group of its own, and
//! the kernel remembers for each socket the control group that made it. Both
//! lead from a thing to its unit without asking anybody.
//!
//! Three layouts are in use (systemd calls them so): *unified* (cgroup v2
//! alone), *hybrid* (v1 controllers, but systemd tracks units in a v2 tree
//! beside them) and *legacy* (v1 alone: sockets carry no id there).

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use prunella_core::UnitName;
use rustix::fs::statfs;

/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Where systemd keeps its units' control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// cgroup v2 at `/sys/fs/cgroup`.
    Unified,
    /// systemd's tree is cgroup v2 at `/sys/fs/cgroup/unified`.
    Hybrid,
    /// systemd's tree is cgroup v1 at `/sys/fs/cgroup/systemd`.
    Legacy,
}

/// systemd's tree of control groups. A control group is named by its path
/// below the tree's root, such as `/system.slice/nginx.service`.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    layout: Layout,
    /// What the last walk found. Ids are never used twice, so an entry can
    /// only become useless, not wrong; it is still checked before it is used.
    by_id: Mutex<HashMap<u64, String>>,
}

impl Cgroups {
    /// Finds out which layout this host has.
    pub fn detect() -> Self {
        let is_v2 = |path: &str| {
            statfs(path).is_ok_and(|found| u64::try_from(found.f_type) == Ok(CGROUP2_MAGIC))
        };
        let (root, layout) = if is_v2("/sys/fs/cgroup") {
            ("/sys/fs/cgroup", Layout::Unified)
        } else if is_v2("/sys/fs/cgroup/unified") {
            ("/sys/fs/cgroup/unified", Layout::Hybrid)
        } else {
            ("/sys/fs/cgroup/systemd", Layout::Legacy)
        };
        Self::at(root, layout)
    }

    pub(crate) fn at(root: impl Into<PathBuf>, layout: Layout) -> Self {
        Self {
            root: root.into(),
            layout,
            by_id: Mutex::default(),
        }
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The control group of a process.
    ///
    /// # Errors
    /// When there is no such process, or it says nothing of systemd's tree.
    pub fn of_process(&self, pid: u32) -> io::Result<String> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let path = parse_membership(&text, self.layout).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the process has no control group in systemd's tree",
            )
        })?;
        Ok(path.to_owned())
    }

    /// The control group with an id, as sockets carry it. `None` when it does
    /// not exist any more, or on a legacy host.
    ///
    /// The first question walks the tree; the answers to later ones come from
    /// what that walk found.
    pub fn by_id(&self, id: u64) -> Option<String> {
        if self.layout == Layout::Legacy {
            return None;
        }
        let mut known = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = known.get(&id)
            && self.id_of(path) == Some(id)
        {
            return Some(path.clone());
        }
        *known = self.walk("").into_iter().collect();
        known.get(&id).cloned()
    }

    /// The ids of a control group and of all below it.
    pub fn ids_below(&self, path: &str) -> HashSet<u64> {
        if self.layout == Layout::Legacy || self.directory(path).is_none() {
            return HashSet::new();
        }
        let below = self.walk(path.trim_end_matches('/'));
        below.into_iter().map(|(id, _)| id).collect()
    }

    /// The processes in a control group and in all below it, without order.
    /// Empty also when it does not exist (any more).
    pub fn processes(&self, path: &str) -> Vec<u32> {
        let mut pids = Vec::new();
        let Some(top) = self.directory(path) else {
            return pids;
        };
        let mut todo = vec![top];
        while let Some(directory) = todo.pop() {
            // Missing when the group vanished meanwhile, and not readable in a
            // threaded group, whose processes the group above it lists.
            if let Ok(text) = fs::read_to_string(directory.join("cgroup.procs")) {
                pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
            }
            todo.extend(children(&directory).into_iter().map(|child| child.path));
        }
        // 0 stands for a process of another PID namespace.
        pids.retain(|pid| *pid != 0);
        pids
    }

    /// The control group of a unit of the system manager, when it has one now.
    /// Finds it also while systemd has forgotten it: a unit that is down, with
    /// processes left behind.
    pub fn of_unit(&self, unit: &UnitName) -> Option<String> {
        let mut todo = vec![String::new()];
        while let Some(slice) = todo.pop() {
            let directory = self.directory(&slice)?;
            for child in children(&directory) {
                let path = format!("{slice}/{}", child.name);
                if unit_of(&path).as_ref() == Some(unit) {
                    return Some(path);
                }
                if is_slice(&child.name) {
                    todo.push(path);
                }
            }
        }
        None
    }

    fn id_of(&self, path: &str) -> Option<u64> {
        let directory = self.directory(path)?;
        Some(fs::symlink_metadata(directory).ok()?.ino())
    }

    /// The directory of a control group; none for a path that leads out.
    pub(crate) fn directory(&self, path: &str) -> Option<PathBuf> {
        let inside = Path::new(path.trim_start_matches('/'));
        inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
            .then(|| self.root.join(inside))
    }

    fn walk(&self, top: &str) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        let mut todo = vec![top.to_owned()];
        if let Some(id) = self.id_of(top) {
            let shown = if top.is_empty() { "/" } else { top };
            found.push((id, shown.to_owned()));
        }
        while let Some(path) = todo.pop() {
            let Some(directory) = self.directory(&path) else {
                continue;
            };
            for child in children(&directory) {
                let below = format!("{path}/{}", child.name);
                found.push((child.id, below.clone()));
                todo.push(below);
            }
        }
        found
    }
}

struct Child {
    id: u64,
    name: String,
    path: PathBuf,
}

/// The control groups right below one.
fn children(directory: &Path) -> Vec<Child> {
    // A directory's link count is 2 and one for each directory in it. Most
    // groups have none below them, and listing their seventy files is what
    // would make a walk slow.
    match fs::symlink_metadata(directory) {
        Ok(about) if about.nlink() > 2 => {}
        _ => return Vec::new(),
    }
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            Some(Child {
                id: entry.ino(),
                name: entry.file_name().into_string().ok()?,
                path: entry.path(),
            })
        })
        .collect()
}

/// The path in `/proc/PID/cgroup` that lies in systemd's tree.
fn parse_membership(text: &str, layout: Layout) -> Option<&str> {
    let path = text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let wanted = match layout {
            Layout::Unified | Layout::Hybrid => controllers.is_empty(),
            Layout::Legacy => controllers == "name=systemd",
        };
        wanted.then_some(path)
    })?;
    // The kernel says so of a group that was removed under a zombie.
    Some(path.strip_suffix(" (deleted)").unwrap_or(path))
}

/// The unit of the *system* manager that a control group belongs to; `None`
/// for one that lies directly in a slice, or outside this tree.
///
/// As systemd does it: past all slices, the next group names the unit. All
/// below that is the unit's own business, and a name found there (a user's own
/// `nginx.service`, one in a container) says nothing.
pub fn unit_of(path: &str) -> Option<UnitName> {
    path.split('/')
        .filter(|part| !part.is_empty())
        .find(|part| !is_slice(part))
        .and_then(|part| UnitName::new(unescape(part)).ok())
        .filter(|unit| unit.kind() != "slice")
}

/// Whether a control group lies among those of logged-in users.
pub fn is_of_users(path: &str) -> bool {
    path == "/user.slice" || path.starts_with("/user.slice/")
}

fn is_slice(part: &str) -> bool {
    let part = unescape(part);
    part.ends_with(".slice") && UnitName::new(part).is_ok()
}

/// systemd puts `_` before a name that the kernel would take for a file of its
/// own (cg_escape).
fn unescape(part: &str) -> &str {
    part.strip_prefix('_').unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::service("/system.slice/nginx.service", Some("nginx.service"))]
    #[case::nested_slices("/a.slice/a-b.slice/x@1.service", Some("x@1.service"))]
    #[case::delegated("/system.slice/x.service/payload/y.service", Some("x.service"))]
    #[case::session("/user.slice/user-0.slice/session-3.scope", Some("session-3.scope"))]
    #[case::a_users_own_service(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service",
        Some("user@1000.service")
    )]
    #[case::container(
        "/machine.slice/machine-a.scope/system.slice/nginx.service",
        Some("machine-a.scope")
    )]
    #[case::socket("/system.slice/x.socket", Some("x.socket"))]
    #[case::escaped("/system.slice/_cpu.service", Some("cpu.service"))]
    #[case::pid_1("/init.scope", Some("init.scope"))]
    #[case::root("/", None)]
    #[case::slice_itself("/system.slice", None)]
    #[case::not_systemds("/docker/0123", None)]
    #[case::outside("/../x.service", None)]
    fn the_unit_of_a_control_group(#[case] path: &str, #[case] unit: Option<&str>) {
        assert_eq!(unit_of(path).as_ref().map(UnitName::as_str), unit);
    }

    #[rstest]
    #[case::unified(
        "0::/system.slice/x.service\n",
        Layout::Unified,
        Some("/system.slice/x.service")
    )]
    #[case::hybrid("9:name=systemd:/old\n0::/new\n", Layout::Hybrid, Some("/new"))]
    #[case::legacy("9:name=systemd:/old\n8:pids:/p\n", Layout::Legacy, Some("/old"))]
    #[case::colon(
        "0::/system.slice/a:b.service\n",
        Layout::Unified,
        Some("/system.slice/a:b.service")
    )]
    #[case::gone("0::/x.service (deleted)\n", Layout::Unified, Some("/x.service"))]
    #[case::nothing("", Layout::Unified, None)]
    fn membership(#[case] text: &str, #[case] layout: Layout, #[case] path: Option<&str>) {
        assert_eq!(parse_membership(text, layout), path);
    }

    /// A tree of plain directories does for all but the processes.
    #[test]
    fn groups_are_found_by_id_and_by_unit() {
        let root = tempfile::tempdir().unwrap();
        for path in ["system.slice/x.service/sub", "a.slice/a-b.slice/y.service"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let groups = Cgroups::at(root.path(), Layout::Unified);
        let id = groups.id_of("/a.slice/a-b.slice/y.service").unwrap();
        assert_eq!(
            groups.by_id(id).as_deref(),
            Some("/a.slice/a-b.slice/y.service")
        );
        assert_eq!(groups.by_id(u64::MAX), None);
        assert_eq!(groups.ids_below("/system.slice/x.service").len(), 2);

        let unit = |name: &str| UnitName::new(name).unwrap();
        assert_eq!(
            groups.of_unit(&unit("x.service")).as_deref(),
            Some("/system.slice/x.service")
        );
        assert_eq!(groups.of_unit(&unit("z.service")), None);

        fs::create_dir(root.path().join("system.slice/z.service")).unwrap();
        assert!(groups.of_unit(&unit("z.service")).is_some());
        let new = groups.id_of("/system.slice/z.service").unwrap();
        assert_eq!(
            groups.by_id(new).as_deref(),
            Some("/system.slice/z.service")
        );
    }

    #[test]
    fn a_path_that_leads_out_is_no_group() {
        let root = tempfile::tempdir().unwrap();
        let groups = Cgroups::at(root.path().join("inner"), Layout::Unified);
        fs::create_dir(root.path().join("inner")).unwrap();
        fs::write(root.path().join("cgroup.procs"), "1\n").unwrap();
        assert_eq!(groups.processes("/.."), Vec::<u32>::new());
        assert!(groups.ids_below("/../inner").is_empty());
    }

    #[test]
    fn this_process_has_a_control_group() {
        let groups = Cgroups::detect();
        assert!(
            groups
                .of_process(std::process::id())
                .unwrap()
                .starts_with('/')
        );
    }
}
