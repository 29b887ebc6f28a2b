//! Divides a dataset into blocks of whole chunks, so that memory is limited and no chunk is decoded twice.

use crate::ffi::elements::Elements;

/// Receives elements: the number of the first one, and all of them.
pub type Emit<'a, E> = dyn FnMut(u64, Elements<'_>) -> Result<(), E> + 'a;

/// The size of a block, in bytes, as far as chunks allow it.
pub(crate) const TARGET: u64 = 16 << 20;

/// A chunk of more bytes than this is read in parts, at the cost of decoding it more than once.
const LARGEST: u64 = 256 << 20;

/// A part of a dataset: first index and count on each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) start: Vec<u64>,
    pub(crate) count: Vec<u64>,
}

impl Block {
    /// The number of elements.
    pub(crate) fn elements(&self) -> u64 {
        self.count.iter().product()
    }

    /// Calls `visit` with each run of its `elements`, of `size` bytes, that are neighbors in a dataset of
    /// this shape: the number of the first one, and the bytes of all.
    pub(crate) fn rows<E>(
        &self,
        shape: &[u64],
        size: usize,
        elements: Elements<'_>,
        visit: &mut Emit<'_, E>,
    ) -> Result<(), E> {
        let (mut row, mut rank) = (1, self.count.len());
        while rank > 0 {
            rank -= 1;
            row *= self.count[rank];
            if self.count[rank] != shape[rank] {
                break;
            }
        }
        let bytes = usize::try_from(row).unwrap_or(usize::MAX).saturating_mul(size);
        for (number, row) in (0..).zip(elements.chunks_exact(bytes.max(1))) {
            let (mut rest, mut start) = (number, self.start.clone());
            for axis in (0..rank).rev() {
                start[axis] += rest % self.count[axis];
                rest /= self.count[axis];
            }
            visit(first_index(shape, &start), row)?;
        }
        Ok(())
    }
}

/// The blocks of a dataset, in C order.
#[derive(Debug)]
pub(crate) struct Blocks {
    shape: Vec<u64>,
    extent: Vec<u64>,
    /// The distance of the first row from the start of its extent.
    phase: u64,
    next: Option<Vec<u64>>,
}

impl Blocks {
    /// Blocks of about [`TARGET`] bytes of whole chunks, for elements of `size` bytes.
    pub(crate) fn new(shape: &[u64], chunk: Option<&[u64]>, size: u64) -> Self {
        let ones = vec![1; shape.len()];
        let unit = chunk.filter(|chunk| chunk.len() == shape.len()).unwrap_or(&ones);
        let clipped: Vec<u64> = unit.iter().zip(shape).map(|(&c, &n)| c.min(n).max(1)).collect();
        let whole = bytes(&clipped, size) <= LARGEST;
        let extent = grow(if whole { unit } else { &ones }, shape, size);
        let next = (!shape.contains(&0)).then(|| vec![0; shape.len()]);
        Self { shape: shape.to_vec(), extent, phase: 0, next }
    }

    /// The same for rows that begin at row `first` of the dataset: blocks still end where chunks do.
    pub(crate) fn starting_at(mut self, first: u64) -> Self {
        if let (Some(&extent), Some(&rows)) = (self.extent.first(), self.shape.first()) {
            self.phase = if extent < rows { first % extent.max(1) } else { 0 };
        }
        self
    }
}

impl Iterator for Blocks {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let start = self.next.take()?;
        let axes = start.iter().zip(&self.extent).zip(&self.shape);
        let mut count: Vec<u64> =
            axes.map(|((&at, &extent), &n)| extent.min(n.saturating_sub(at))).collect();
        if let (Some(rows), Some(0)) = (count.first_mut(), start.first()) {
            *rows = (*rows).min(self.extent[0] - self.phase);
        }
        let mut following = start.clone();
        let axes = following.iter_mut().zip(&count).zip(&self.shape);
        for ((at, &count), &n) in axes.rev() {
            *at = at.saturating_add(count);
            if *at < n {
                self.next = Some(following);
                break;
            }
            *at = 0;
        }
        Some(Block { start, count })
    }
}

/// Enlarges `unit` from the last axis outwards as long as a block stays within the target.
fn grow(unit: &[u64], shape: &[u64], size: u64) -> Vec<u64> {
    let mut extent: Vec<u64> = unit.iter().map(|&n| n.max(1)).collect();
    for (axis, &n) in shape.iter().enumerate().rev() {
        let clipped: Vec<u64> = extent.iter().zip(shape).map(|(&e, &n)| e.min(n.max(1))).collect();
        let times = (TARGET / bytes(&clipped, size).max(1)).max(1);
        let Some(own) = extent.get_mut(axis) else { break };
        *own = own.saturating_mul(times);
        if *own < n {
            break;
        }
        *own = n.max(1);
    }
    extent
}

/// The place of the element at `start` in the C order of `shape`.
pub(crate) fn first_index(shape: &[u64], start: &[u64]) -> u64 {
    shape.iter().zip(start).fold(0, |index, (&n, &at)| index.saturating_mul(n).saturating_add(at))
}

fn bytes(extent: &[u64], size: u64) -> u64 {
    extent.iter().fold(size, |all, &n| all.saturating_mul(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(shape: &[u64], chunk: Option<&[u64]>, size: u64) -> Vec<Block> {
        Blocks::new(shape, chunk, size).collect()
    }

    #[test]
    fn blocks_cover_everything_once() {
        for (shape, chunk) in [
            (&[5, 7, 9][..], Some(&[2, 3, 4][..])),
            (&[4096, 4096], Some(&[100, 1000])),
            (&[70_000_000], None),
            (&[3, 40_000_000], Some(&[1, 7])),
            (&[], None),
            (&[1, 1, 1], Some(&[9, 9, 9])),
        ] {
            let blocks = cut(shape, chunk, 8);
            let total: u64 = blocks.iter().map(Block::elements).sum();
            assert_eq!(total, shape.iter().product::<u64>(), "{shape:?}");
        }
    }

    #[test]
    fn blocks_begin_where_chunks_do() {
        for block in cut(&[5000, 5000], Some(&[300, 700]), 8) {
            assert_eq!((block.start[0] % 300, block.start[1] % 700), (0, 0));
        }
    }

    #[test]
    fn blocks_of_later_rows_end_where_chunks_do() {
        let blocks: Vec<_> =
            Blocks::new(&[4000, 5000], Some(&[300, 700]), 8).starting_at(1000).collect();
        assert!(blocks.iter().skip_while(|block| block.start[0] == 0).count() > 0);
        for block in &blocks {
            assert!(block.start[0] == 0 || (block.start[0] + 1000) % 300 == 0, "{block:?}");
        }
        assert_eq!(blocks.iter().map(Block::elements).sum::<u64>(), 4000 * 5000);
        assert_eq!(Blocks::new(&[7], Some(&[4]), 8).starting_at(6).count(), 1);
    }

    #[test]
    fn rows_of_a_block_are_runs_of_its_dataset() {
        let block = Block { start: vec![1, 2, 0], count: vec![2, 2, 3] };
        let elements: Vec<u8> = (0..12).collect();
        let mut rows = Vec::new();
        let mut visit = |first, row: Elements<'_>| {
            rows.push((first, row.bytes().to_vec()));
            Ok::<_, ()>(())
        };
        block.rows(&[4, 5, 3], 1, elements[..].into(), &mut visit).unwrap();
        assert_eq!(rows, [(21, (0..6).collect()), (36, (6..12).collect::<Vec<u8>>())]);
    }

    #[test]
    fn a_block_stays_within_its_target() {
        for block in cut(&[100_000, 1000], Some(&[10, 100]), 8) {
            assert!(block.elements() * 8 <= TARGET);
        }
    }

    #[test]
    fn an_empty_dataset_has_no_blocks() {
        assert!(cut(&[0, 5], None, 8).is_empty());
        assert!(cut(&[5, 0], Some(&[1, 1]), 8).is_empty());
    }

    #[test]
    fn huge_extents_do_not_overflow() {
        let first = Blocks::new(&[1 << 62, 1 << 60], Some(&[1 << 40, 1 << 40]), 1 << 50).next();
        assert_eq!(first.unwrap().start, [0, 0]);
    }
}
