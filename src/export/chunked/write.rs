//! Writes the chunks of a dataset, encoded by several threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use hdf5_reader::{Object, Writer};

use super::encoder::{ChunkEncoder, EncodedChunk};
use super::grid::ChunkGrid;
use crate::error::Result;
use crate::export::interrupt::CheckInterrupt;
use crate::export::source::Source;
use crate::os::threads;

/// Bytes of chunks in memory at once, unless one chunk needs more.
const MAX_MEMORY: usize = 256 << 20;

/// Writes a dataset in chunks, with shuffle and deflate if there is a `level`.
///
/// # Errors
/// Returns an error if libhdf5 cannot write a chunk, an I/O error if a segment cannot be read, and the errors of
/// `check_interrupt`.
pub(crate) fn write(
    writer: &Writer,
    dataset: &Object,
    source: &Source,
    grid: &ChunkGrid,
    level: Option<u8>,
    check_interrupt: CheckInterrupt,
) -> Result<()> {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    // Each thread holds a chunk before and after the filters, and as many wait to be written.
    let max_threads = MAX_MEMORY / grid.chunk_bytes().saturating_mul(4).max(1);
    let count = threads::processors().min(max_threads).max(1);
    let mut write = |chunk: Result<EncodedChunk>| {
        let EncodedChunk { start, filter_mask, bytes } = chunk?;
        writer.write_chunk(dataset, &start, filter_mask, &bytes)?;
        check_interrupt()
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Result<EncodedChunk>>(count);
        let (next, stop) = (&next, &stop);
        let started = threads::helpers(scope, count, move || {
            let mut encoder = ChunkEncoder::new(source, grid, level);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= grid.count() || stop.load(Ordering::Relaxed) {
                    return;
                }
                // The send fails if the receiver failed; the receiver returns its own error.
                if sender.send(encoder.encode(number)).is_err() {
                    return;
                }
            }
        });
        if started == 0 {
            let mut encoder = ChunkEncoder::new(source, grid, level);
            return (0..grid.count()).try_for_each(|number| write(encoder.encode(number)));
        }
        for chunk in receiver {
            let written = write(chunk);
            if written.is_err() {
                stop.store(true, Ordering::Relaxed);
                return written;
            }
        }
        Ok(())
    })
}
