//! The same work for many things, with a few threads where there are enough of them.

use std::num::NonZero;

/// What is done is mostly the kernel's work on one directory or one address space: more threads than these
/// wait for each other.
const MOST: usize = 4;

/// Does `work` for each item; the results are in the order of the items. A thread of its own is worth its
/// start for `share` items.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    share: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST);
    let share = items.len().div_ceil(threads).max(share).max(1);
    let part = |items: &[T]| items.iter().map(&work).collect::<Vec<R>>();
    let mut parts = items.chunks(share);
    let first = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|items| scope.spawn(|| part(items))).collect();
        let mut done = part(first);
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 2, 9, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|n| n * 2).collect();
            for share in [0, 1, 7, 5000] {
                assert_eq!(each(&items, share, |n| n * 2), doubled);
            }
        }
    }
}
