//! Threads. If the system refuses a thread (`ulimit -u`, `pids.max`), the calling thread does its work.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Most of the work is done by the kernel in one directory or one address space: more threads wait for each other.
const MAX_THREADS: usize = 4;

/// The number of processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Locks a mutex, also after a panic of another holder: the work of the panicked thread fails anyway.
pub(crate) fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `work` for each item and returns the results in the order of the items. Each thread gets at least `share`
/// items.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    share: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(processors().min(MAX_THREADS)).max(share).max(1);
    let part = |items: &[T]| items.iter().map(&work).collect::<Vec<R>>();
    let mut parts = items.chunks(share);
    let first = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let start = |items| (items, Builder::new().spawn_scoped(scope, move || part(items)).ok());
        let others: Vec<_> = parts.map(start).collect();
        let mut done = part(first);
        for (items, other) in others {
            done.extend(match other.map(ScopedJoinHandle::join) {
                Some(theirs) => theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                None => part(items),
            });
        }
        done
    })
}

/// Runs `work` on up to `count` threads, one of which is the calling thread.
pub(crate) fn crew(count: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        helpers(scope, count.saturating_sub(1), &work);
        work();
    });
}

/// Starts up to `count` threads that run `work`. Returns how many were started.
pub(crate) fn helpers<'scope, F: Fn() + Clone + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    work: F,
) -> usize {
    let start = || Builder::new().spawn_scoped(scope, work.clone()).is_ok();
    (0..count).take_while(|_| start()).count()
}

/// Runs both, concurrently if a thread can be started.
pub(crate) fn both<A, B: Send>(mine: impl FnOnce() -> A, other: impl Fn() -> B + Sync) -> (A, B) {
    std::thread::scope(|scope| {
        let theirs = Builder::new().spawn_scoped(scope, &other).ok();
        let mine = mine();
        let theirs = match theirs.map(ScopedJoinHandle::join) {
            Some(theirs) => theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None => other(),
        };
        (mine, theirs)
    })
}

/// Starts a thread that is not joined.
///
/// # Errors
/// Returns EAGAIN if a limit of processes or memory forbids it.
pub(crate) fn start(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    Builder::new().spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for count in [0, 1, 2, 9, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|n| n * 2).collect();
            for share in [0, 1, 7, 5000] {
                assert_eq!(each(&items, share, |n| n * 2), doubled);
            }
        }
    }

    #[test]
    fn crew_works_on_the_calling_thread_and_others() {
        for count in [0, 1, 5] {
            let runs = AtomicUsize::new(0);
            crew(count, || {
                runs.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(runs.into_inner(), count.max(1));
        }
    }

    #[test]
    fn both_results_are_returned() {
        assert_eq!(both(|| 1, || "b"), (1, "b"));
    }
}
