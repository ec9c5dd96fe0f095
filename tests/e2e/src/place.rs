//! Room for machines with kernels of their own. Their processors are emulated: more of them than
//! the host has cores make each so slow that its services look unwell.

use std::{
    sync::{Condvar, LazyLock, Mutex, PoisonError},
    thread,
};

static FREE: LazyLock<Mutex<usize>> =
    LazyLock::new(|| Mutex::new(thread::available_parallelism().map_or(1, usize::from)));
static FREED: Condvar = Condvar::new();

/// Room for one of them. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(());

impl Place {
    /// Waits for one.
    pub(crate) fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = FREED
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Self(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}
