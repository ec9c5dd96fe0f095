//! Doing one thing with several at once.

use std::{
    panic,
    thread::{self, ScopedJoinHandle},
};

/// `work` on each of `items`, each on a thread of its own but the last, which
/// this thread would only wait for. What comes of it, in the same order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let Some((last, others)) = items.split_last() else {
        return Vec::new();
    };
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = others
            .iter()
            .map(|item| {
                thread::Builder::new()
                    .name("strategy".to_owned())
                    .spawn_scoped(scope, move || work(item))
            })
            .collect();
        let last = work(last);
        threads
            .into_iter()
            .zip(others)
            .map(|(thread, item)| match thread.map(ScopedJoinHandle::join) {
                Ok(Ok(done)) => done,
                Ok(Err(panic)) => panic::resume_unwind(panic),
                // No more threads are to be had: one after the other, then.
                Err(_) => work(item),
            })
            .chain([last])
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn all_at_once_and_in_order() {
        // Nobody gets on before everybody is there.
        let all = Barrier::new(4);
        let done = map(&[1, 2, 3, 4], |number| {
            all.wait();
            number * 10
        });
        assert_eq!(done, [10, 20, 30, 40]);
    }

    #[test]
    fn nothing_to_do() {
        assert!(map(&[], |number: &u32| *number).is_empty());
    }
}
