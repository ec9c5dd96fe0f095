//! Notices that the kill switch comes or goes.

use std::{sync::Arc, thread};

use prunella_linux::folder_watch::FolderWatch;

use crate::{
    DaemonError, explained,
    shared::{Daemon, Event},
};

/// Has the daemon look again at what is held back whenever the kill switch comes or goes.
/// Without that it looks every few seconds while something is held back.
pub(crate) fn follow(daemon: &Arc<Daemon>) {
    let kill_switch = daemon.paths.kill_switch();
    let following = FolderWatch::new(&kill_switch)
        .map_err(DaemonError::file("watch", &kill_switch))
        .and_then(|mut watch| {
            let daemon = Arc::clone(daemon);
            thread::Builder::new()
                .name("kill-switch".to_owned())
                .stack_size(128 << 10)
                .spawn(move || {
                    while watch.wait().is_ok() {
                        daemon.send(Event::LookAgain);
                    }
                })
                .map(drop)
                .map_err(DaemonError::thread("watches the kill switch"))
        });
    if let Err(error) = following {
        tracing::debug!(
            "the kill switch is looked at now and then: {}",
            explained(&error)
        );
    }
}
