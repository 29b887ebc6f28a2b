//! An array in blocks on every axis. Each block is stored whole, also the part of it beyond the end of the array.

use super::damaged::DAMAGED;
use crate::error::Error;

/// The most axes: the tag of a short list has four bits for their number.
const AXES: usize = 15;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) shape: Vec<usize>,
    /// Extents of a block: within those of the array.
    block: Vec<usize>,
}

impl Grid {
    /// From the metalayer: version, rank, and the extents of the array, of its one chunk, of a block.
    pub(super) fn parse(content: &[u8]) -> Result<Self, Error> {
        let [list, version, rank, rest @ ..] = content else { return Err(DAMAGED) };
        let rank = usize::from(*rank);
        if *version > 2 {
            return Err(Error::Unsupported("blosc2: an array of a version that is not known here"));
        }
        if list & 0xf0 != 0x90 || !(1..=AXES).contains(&rank) {
            return Err(DAMAGED);
        }
        Self::of_rank(rank, rest).ok_or(DAMAGED)
    }

    fn of_rank(rank: usize, rest: &[u8]) -> Option<Self> {
        let (shape, rest) = extents::<8>(rest, rank, 0xd3)?;
        let (chunk, rest) = extents::<4>(rest, rank, 0xd2)?;
        let (block, _) = extents::<4>(rest, rank, 0xd2)?;
        let within = block.iter().zip(&shape).all(|(block, extent)| block <= extent);
        (chunk == shape && within).then_some(Self { shape, block })
    }

    /// The number of blocks.
    pub(super) fn count(&self) -> Option<usize> {
        product(self.counts(), 1)
    }

    fn counts(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.shape.iter().zip(&self.block).map(|(extent, &block)| extent.div_ceil(block))
    }

    /// Bytes of the array.
    pub(super) fn bytes(&self, element: usize) -> Option<usize> {
        product(self.shape.iter().copied(), element)
    }

    pub(super) fn block_bytes(&self, element: usize) -> Option<usize> {
        product(self.block.iter().copied(), element)
    }

    /// Bytes of all blocks.
    pub(super) fn padded_bytes(&self, element: usize) -> Option<usize> {
        self.count()?.checked_mul(self.block_bytes(element)?)
    }

    /// Copies the part of block `number` that is within the array; `None` if a size does not fit.
    pub(super) fn put(
        &self,
        number: usize,
        element: usize,
        block: &[u8],
        array: &mut [u8],
    ) -> Option<()> {
        let (start, extent) = self.place(number)?;
        let last = self.shape.len() - 1;
        let run = extent[last] * element;
        let mut at = [0; AXES];
        loop {
            let (mut from, mut to) = (0, 0);
            for (axis, &at) in at.iter().enumerate().take(last + 1) {
                from = from * self.block[axis] + at;
                to = to * self.shape[axis] + start[axis] + at;
            }
            let (from, to) = (from * element, to * element);
            array.get_mut(to..to + run)?.copy_from_slice(block.get(from..from + run)?);
            // The next row: the last axis but one counts fastest.
            let Some(axis) = (0..last).rev().find(|&axis| at[axis] + 1 < extent[axis]) else {
                return Some(());
            };
            at[axis] += 1;
            at[axis + 1..].fill(0);
        }
    }

    /// The start of a block, and the extents of its part within the array.
    fn place(&self, mut number: usize) -> Option<([usize; AXES], [usize; AXES])> {
        let (mut start, mut extent) = ([0; AXES], [0; AXES]);
        for (axis, count) in self.counts().enumerate().collect::<Vec<_>>().into_iter().rev() {
            start[axis] = number % count * self.block[axis];
            extent[axis] = self.block[axis].min(self.shape[axis] - start[axis]);
            number /= count;
        }
        (number == 0).then_some((start, extent))
    }
}

fn product(mut numbers: impl Iterator<Item = usize>, first: usize) -> Option<usize> {
    numbers.try_fold(first, usize::checked_mul)
}

/// A list of `rank` signed numbers of `N` bytes, none below 1, and the bytes after it.
fn extents<const N: usize>(source: &[u8], rank: usize, tag: u8) -> Option<(Vec<usize>, &[u8])> {
    let (list, rest) = source.split_first()?;
    let (numbers, rest) = rest.split_at_checked(rank * (N + 1))?;
    let extent = |number: &[u8]| {
        let mut wide = [0; 8];
        wide[8 - N..].copy_from_slice(number.get(1..)?);
        let wide = usize::try_from(u64::from_be_bytes(wide)).ok()?;
        // At most 31 bits: the numbers are signed.
        (number[0] == tag && (1..=0x7fff_ffff).contains(&wide)).then_some(wide)
    };
    let extents = numbers.chunks_exact(N + 1).map(extent).collect::<Option<Vec<_>>>()?;
    (usize::from(*list) == 0x90 | rank).then_some((extents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_placed_in_the_array_and_cut_at_its_edges() {
        let grid = Grid { shape: vec![2, 3, 5], block: vec![1, 2, 3] };
        assert_eq!(
            (grid.count(), grid.bytes(2), grid.padded_bytes(2)),
            (Some(8), Some(60), Some(96))
        );
        let mut array = vec![0_u8; 30];
        for number in 0..8 {
            let block: Vec<u8> = (0..6).map(|n| number * 10 + n).collect();
            grid.put(usize::from(number), 1, &block, &mut array).unwrap();
        }
        let plane = |n: u8| {
            let row = |a: [u8; 5]| a.map(|value| value + n * 40);
            [row([0, 1, 2, 10, 11]), row([3, 4, 5, 13, 14]), row([20, 21, 22, 30, 31])].concat()
        };
        assert_eq!(array, [plane(0), plane(1)].concat());
        assert!(grid.put(8, 1, &[0; 6], &mut array).is_none());
        assert!(grid.put(0, 1, &[0; 5], &mut array).is_none());
        assert!(grid.put(7, 1, &[0; 6], &mut array[..29]).is_none());
    }
}
