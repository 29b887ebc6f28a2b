//! Chunked datasets: chunks are gathered, shuffled and deflated by all processors at once, and only written
//! one after the other.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use hdf5_reader::{Object, Writer};
use libdeflater::{CompressionLvl, Compressor};

use super::Advance;
use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::os::threads;

/// Bytes that a chunk aims at: within HDF5's default cache of 1 MiB, large enough to compress well.
const TARGET: u64 = 512 << 10;
/// Bytes of chunks in memory at once, unless one chunk needs more.
const MEMORY: usize = 256 << 20;
/// The bit of deflate, the second filter, in the mask of filters that a chunk has not been through.
const NOT_DEFLATED: u32 = 1 << 1;

/// Extents of chunks for an array: whole rows, so that each chunk is one piece of the array. `None`
/// where chunks make no sense.
pub(super) fn chunk(shape: &[u64], item: u64) -> Option<Vec<u64>> {
    if shape.is_empty() || shape.contains(&0) || item == 0 || item >= u64::from(u32::MAX) {
        return None;
    }
    let mut chunk = shape.to_vec();
    for axis in 0..shape.len() {
        let rest = chunk[axis + 1..].iter().fold(item, |all, &n| all.saturating_mul(n));
        if rest.saturating_mul(chunk[axis]) <= TARGET {
            break;
        }
        chunk[axis] = (TARGET / rest).clamp(1, shape[axis]);
        if rest <= TARGET {
            break;
        }
    }
    Some(chunk)
}

/// A chunk on its way to the file: where it begins, which filters it lacks, its bytes.
type Done = (Vec<u64>, u32, Vec<u8>, u64);

/// Writes a dataset in chunks, with shuffle and deflate if there is a `level`.
pub(super) fn write(
    writer: &Writer,
    dataset: &Object,
    source: &Source,
    grid: &Grid,
    level: Option<u8>,
    advance: Advance,
) -> Result<()> {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    // Each worker has a chunk and what became of it, and as many wait to be written.
    let memory = MEMORY / grid.chunk_bytes().saturating_mul(4).max(1);
    let workers = threads::processors().min(memory).max(1);
    let mut write = |done: Result<Done>| {
        let (start, lacks, bytes, size) = done?;
        writer.write_chunk(dataset, &start, lacks, &bytes)?;
        advance(size)
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Result<Done>>(workers);
        let (next, stop) = (&next, &stop);
        let started = threads::helpers(scope, workers, move || {
            let mut work = Work::new(source, grid, level);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= grid.count() || stop.load(Ordering::Relaxed) {
                    return;
                }
                // A receiver that is gone has failed, and says so itself.
                if sender.send(work.chunk(number)).is_err() {
                    return;
                }
            }
        });
        if started == 0 {
            let mut work = Work::new(source, grid, level);
            return (0..grid.count()).try_for_each(|number| write(work.chunk(number)));
        }
        for done in receiver {
            let written = write(done);
            if written.is_err() {
                stop.store(true, Ordering::Relaxed);
                return written;
            }
        }
        Ok(())
    })
}

/// How an array is cut.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) shape: Vec<u64>,
    pub(super) chunk: Vec<u64>,
    pub(super) item: usize,
}

impl Grid {
    fn counts(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + '_ {
        self.shape.iter().zip(&self.chunk).map(|(n, c)| n.div_ceil(*c))
    }

    fn count(&self) -> u64 {
        self.counts().product()
    }

    /// First index of chunk `number`.
    fn start(&self, number: u64) -> Vec<u64> {
        let mut rest = number;
        let mut start: Vec<u64> = Vec::with_capacity(self.shape.len());
        for (count, chunk) in self.counts().zip(&self.chunk).rev() {
            start.push(rest % count * chunk);
            rest /= count;
        }
        start.reverse();
        start
    }

    /// Calls `read` for each run of a chunk's elements that are neighbors in the array: the offset in the array and
    /// the range in the chunk, in bytes. Returns the bytes of all.
    fn gather(
        &self,
        start: &[u64],
        mut read: impl FnMut(u64, Range<usize>) -> Result<()>,
    ) -> Result<u64> {
        let Self { shape, chunk, item } = self;
        let count: Vec<u64> =
            (0..shape.len()).map(|axis| chunk[axis].min(shape[axis] - start[axis])).collect();
        let is_whole = |axis: &usize| count[*axis] == shape[*axis] && count[*axis] == chunk[*axis];
        let whole = (0..shape.len()).rev().take_while(is_whole).count();
        // A run covers the whole axes and the one before them.
        let outer = shape.len().saturating_sub(whole + 1);
        let run = usize::try_from(count[outer..].iter().product::<u64>()).unwrap_or(usize::MAX);
        let mut index = vec![0; shape.len()];
        loop {
            let (mut from, mut to) = (0, 0);
            for axis in 0..shape.len() {
                from = from * shape[axis] + start[axis] + index[axis];
                to = to * chunk[axis] + index[axis];
            }
            let to = usize::try_from(to).unwrap_or(usize::MAX).saturating_mul(*item);
            read(from * *item as u64, to..to.saturating_add(run.saturating_mul(*item)))?;
            let Some(axis) = (0..outer).rev().find(|&axis| index[axis] + 1 < count[axis]) else {
                return Ok(count.iter().product::<u64>() * *item as u64);
            };
            index[axis] += 1;
            index[axis + 1..].fill(0);
        }
    }

    fn chunk_bytes(&self) -> usize {
        self.chunk
            .iter()
            .fold(self.item, |all, &n| all.saturating_mul(usize::try_from(n).unwrap_or(usize::MAX)))
    }
}

/// One worker's buffers.
struct Work<'a> {
    source: &'a Source,
    grid: &'a Grid,
    /// `None` without compression.
    compressor: Option<Compressor>,
    plain: Vec<u8>,
    field: Vec<u8>,
    shuffled: Vec<u8>,
}

impl<'a> Work<'a> {
    fn new(source: &'a Source, grid: &'a Grid, level: Option<u8>) -> Self {
        let level = level.map(|level| CompressionLvl::new(i32::from(level)).unwrap_or_default());
        let bytes = grid.chunk_bytes();
        let shuffled = vec![0; if level.is_some() { bytes } else { 0 }];
        let (plain, field) = (vec![0; bytes], Vec::new());
        Self { source, grid, compressor: level.map(Compressor::new), plain, field, shuffled }
    }

    fn chunk(&mut self, number: u64) -> Result<Done> {
        let start = self.grid.start(number);
        let Self { source, grid, plain, field, .. } = self;
        plain.fill(0);
        let size = grid.gather(&start, |offset, range| {
            let Some(place) = plain.get_mut(range) else {
                return Err(Error::new(Kind::Io, "a chunk is larger than the memory"));
            };
            source.read_at(offset, place, field)
        })?;
        let Some(compressor) = &mut self.compressor else {
            return Ok((start, 0, self.plain.clone(), size));
        };
        shuffle(&self.plain, self.grid.item, &mut self.shuffled);
        let bound = compressor.zlib_compress_bound(self.shuffled.len());
        let mut packed = vec![0; bound];
        let length = compressor
            .zlib_compress(&self.shuffled, &mut packed)
            .map_err(|e| Error::new(Kind::Io, format!("cannot compress: {e}")))?;
        if length >= self.shuffled.len() {
            return Ok((start, NOT_DEFLATED, self.shuffled.clone(), size));
        }
        packed.truncate(length);
        Ok((start, 0, packed, size))
    }
}

/// First bytes of all elements, then the second ones, and so on: HDF5's filter 2.
fn shuffle(plain: &[u8], item: usize, out: &mut [u8]) {
    match item {
        0 | 1 => out.copy_from_slice(plain),
        2 => transpose::<2>(plain, out),
        4 => transpose::<4>(plain, out),
        8 => transpose::<8>(plain, out),
        16 => transpose::<16>(plain, out),
        _ => {
            let count = plain.len() / item;
            for (number, element) in plain.chunks_exact(item).enumerate() {
                for (byte, value) in element.iter().enumerate() {
                    out[byte * count + number] = *value;
                }
            }
        }
    }
}

/// In blocks that stay in the first-level cache, one row of output at a time.
fn transpose<const N: usize>(plain: &[u8], out: &mut [u8]) {
    const BLOCK: usize = 1024;
    let count = plain.len() / N;
    let (elements, _) = plain.as_chunks::<N>();
    for (number, block) in elements.chunks(BLOCK).enumerate() {
        for byte in 0..N {
            let begin = byte * count + number * BLOCK;
            let row = &mut out[begin..begin + block.len()];
            for (to, element) in row.iter_mut().zip(block) {
                *to = element[byte];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_one_piece_and_of_sensible_size() {
        assert_eq!(chunk(&[100, 100], 8), Some(vec![100, 100]));
        assert_eq!(chunk(&[1 << 20, 16], 8), Some(vec![4096, 16]));
        assert_eq!(chunk(&[4, 1 << 20], 8), Some(vec![1, 65536]));
        assert_eq!(chunk(&[], 8), None);
        assert_eq!(chunk(&[0, 4], 8), None);
    }

    #[test]
    fn chunks_cover_the_array_once() {
        for chunk in [vec![1, 2, 7], vec![2, 2, 3], vec![3, 5, 7], vec![4, 8, 8], vec![2, 5, 7]] {
            let grid = Grid { shape: vec![3, 5, 7], chunk: chunk.clone(), item: 4 };
            let mut seen = vec![0; 3 * 5 * 7];
            for number in 0..grid.count() {
                let start = grid.start(number);
                let size = grid.gather(&start, |offset, range| {
                    for (step, to) in range.step_by(4).enumerate() {
                        let element = usize::try_from(offset).unwrap() / 4 + step;
                        seen[element] += 1;
                        // Where it belongs by its indices.
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
                assert!(size.unwrap() > 0);
            }
            assert!(seen.iter().all(|&count| count == 1), "{chunk:?}");
        }
    }

    #[test]
    fn shuffling_puts_first_bytes_first() {
        for item in [2, 3, 4, 8] {
            let plain: Vec<u8> = (0..item * 5).map(|n| u8::try_from(n).unwrap()).collect();
            let mut out = vec![0; plain.len()];
            shuffle(&plain, item, &mut out);
            assert_eq!(usize::from(out[1]), item);
            assert_eq!(out[5], 1);
        }
    }
}
