//! Limits the memory for large chunks that workers decode at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::os::threads::lock_ignoring_poison;

/// The memory for decoding in all workers together, in bytes. A chunk that needs more is decoded alone.
pub(crate) const LIMIT: u64 = 256 << 20;

/// Counts the bytes in use.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    used: Mutex<u64>,
    changed: Condvar,
}

/// Bytes in use, which are released on drop.
#[derive(Debug)]
pub(crate) struct Permit<'g> {
    gate: &'g Gate,
    bytes: u64,
}

impl Gate {
    /// Waits until the bytes are within the limit, or no others are in use.
    pub(crate) fn enter(&self, bytes: u64) -> Permit<'_> {
        let mut used = lock_ignoring_poison(&self.used);
        while *used > 0 && used.saturating_add(bytes) > LIMIT {
            used = self.changed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used = used.saturating_add(bytes);
        Permit { gate: self, bytes }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut used = lock_ignoring_poison(&self.gate.used);
        *used = used.saturating_sub(self.bytes);
        drop(used);
        self.gate.changed.notify_all();
    }
}

/// Returns the bytes that `workers` need at the same time if each of `chunks` chunks needs `each` bytes.
pub(crate) fn peak(each: u64, chunks: u64, workers: u64) -> u64 {
    let at_once = chunks.min(workers);
    match each.saturating_mul(at_once) {
        all if each > hdf5_filters::LARGE_CHUNK_BYTES as u64 => all.min(LIMIT.max(each)),
        all => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_beyond_the_limit_is_decoded_alone() {
        let gate = Gate::default();
        let large = gate.enter(2 * LIMIT);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let permit = gate.enter(1);
                *lock_ignoring_poison(&gate.used) - permit.bytes
            });
            drop(large);
            assert_eq!(other.join().unwrap(), 0);
        });
        let (_one, _two) = (gate.enter(LIMIT / 2), gate.enter(LIMIT / 2));
        assert_eq!(*lock_ignoring_poison(&gate.used), LIMIT);
    }

    #[test]
    fn large_chunks_need_no_more_than_the_limit_or_one_of_them() {
        assert_eq!(peak(1 << 20, 100, 4), 4 << 20);
        assert_eq!(peak(1 << 20, 2, 4), 2 << 20);
        assert_eq!(peak(100 << 20, 100, 64), LIMIT);
        assert_eq!(peak(400 << 20, 100, 64), 400 << 20);
        assert_eq!(peak(400 << 20, 0, 64), 0);
    }
}
