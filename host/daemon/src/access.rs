//! Who may look at, or write, what there is without a daemon.

use prunella_api::{Refusal, RefusalKind};
use prunella_store::Store;
use rustix::{
    fs::{Access, access},
    io::Errno,
};

use crate::Paths;

/// For a daemon whose store does not work at all.
pub(crate) fn no_store() -> Refusal {
    Refusal::new(RefusalKind::Failed, "the incident store cannot be used")
        .help("journalctl -u prunella -p warning")
}

fn not_set_up() -> Refusal {
    Refusal::new(
        RefusalKind::NotAllowed,
        "Prunella is not set up on this host",
    )
    .help("run `sudo prunella setup` first")
}

/// Without a daemon the state has to be read directly, which is for root.
pub(crate) fn may_look(paths: &Paths) -> Result<(), Refusal> {
    let denied = match access(&paths.state, Access::READ_OK | Access::EXEC_OK) {
        Err(Errno::ACCESS) => true,
        Err(Errno::NOENT) => !rustix::process::geteuid().is_root() && !paths.config.exists(),
        _ => false,
    };
    if !denied {
        return Ok(());
    }
    if paths.config.exists() {
        return Err(Refusal::new(
            RefusalKind::NotAllowed,
            "no daemon is running, and without one only root may look",
        )
        .help("run it with sudo, or start the daemon: `systemctl start prunella.service`"));
    }
    Err(not_set_up())
}

/// The store, to be written by a command of root's.
pub fn open_store(paths: &Paths) -> Result<Store, Refusal> {
    let needed = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    match access(&paths.state, needed) {
        Err(Errno::ACCESS) => {
            return Err(
                Refusal::new(RefusalKind::NotAllowed, "only root may do this")
                    .help("run it with sudo"),
            );
        }
        Err(Errno::NOENT) if !rustix::process::geteuid().is_root() => return Err(not_set_up()),
        _ => {}
    }
    Store::open(&paths.store()).map_err(|error| {
        Refusal::new(
            RefusalKind::Failed,
            format!("the incident store cannot be opened: {error}"),
        )
    })
}
