//! Reads and decodes a work item, and passes the elements to a destination.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use hdf5_filters::{Conversion, Decoder, LARGE_CHUNK_BYTES, Streaming, resize_buffer};
use hdf5_reader::{ChunkIndex, Stored};

use crate::load::decode_memory::Gate;
use crate::load::plan::SegmentPlan;
use crate::load::worker::chunked::{Chunked, Grouping, READ, adjoins};
use crate::load::worker::endpoints::{Contiguous, DataSource, Endpoints, Unwritten};
use crate::load::worker::progress::ProgressSender;
use crate::load::worker::read_error::ReadError;
use crate::load::worker::stream::{Decoded, FileRange};
use crate::load::worker::work_item::WorkItem;
use crate::load::worker::write::{Destination, Scratch};
use crate::shm::segment::segment_writer::{CACHED_BYTES, SegmentWriter, Window};
use hdf5_reader::hyperslab::{self, Hyperslab, OutputBox, bytes_of};

type Done = Result<(), ReadError>;

/// The buffers of a worker, reused for each item.
#[derive(Debug, Default)]
pub(crate) struct ItemReader {
    gate: Arc<Gate>,
    stored: Vec<u8>,
    plain: Vec<u8>,
    /// The elements of a block, for each segment.
    buffers: Vec<Vec<u8>>,
    decoder: Decoder,
    /// The buffers for selected and converted values.
    pub scratch: Scratch,
}

impl ItemReader {
    /// Returns a reader that shares the memory limit for large chunks with other readers.
    pub(crate) fn sharing(gate: Arc<Gate>) -> Self {
        Self { gate, ..Self::default() }
    }

    /// Transfers one item to the segments.
    pub(crate) fn item(
        &mut self,
        ends: &Endpoints<'_>,
        item: &WorkItem<'_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        match (&ends.source, item) {
            (DataSource::Chunked(all), WorkItem::Chunks(chunks))
                if matches!(all.grouping, Grouping::Slabs { .. }) =>
            {
                let mut destination = Destination::Windows(windows(ends, all, chunks)?);
                let output = OutputBox::whole(&all.index.shape, all.index.before);
                self.chunks(ends, (all, &output), chunks, &mut destination, progress)
            }
            (DataSource::Chunked(all), WorkItem::Block(chunks, absent)) => {
                self.block(ends, all, (chunks, absent), progress)
            }
            _ => self.do_into(ends, item, &mut Destination::Segments(&ends.writers), progress),
        }
    }

    /// Transfers one item to any destination.
    pub(crate) fn do_into(
        &mut self,
        ends: &Endpoints<'_>,
        item: &WorkItem<'_>,
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        match (&ends.source, item) {
            (DataSource::Contiguous(all), WorkItem::Elements(range)) => {
                self.elements(ends, all, range.clone(), destination, progress)
            }
            (DataSource::Unwritten(all), WorkItem::Elements(range)) => {
                self.unwritten(ends, all, range.clone(), destination, progress)
            }
            (DataSource::Chunked(all), item) => {
                let output = OutputBox::whole(&all.index.shape, all.index.before);
                let (chunks, absent): (&[Stored], &[u64]) = match item {
                    WorkItem::Chunks(chunks) => (chunks, &[]),
                    WorkItem::Block(chunks, absent) => (chunks, absent),
                    WorkItem::Absent(absent) => (&[], absent),
                    WorkItem::Elements(_) => (&[], &[]),
                };
                self.chunks(ends, (all, &output), chunks, destination, progress)?;
                self.absent(ends, (&all.index, &output), absent, destination, progress)
            }
            _ => Ok(()),
        }
    }

    fn elements(
        &mut self,
        ends: &Endpoints<'_>,
        all: &Contiguous,
        range: std::ops::Range<u64>,
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        let size = element_size(ends)?;
        let convert = ends.dataset.convert();
        let file_size = convert.map_or(size, Conversion::file_size);
        let address = |first: u64| {
            let bytes = first.checked_mul(file_size as u64);
            let bytes = bytes.and_then(|at| at.checked_add(all.offset));
            bytes.ok_or(ReadError::Refused("an address beyond the file's end"))
        };
        if let ([writer], [segment], Destination::Segments(_)) =
            (&ends.writers[..], ends.segments, &destination)
            && writer.is_mapped_best()
            && convert.is_none()
            && segment.is_plain(size as u64)
        {
            let len = usize::try_from((range.end - range.start) * size as u64);
            let len = len.map_err(|_| ReadError::Refused("too many bytes"))?;
            let mut window = writer.window(range.start * size as u64, len)?;
            read(&ends.file, address(range.start)?, window.bytes())?;
            progress.advance(len as u64)?;
            return Ok(());
        }
        let at_once =
            ends.writers.first().map_or(CACHED_BYTES as u64, SegmentWriter::at_once) / size as u64;
        let at_once = at_once.max(1);
        let mut first = range.start;
        while first < range.end {
            let count = at_once.min(range.end - first);
            let count_here = usize::try_from(count).unwrap_or(usize::MAX);
            resize_buffer(&mut self.stored, count_here.saturating_mul(file_size))?;
            read(&ends.file, address(first)?, &mut self.stored)?;
            let elements = match convert {
                None => &self.stored,
                Some(convert) => {
                    convert.apply(&self.stored, &mut self.plain)?;
                    &self.plain
                }
            };
            destination.put(
                ends.segments,
                &mut self.scratch,
                size,
                first,
                elements.as_slice().into(),
            )?;
            progress.advance(elements.len() as u64)?;
            first += count;
        }
        Ok(())
    }

    /// Fills elements that were never written.
    fn unwritten(
        &mut self,
        ends: &Endpoints<'_>,
        all: &Unwritten,
        range: std::ops::Range<u64>,
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        let size = element_size(ends)?;
        let at_once = (CACHED_BYTES / size).max(1) as u64;
        let most = at_once.min(range.end - range.start);
        resize_buffer(
            &mut self.plain,
            usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(size),
        )?;
        for element in self.plain.chunks_exact_mut(size) {
            element.copy_from_slice(&all.fill);
        }
        let mut first = range.start;
        while first < range.end {
            let count = most.min(range.end - first);
            let bytes = bytes_of(0, count, size).and_then(|range| self.plain.get(range));
            let bytes = bytes.ok_or(ReadError::Refused("too many bytes"))?;
            destination.put(ends.segments, &mut self.scratch, size, first, bytes.into())?;
            progress.advance(bytes.len() as u64)?;
            first += count;
        }
        Ok(())
    }

    /// Assembles the chunks of a block in memory, and writes its runs.
    fn block(
        &mut self,
        ends: &Endpoints<'_>,
        all: &Chunked,
        (chunks, absent): (&[Stored], &[u64]),
        progress: &ProgressSender<'_>,
    ) -> Done {
        let (Grouping::Blocks { extent, chunks: count }, Some(one)) =
            (&all.grouping, chunks.first())
        else {
            return Ok(());
        };
        let first = one.number / count * count;
        let start = hyperslab::chunk_start(first, &all.index.grid, &all.index.chunk);
        let output = OutputBox::within(&all.index.shape, start, extent);
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.resize_with(ends.segments.len(), Vec::new);
        for (buffer, segment) in buffers.iter_mut().zip(ends.segments) {
            let bytes = usize::try_from(output.elements().saturating_mul(segment.width()));
            let bytes = bytes.map_err(|_| ReadError::Refused("a block of odd extents"))?;
            if (chunks.len() + absent.len()) as u64 != *count {
                // Elements outside of all chunks are zero.
                buffer.clear();
            }
            resize_buffer(buffer, bytes)?;
        }
        let mut destination = Destination::Memory(buffers);
        self.chunks(ends, (all, &output), chunks, &mut destination, progress)?;
        self.absent(ends, (&all.index, &output), absent, &mut destination, progress)?;
        let Destination::Memory(buffers) = destination else { return Ok(()) };
        write_block(ends, &all.index, &output, &buffers)?;
        self.buffers = buffers;
        Ok(())
    }

    fn chunks(
        &mut self,
        ends: &Endpoints<'_>,
        (all, output): (&Chunked, &OutputBox),
        mut chunks: &[Stored],
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        let most = all.index.pipeline.most_stored();
        while let Some(first) = chunks.first() {
            let large = all.index.pipeline.chunk_bytes() > LARGE_CHUNK_BYTES;
            let together = if large { 1 } else { together(chunks) };
            let (run, rest) = chunks.split_at(together);
            chunks = rest;
            if run.iter().any(|stored| stored.size > most) {
                return Err(ReadError::Refused("a chunk that is larger than it can be"));
            }
            if large {
                self.large_chunk(ends, (&all.index, output), first, destination, progress)?;
                continue;
            }
            let end = run.last().and_then(|last| last.address.checked_add(last.size));
            let bytes = end.and_then(|end| usize::try_from(end.checked_sub(first.address)?).ok());
            let bytes = bytes.ok_or(ReadError::Refused("an address beyond the file's end"))?;
            let mut stored = std::mem::take(&mut self.stored);
            let done = resize_buffer(&mut stored, bytes)
                .map_err(ReadError::from)
                .and_then(|()| read(&ends.file, first.address, &mut stored))
                .and_then(|()| {
                    run.iter().try_for_each(|chunk| {
                        let start = usize::try_from(chunk.address - first.address).unwrap_or(0);
                        let size = usize::try_from(chunk.size).unwrap_or(0);
                        let code = stored.get(start..start + size).unwrap_or_default();
                        self.chunk(ends, (&all.index, output), chunk, code, destination, progress)
                    })
                });
            self.stored = stored;
            done?;
        }
        Ok(())
    }

    /// Transfers a chunk that needs much memory: in pieces if its filters permit this, otherwise within the limit
    /// for all workers.
    fn large_chunk(
        &mut self,
        ends: &Endpoints<'_>,
        (index, output): (&ChunkIndex, &OutputBox),
        chunk: &Stored,
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        let gate = Arc::clone(&self.gate);
        let start = hyperslab::chunk_start(chunk.number, &index.grid, &index.chunk);
        let least = least(ends, index, &start);
        let _permit = gate.enter(index.pipeline.memory((chunk.size, least), chunk.mask));
        if let Some(streamed) = index.pipeline.streamed(chunk.mask) {
            return self.in_pieces(ends, (index, output), (chunk, streamed), destination, progress);
        }
        let bytes = usize::try_from(chunk.size).unwrap_or(usize::MAX);
        let mut stored = std::mem::take(&mut self.stored);
        let done = resize_buffer(&mut stored, bytes)
            .map_err(ReadError::from)
            .and_then(|()| read(&ends.file, chunk.address, &mut stored))
            .and_then(|()| {
                let least = usize::try_from(least).unwrap_or(usize::MAX);
                let is_short = least < index.pipeline.chunk_bytes();
                if !is_short || !index.pipeline.begins_alone(chunk.mask) {
                    return self.chunk(
                        ends,
                        (index, output),
                        chunk,
                        &stored,
                        destination,
                        progress,
                    );
                }
                let Self { plain, decoder, scratch, .. } = self;
                index.pipeline.begin(decoder, chunk.mask, (&stored, least), plain)?;
                progress.advance(spread(
                    ends,
                    (index, output),
                    chunk.number,
                    plain,
                    destination,
                    scratch,
                )?)?;
                Ok(())
            });
        self.plain = Vec::new();
        self.decoder.release();
        done
    }

    fn in_pieces(
        &mut self,
        ends: &Endpoints<'_>,
        (index, output): (&ChunkIndex, &OutputBox),
        (chunk, streamed): (&Stored, Streaming),
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        let range = FileRange { file: &ends.file, at: chunk.address, left: chunk.size };
        let whole = index.pipeline.chunk_bytes();
        let mut decoded = Decoded::open(range, streamed, whole)?;
        let (size, convert) = (element_size(ends)?, ends.dataset.convert());
        let file_size = convert.map_or(size, Conversion::file_size);
        let at_once = (CACHED_BYTES / file_size).max(1) as u64;
        let start = hyperslab::chunk_start(chunk.number, &index.grid, &index.chunk);
        let inner = output.relative(start.clone());
        let part = Hyperslab { shape: &output.shape, start: &inner, extent: &index.chunk };
        part.runs(|to, from, run| {
            let run = hyperslab::wanted((to, from, run), output.before);
            let Some((mut to, mut from, mut run)) = run else { return Ok::<(), ReadError>(()) };
            while run > 0 {
                let count = run.min(at_once);
                let bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(file_size);
                resize_buffer(&mut self.stored, bytes)?;
                decoded.take(from.saturating_mul(file_size as u64), &mut self.stored)?;
                let elements = match convert {
                    None => &self.stored,
                    Some(convert) => {
                        convert.apply(&self.stored, &mut self.plain)?;
                        &self.plain
                    }
                };
                destination.put(
                    ends.segments,
                    &mut self.scratch,
                    size,
                    to,
                    elements.as_slice().into(),
                )?;
                progress.advance(elements.len() as u64)?;
                (to, from, run) = (to + count, from + count, run - count);
            }
            Ok(())
        })?;
        let total = decoded.finish(whole as u64)?;
        match total >= least(ends, index, &start) {
            true => Ok(()),
            false => Err(ReadError::Damaged("a chunk of another size than its dataset says")),
        }
    }

    fn chunk(
        &mut self,
        ends: &Endpoints<'_>,
        (index, output): (&ChunkIndex, &OutputBox),
        chunk: &Stored,
        code: &[u8],
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        let pipeline = &index.pipeline;
        let Self { plain, decoder, scratch, .. } = self;
        let plain = if pipeline.is_plain(chunk.mask) && code.len() == pipeline.chunk_bytes() {
            code
        } else {
            let start = hyperslab::chunk_start(chunk.number, &index.grid, &index.chunk);
            let least = usize::try_from(least(ends, index, &start)).unwrap_or(usize::MAX);
            pipeline.decode(decoder, chunk.mask, (code, least), plain)?;
            plain
        };
        if plain.len() != pipeline.plain_bytes() {
            return Err(ReadError::Damaged("a chunk of another size than its dataset says"));
        }
        let moved = spread(ends, (index, output), chunk.number, plain, destination, scratch)?;
        progress.advance(moved)?;
        Ok(())
    }

    /// Fills chunks that were never written.
    fn absent(
        &mut self,
        ends: &Endpoints<'_>,
        (index, output): (&ChunkIndex, &OutputBox),
        numbers: &[u64],
        destination: &mut Destination<'_, '_>,
        progress: &ProgressSender<'_>,
    ) -> Done {
        if numbers.is_empty() {
            return Ok(());
        }
        resize_buffer(&mut self.plain, index.pipeline.plain_bytes())?;
        for element in self.plain.chunks_exact_mut(index.fill.len().max(1)) {
            element.copy_from_slice(&index.fill);
        }
        for &number in numbers {
            let (plain, scratch) = (&self.plain, &mut self.scratch);
            let moved = spread(ends, (index, output), number, plain, destination, scratch)?;
            progress.advance(moved)?;
        }
        Ok(())
    }
}

/// Returns the least size of the chunk at `start`: it must have all bytes up to the last one within the dataset.
fn least(ends: &Endpoints<'_>, index: &ChunkIndex, start: &[u64]) -> u64 {
    index.least(start).saturating_mul(ends.dataset.file_element_size())
}

/// Writes the elements of a chunk that are within the dataset. Returns their number of bytes.
fn spread(
    ends: &Endpoints<'_>,
    (index, output): (&ChunkIndex, &OutputBox),
    number: u64,
    plain: &[u8],
    destination: &mut Destination<'_, '_>,
    scratch: &mut Scratch,
) -> Result<u64, ReadError> {
    let size = element_size(ends)?;
    let start = output.relative(hyperslab::chunk_start(number, &index.grid, &index.chunk));
    let part = Hyperslab { shape: &output.shape, start: &start, extent: &index.chunk };
    let mut moved = 0;
    part.runs(|to, from, run| {
        let run = hyperslab::wanted((to, from, run), output.before);
        let Some((to, from, run)) = run else { return Ok(()) };
        let bytes = bytes_of(from, run, size).and_then(|range| plain.get(range));
        let bytes = bytes.ok_or(ReadError::Refused("a chunk of odd extents"))?;
        moved += bytes.len() as u64;
        destination.put(ends.segments, scratch, size, to, bytes.into()).map_err(ReadError::Failed)
    })?;
    Ok(moved)
}

/// Writes a block from memory, one buffer for each segment.
fn write_block(
    ends: &Endpoints<'_>,
    index: &ChunkIndex,
    output: &OutputBox,
    buffers: &[Vec<u8>],
) -> Done {
    let part = Hyperslab { shape: &index.shape, start: &output.start, extent: &output.shape };
    for ((writer, segment), buffer) in ends.writers.iter().zip(ends.segments).zip(buffers) {
        let width = usize::try_from(segment.width()).unwrap_or(0);
        part.runs(|to, from, run| {
            let run = hyperslab::wanted((to, from, run), index.before);
            let Some((to, from, run)) = run else { return Ok(()) };
            let bytes = bytes_of(from, run, width).and_then(|range| buffer.get(range));
            let bytes = bytes.ok_or(ReadError::Refused("a block of odd extents"))?;
            writer.write(to * segment.width(), bytes).map_err(ReadError::Failed)
        })?;
    }
    Ok(())
}

/// Returns the number of chunks for one read.
fn together(chunks: &[Stored]) -> usize {
    let mut bytes = 0_u64;
    let mut count = 0;
    for (at, chunk) in chunks.iter().enumerate() {
        let near = at == 0 || adjoins(&chunks[at - 1], chunk);
        bytes = bytes.saturating_add(chunk.size);
        if at > 0 && (!near || bytes > READ) {
            break;
        }
        count = at + 1;
    }
    count
}

/// Maps the part of each segment that the chunks of a slab fill.
fn windows<'j, 'a>(
    ends: &'j Endpoints<'a>,
    all: &Chunked,
    chunks: &[Stored],
) -> Result<Vec<Window<'j>>, ReadError> {
    let Some(stored) = chunks.first() else { return Ok(Vec::new()) };
    let (shape, chunk) = (&all.index.shape, &all.index.chunk);
    let start = hyperslab::chunk_start(stored.number, &all.index.grid, chunk);
    let (first, count) = hyperslab::slab(shape, &start, chunk);
    let slab = hyperslab::wanted((first, first, count), all.index.before);
    let Some((first, _, count)) = slab else { return Ok(Vec::new()) };
    let window = |(writer, segment): (&'j SegmentWriter<'a>, &SegmentPlan)| {
        let len = usize::try_from(count.saturating_mul(segment.width()));
        let len = len.map_err(|_| ReadError::Refused("a slab of odd extents"))?;
        writer.window(first * segment.width(), len).map_err(ReadError::Failed)
    };
    ends.writers.iter().zip(ends.segments).map(window).collect()
}

fn element_size(ends: &Endpoints<'_>) -> Result<usize, ReadError> {
    let size = usize::try_from(ends.dataset.element_size).ok().filter(|&size| size > 0);
    size.ok_or(ReadError::Refused("elements without bytes"))
}

/// Reads all of `buffer`. After a failure libhdf5 reads the dataset and reports the reason.
fn read(file: &std::fs::File, address: u64, buffer: &mut [u8]) -> Done {
    file.read_exact_at(buffer, address).map_err(|_| ReadError::Refused("the file cannot be read"))
}
