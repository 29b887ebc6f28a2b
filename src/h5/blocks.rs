//! Cuts a dataset into blocks of whole chunks, so that memory is bounded and no chunk is decoded twice.

/// Bytes that a block aims at.
pub(super) const TARGET: u64 = 16 << 20;

/// A chunk of more bytes than this is read in parts, at the cost of decoding it more than once.
const LARGEST: u64 = 256 << 20;

/// A part of a dataset: first index and count on each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: Vec<u64>,
    pub(super) count: Vec<u64>,
}

impl Block {
    /// How many elements it has.
    pub(super) fn elements(&self) -> u64 {
        self.count.iter().product()
    }
}

/// The blocks of a dataset, in C order.
#[derive(Debug)]
pub(super) struct Blocks {
    shape: Vec<u64>,
    extent: Vec<u64>,
    next: Option<Vec<u64>>,
}

impl Blocks {
    /// Blocks of about [`TARGET`] bytes for elements of `size` bytes, made of whole chunks.
    pub(super) fn new(shape: &[u64], chunk: Option<&[u64]>, size: u64) -> Self {
        let ones = vec![1; shape.len()];
        let unit = chunk.filter(|chunk| chunk.len() == shape.len()).unwrap_or(&ones);
        let clipped: Vec<u64> = unit.iter().zip(shape).map(|(&c, &n)| c.min(n).max(1)).collect();
        let whole = bytes(&clipped, size) <= LARGEST;
        let extent = grow(if whole { unit } else { &ones }, shape, size);
        let next = (!shape.contains(&0)).then(|| vec![0; shape.len()]);
        Self { shape: shape.to_vec(), extent, next }
    }
}

impl Iterator for Blocks {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let start = self.next.take()?;
        let axes = start.iter().zip(&self.extent).zip(&self.shape);
        let count = axes.map(|((&at, &extent), &n)| extent.min(n.saturating_sub(at))).collect();
        let mut following = start.clone();
        let axes = following.iter_mut().zip(&self.extent).zip(&self.shape);
        for ((at, &extent), &n) in axes.rev() {
            *at = at.saturating_add(extent);
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
pub(super) fn first_index(shape: &[u64], start: &[u64]) -> u64 {
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
    fn a_block_stays_within_its_target() {
        for block in cut(&[100_000, 1000], Some(&[10, 100]), 8) {
            assert!(block.elements() * 8 <= TARGET);
        }
    }

    #[test]
    fn nothing_is_cut_from_an_empty_dataset() {
        assert!(cut(&[0, 5], None, 8).is_empty());
        assert!(cut(&[5, 0], Some(&[1, 1]), 8).is_empty());
    }

    #[test]
    fn huge_extents_do_not_overflow() {
        let first = Blocks::new(&[1 << 62, 1 << 60], Some(&[1 << 40, 1 << 40]), 1 << 50).next();
        assert_eq!(first.unwrap().start, [0, 0]);
    }
}
