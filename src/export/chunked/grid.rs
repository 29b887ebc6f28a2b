//! The chunks of a dataset: their shape, and the parts of the array in each.

use std::ops::Range;

use hdf5_reader::hyperslab::{Hyperslab, bytes_of, chunk_start};

use crate::error::{Error, Kind, Result};

/// The intended size of a chunk: smaller than HDF5's default cache of 1 MiB, large enough to compress well.
const TARGET_BYTES: u64 = 512 << 10;

/// Returns the chunk shape for an array: whole rows, so that the elements of a chunk are contiguous in the array.
/// Returns `None` if the array cannot be chunked.
pub(crate) fn chunk_shape(shape: &[u64], item: u64) -> Option<Vec<u64>> {
    if shape.is_empty() || shape.contains(&0) || item == 0 || item >= u64::from(u32::MAX) {
        return None;
    }
    let mut chunk = shape.to_vec();
    for axis in 0..shape.len() {
        let rest = chunk[axis + 1..].iter().fold(item, |all, &n| all.saturating_mul(n));
        if rest.saturating_mul(chunk[axis]) <= TARGET_BYTES {
            break;
        }
        chunk[axis] = (TARGET_BYTES / rest).clamp(1, shape[axis]);
        if rest <= TARGET_BYTES {
            break;
        }
    }
    Some(chunk)
}

/// The division of an array into chunks.
#[derive(Debug)]
pub(crate) struct ChunkGrid {
    /// The shape of the array.
    pub(crate) shape: Vec<u64>,
    /// The shape of a chunk.
    pub(crate) chunk: Vec<u64>,
    /// Bytes of an element.
    pub(crate) item: usize,
}

impl ChunkGrid {
    /// The number of chunks along each axis.
    fn counts(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + '_ {
        self.shape.iter().zip(&self.chunk).map(|(n, c)| n.div_ceil(*c))
    }

    /// The number of chunks.
    pub(super) fn count(&self) -> u64 {
        self.counts().product()
    }

    /// Index of the first element of chunk `number`.
    pub(super) fn start(&self, number: u64) -> Vec<u64> {
        chunk_start(number, &self.counts().collect::<Vec<_>>(), &self.chunk)
    }

    /// Calls `read` for each run of elements that is contiguous in the array and in the chunk, with the offset in the
    /// array and the range in the chunk, both in bytes. Returns the size of all runs in bytes.
    pub(super) fn gather(
        &self,
        start: &[u64],
        mut read: impl FnMut(u64, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let slab = Hyperslab { shape: &self.shape, start, extent: &self.chunk };
        slab.runs(|array, chunk, run| {
            let range = bytes_of(chunk, run, self.item)
                .ok_or_else(|| Error::new(Kind::Io, "a chunk is larger than the address space"))?;
            read(array * self.item as u64, range)
        })
    }

    /// Size of a chunk in bytes.
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunk
            .iter()
            .fold(self.item, |all, &n| all.saturating_mul(usize::try_from(n).unwrap_or(usize::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_is_contiguous_and_at_most_the_target_size() {
        assert_eq!(chunk_shape(&[100, 100], 8), Some(vec![100, 100]));
        assert_eq!(chunk_shape(&[1 << 20, 16], 8), Some(vec![4096, 16]));
        assert_eq!(chunk_shape(&[4, 1 << 20], 8), Some(vec![1, 65536]));
        assert_eq!(chunk_shape(&[], 8), None);
        assert_eq!(chunk_shape(&[0, 4], 8), None);
    }

    #[test]
    fn chunks_contain_each_element_once() {
        for chunk in [vec![1, 2, 7], vec![2, 2, 3], vec![3, 5, 7], vec![4, 8, 8], vec![2, 5, 7]] {
            let grid = ChunkGrid { shape: vec![3, 5, 7], chunk: chunk.clone(), item: 4 };
            let mut seen = vec![0; 3 * 5 * 7];
            for number in 0..grid.count() {
                let start = grid.start(number);
                let gathered = grid.gather(&start, |offset, range| {
                    for (step, to) in range.step_by(4).enumerate() {
                        let element = usize::try_from(offset).unwrap() / 4 + step;
                        seen[element] += 1;
                        // The place in the chunk that follows from the indices of the element.
                        let at = [element / 35, element / 7 % 5, element % 7];
                        let place = (0..3).fold(0, |place, axis| {
                            let [c, s] = [chunk[axis], start[axis]];
                            place * usize::try_from(c).unwrap() + at[axis]
                                - usize::try_from(s).unwrap()
                        });
                        assert_eq!(to, place * 4);
                    }
                    Ok(())
                });
                gathered.unwrap();
            }
            assert!(seen.iter().all(|&count| count == 1), "{chunk:?}");
        }
    }
}
