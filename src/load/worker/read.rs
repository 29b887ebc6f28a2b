//! What a worker does with an item: reads, decodes, and hands the elements on.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::error::Error;
use crate::h5::codec::{Convert, Decoder, LARGE, Refused, Streamed, resize};
use crate::h5::{ChunkIndex, Stored};
use crate::load::plan::Piece;
use crate::load::worker::chunked::{Chunked, READ, Way, adjoins};
use crate::load::worker::decode_memory::Gate;
use crate::load::worker::hyperslab::{self, Frame, Part};
use crate::load::worker::progress::Voice;
use crate::load::worker::stream::{Decoded, Range};
use crate::load::worker::transfer::{Contiguous, Item, Job, Source, Unwritten};
use crate::load::worker::write::{Bench, Sink};
use crate::shm::segment::segment_writer::{PART, SegmentWriter, Window};

/// The reason why an item is not done.
#[derive(Debug)]
pub enum Trouble {
    /// The dataset needs something that only libhdf5 may have.
    Refused(&'static str),
    /// A chunk is damaged. libhdf5 never gets it: its decoders read past the end of such data.
    Damaged(&'static str),
    /// There is no memory for a chunk.
    NoMemory,
    /// The load fails.
    Failed(Error),
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown(why) => Self::Refused(why),
            Refused::Damaged(why) => Self::Damaged(why),
            Refused::NoMemory => Self::NoMemory,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Done = Result<(), Trouble>;

/// A worker's memory, kept from item to item.
#[derive(Debug, Default)]
pub struct Reader {
    gate: Arc<Gate>,
    stored: Vec<u8>,
    plain: Vec<u8>,
    /// Of a block, for each piece.
    buffers: Vec<Vec<u8>>,
    decoder: Decoder,
    /// For picking and converting.
    pub bench: Bench,
}

impl Reader {
    /// One that shares the memory for large chunks with others.
    pub fn sharing(gate: Arc<Gate>) -> Self {
        Self { gate, ..Self::default() }
    }

    /// Does one item of a job that writes to its own segments.
    pub fn item(&mut self, job: &Job<'_>, item: &Item<'_>, voice: &Voice<'_>) -> Done {
        match (&job.source, item) {
            (Source::Chunked(all), Item::Chunks(chunks))
                if matches!(all.way, Way::Slabs { .. }) =>
            {
                let mut sink = Sink::Windows(windows(job, all, chunks)?);
                let frame = Frame::whole(&all.index.shape, all.index.before);
                self.chunks(job, (all, &frame), chunks, &mut sink, voice)
            }
            (Source::Chunked(all), Item::Block(chunks, absent)) => {
                self.block(job, all, (chunks, absent), voice)
            }
            _ => self.do_into(job, item, &mut Sink::Targets(&job.targets), voice),
        }
    }

    /// Does one item, wherever the elements go.
    pub fn do_into(
        &mut self,
        job: &Job<'_>,
        item: &Item<'_>,
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        match (&job.source, item) {
            (Source::Contiguous(all), Item::Elements(range)) => {
                self.elements(job, all, range.clone(), sink, voice)
            }
            (Source::Unwritten(all), Item::Elements(range)) => {
                self.unwritten(job, all, range.clone(), sink, voice)
            }
            (Source::Chunked(all), item) => {
                let frame = Frame::whole(&all.index.shape, all.index.before);
                let (chunks, absent): (&[Stored], &[u64]) = match item {
                    Item::Chunks(chunks) => (chunks, &[]),
                    Item::Block(chunks, absent) => (chunks, absent),
                    Item::Absent(absent) => (&[], absent),
                    Item::Elements(_) => (&[], &[]),
                };
                self.chunks(job, (all, &frame), chunks, sink, voice)?;
                self.absent(job, (&all.index, &frame), absent, sink)
            }
            _ => Ok(()),
        }
    }

    fn elements(
        &mut self,
        job: &Job<'_>,
        all: &Contiguous,
        range: std::ops::Range<u64>,
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        let size = element_size(job)?;
        let convert = job.dataset.convert();
        let file_size = convert.map_or(size, Convert::file_size);
        let address = |first: u64| {
            let bytes = first.checked_mul(file_size as u64);
            let bytes = bytes.and_then(|at| at.checked_add(all.offset));
            bytes.ok_or(Trouble::Refused("an address beyond the file's end"))
        };
        if let ([target], [piece], Sink::Targets(_)) = (&job.targets[..], job.pieces, &sink)
            && target.is_mapped_best()
            && convert.is_none()
            && piece.is_plain(size as u64)
        {
            let len = usize::try_from((range.end - range.start) * size as u64);
            let len = len.map_err(|_| Trouble::Refused("too many bytes"))?;
            let mut window = target.window(range.start * size as u64, len)?;
            read(&job.file, address(range.start)?, window.bytes())?;
            voice.advance(len as u64)?;
            return Ok(());
        }
        let at_once = job.targets.first().map_or(PART as u64, SegmentWriter::at_once) / size as u64;
        let at_once = at_once.max(1);
        let mut first = range.start;
        while first < range.end {
            let count = at_once.min(range.end - first);
            let count_here = usize::try_from(count).unwrap_or(usize::MAX);
            resize(&mut self.stored, count_here.saturating_mul(file_size))?;
            read(&job.file, address(first)?, &mut self.stored)?;
            let elements = match convert {
                None => &self.stored,
                Some(convert) => {
                    convert.apply(&self.stored, &mut self.plain)?;
                    &self.plain
                }
            };
            sink.put(job.pieces, &mut self.bench, size, first, elements)?;
            voice.advance(elements.len() as u64)?;
            first += count;
        }
        Ok(())
    }

    /// Elements that were never written.
    fn unwritten(
        &mut self,
        job: &Job<'_>,
        all: &Unwritten,
        range: std::ops::Range<u64>,
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        let size = element_size(job)?;
        let at_once = (PART / size).max(1) as u64;
        let most = at_once.min(range.end - range.start);
        resize(&mut self.plain, usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(size))?;
        for element in self.plain.chunks_exact_mut(size) {
            element.copy_from_slice(&all.fill);
        }
        let mut first = range.start;
        while first < range.end {
            let count = most.min(range.end - first);
            let bytes = bytes_of(0, count, size).and_then(|range| self.plain.get(range));
            let bytes = bytes.ok_or(Trouble::Refused("too many bytes"))?;
            sink.put(job.pieces, &mut self.bench, size, first, bytes)?;
            voice.advance(bytes.len() as u64)?;
            first += count;
        }
        Ok(())
    }

    /// Puts the chunks of a block together in memory, and writes its runs.
    fn block(
        &mut self,
        job: &Job<'_>,
        all: &Chunked,
        (chunks, absent): (&[Stored], &[u64]),
        voice: &Voice<'_>,
    ) -> Done {
        let (Way::Blocks { extent, chunks: count }, Some(one)) = (&all.way, chunks.first()) else {
            return Ok(());
        };
        let first = one.number / count * count;
        let start = hyperslab::chunk_start(first, &all.index.grid, &all.index.chunk);
        let frame = Frame::within(&all.index.shape, start, extent);
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.resize_with(job.pieces.len(), Vec::new);
        for (buffer, piece) in buffers.iter_mut().zip(job.pieces) {
            let bytes = usize::try_from(frame.elements().saturating_mul(piece.width()));
            let bytes = bytes.map_err(|_| Trouble::Refused("a block of odd extents"))?;
            if (chunks.len() + absent.len()) as u64 != *count {
                // What no chunk fills is zero.
                buffer.clear();
            }
            resize(buffer, bytes)?;
        }
        let mut sink = Sink::Memory(buffers);
        self.chunks(job, (all, &frame), chunks, &mut sink, voice)?;
        self.absent(job, (&all.index, &frame), absent, &mut sink)?;
        let Sink::Memory(buffers) = sink else { return Ok(()) };
        write_block(job, &all.index, &frame, &buffers)?;
        self.buffers = buffers;
        Ok(())
    }

    fn chunks(
        &mut self,
        job: &Job<'_>,
        (all, frame): (&Chunked, &Frame),
        mut chunks: &[Stored],
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        let most = all.index.pipeline.most_stored();
        while let Some(first) = chunks.first() {
            let large = all.index.pipeline.chunk_bytes() > LARGE;
            let together = if large { 1 } else { together(chunks) };
            let (run, rest) = chunks.split_at(together);
            chunks = rest;
            if run.iter().any(|stored| stored.size > most) {
                return Err(Trouble::Refused("a chunk that is larger than it can be"));
            }
            if large {
                self.large_chunk(job, (&all.index, frame), first, sink, voice)?;
                continue;
            }
            let end = run.last().and_then(|last| last.address.checked_add(last.size));
            let bytes = end.and_then(|end| usize::try_from(end.checked_sub(first.address)?).ok());
            let bytes = bytes.ok_or(Trouble::Refused("an address beyond the file's end"))?;
            let mut stored = std::mem::take(&mut self.stored);
            let done = resize(&mut stored, bytes)
                .map_err(Trouble::from)
                .and_then(|()| read(&job.file, first.address, &mut stored))
                .and_then(|()| {
                    run.iter().try_for_each(|chunk| {
                        let start = usize::try_from(chunk.address - first.address).unwrap_or(0);
                        let size = usize::try_from(chunk.size).unwrap_or(0);
                        let code = stored.get(start..start + size).unwrap_or_default();
                        self.chunk(job, (&all.index, frame), chunk, code, sink, voice)
                    })
                });
            self.stored = stored;
            done?;
        }
        Ok(())
    }

    /// A chunk that takes much memory: in pieces if that can be, and else when no others take it.
    fn large_chunk(
        &mut self,
        job: &Job<'_>,
        (index, frame): (&ChunkIndex, &Frame),
        chunk: &Stored,
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        let gate = Arc::clone(&self.gate);
        let start = hyperslab::chunk_start(chunk.number, &index.grid, &index.chunk);
        let least = least(job, index, &start);
        let _permit = gate.enter(index.pipeline.memory((chunk.size, least), chunk.mask));
        if let Some(streamed) = index.pipeline.streamed(chunk.mask) {
            return self.in_pieces(job, (index, frame), (chunk, streamed), sink, voice);
        }
        let bytes = usize::try_from(chunk.size).unwrap_or(usize::MAX);
        let mut stored = std::mem::take(&mut self.stored);
        let done = resize(&mut stored, bytes)
            .map_err(Trouble::from)
            .and_then(|()| read(&job.file, chunk.address, &mut stored))
            .and_then(|()| {
                let least = usize::try_from(least).unwrap_or(usize::MAX);
                let is_short = least < index.pipeline.chunk_bytes();
                if !is_short || !index.pipeline.begins_alone(chunk.mask) {
                    return self.chunk(job, (index, frame), chunk, &stored, sink, voice);
                }
                let Self { plain, decoder, bench, .. } = self;
                index.pipeline.begin(decoder, chunk.mask, (&stored, least), plain)?;
                voice.advance(spread(job, (index, frame), chunk.number, plain, sink, bench)?)?;
                Ok(())
            });
        self.plain = Vec::new();
        self.decoder.release();
        done
    }

    fn in_pieces(
        &mut self,
        job: &Job<'_>,
        (index, frame): (&ChunkIndex, &Frame),
        (chunk, streamed): (&Stored, Streamed),
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        let range = Range { file: &job.file, at: chunk.address, left: chunk.size };
        let whole = index.pipeline.chunk_bytes();
        let mut decoded = Decoded::open(range, streamed, whole)?;
        let (size, convert) = (element_size(job)?, job.dataset.convert());
        let file_size = convert.map_or(size, Convert::file_size);
        let at_once = (PART / file_size).max(1) as u64;
        let start = hyperslab::chunk_start(chunk.number, &index.grid, &index.chunk);
        let inner = frame.relative(start.clone());
        let part = Part { shape: &frame.shape, start: &inner, extent: &index.chunk };
        part.runs(|to, from, run| {
            let run = hyperslab::wanted((to, from, run), frame.before);
            let Some((mut to, mut from, mut run)) = run else { return Ok::<(), Trouble>(()) };
            while run > 0 {
                let count = run.min(at_once);
                let bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(file_size);
                resize(&mut self.stored, bytes)?;
                decoded.take(from.saturating_mul(file_size as u64), &mut self.stored)?;
                let elements = match convert {
                    None => &self.stored,
                    Some(convert) => {
                        convert.apply(&self.stored, &mut self.plain)?;
                        &self.plain
                    }
                };
                sink.put(job.pieces, &mut self.bench, size, to, elements)?;
                voice.advance(elements.len() as u64)?;
                (to, from, run) = (to + count, from + count, run - count);
            }
            Ok(())
        })?;
        let total = decoded.finish(whole as u64)?;
        match total >= least(job, index, &start) {
            true => Ok(()),
            false => Err(Trouble::Damaged("a chunk of another size than its dataset says")),
        }
    }

    fn chunk(
        &mut self,
        job: &Job<'_>,
        (index, frame): (&ChunkIndex, &Frame),
        chunk: &Stored,
        code: &[u8],
        sink: &mut Sink<'_, '_>,
        voice: &Voice<'_>,
    ) -> Done {
        let pipeline = &index.pipeline;
        let Self { plain, decoder, bench, .. } = self;
        let plain = if pipeline.is_plain(chunk.mask) && code.len() == pipeline.chunk_bytes() {
            code
        } else {
            let start = hyperslab::chunk_start(chunk.number, &index.grid, &index.chunk);
            let least = usize::try_from(least(job, index, &start)).unwrap_or(usize::MAX);
            pipeline.decode(decoder, chunk.mask, (code, least), plain)?;
            plain
        };
        if plain.len() != pipeline.plain_bytes() {
            return Err(Trouble::Damaged("a chunk of another size than its dataset says"));
        }
        let moved = spread(job, (index, frame), chunk.number, plain, sink, bench)?;
        voice.advance(moved)?;
        Ok(())
    }

    /// Chunks that were never written.
    fn absent(
        &mut self,
        job: &Job<'_>,
        (index, frame): (&ChunkIndex, &Frame),
        numbers: &[u64],
        sink: &mut Sink<'_, '_>,
    ) -> Done {
        if numbers.is_empty() {
            return Ok(());
        }
        resize(&mut self.plain, index.pipeline.plain_bytes())?;
        for element in self.plain.chunks_exact_mut(index.fill.len().max(1)) {
            element.copy_from_slice(&index.fill);
        }
        for &number in numbers {
            spread(job, (index, frame), number, &self.plain, sink, &mut self.bench)?;
        }
        Ok(())
    }
}

/// Bytes that the chunk at `start` must have: those up to the last one within the dataset.
fn least(job: &Job<'_>, index: &ChunkIndex, start: &[u64]) -> u64 {
    index.least(start).saturating_mul(job.dataset.file_element_size())
}

/// Hands on a chunk's elements, as far as they are within the dataset; tells their bytes.
fn spread(
    job: &Job<'_>,
    (index, frame): (&ChunkIndex, &Frame),
    number: u64,
    plain: &[u8],
    sink: &mut Sink<'_, '_>,
    bench: &mut Bench,
) -> Result<u64, Trouble> {
    let size = element_size(job)?;
    let start = frame.relative(hyperslab::chunk_start(number, &index.grid, &index.chunk));
    let part = Part { shape: &frame.shape, start: &start, extent: &index.chunk };
    let mut moved = 0;
    part.runs(|to, from, run| {
        let run = hyperslab::wanted((to, from, run), frame.before);
        let Some((to, from, run)) = run else { return Ok(()) };
        let bytes = bytes_of(from, run, size).and_then(|range| plain.get(range));
        let bytes = bytes.ok_or(Trouble::Refused("a chunk of odd extents"))?;
        moved += bytes.len() as u64;
        sink.put(job.pieces, bench, size, to, bytes).map_err(Trouble::Failed)
    })?;
    Ok(moved)
}

/// Writes what was put together in memory, one buffer for each piece.
fn write_block(job: &Job<'_>, index: &ChunkIndex, frame: &Frame, buffers: &[Vec<u8>]) -> Done {
    let part = Part { shape: &index.shape, start: &frame.start, extent: &frame.shape };
    for ((target, piece), buffer) in job.targets.iter().zip(job.pieces).zip(buffers) {
        let width = usize::try_from(piece.width()).unwrap_or(0);
        part.runs(|to, from, run| {
            let run = hyperslab::wanted((to, from, run), index.before);
            let Some((to, from, run)) = run else { return Ok(()) };
            let bytes = bytes_of(from, run, width).and_then(|range| buffer.get(range));
            let bytes = bytes.ok_or(Trouble::Refused("a block of odd extents"))?;
            target.write(to * piece.width(), bytes).map_err(Trouble::Failed)
        })?;
    }
    Ok(())
}

/// The bytes of `count` elements from `first` on.
pub fn bytes_of(first: u64, count: u64, size: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(first).ok()?.checked_mul(size)?;
    Some(start..usize::try_from(count).ok()?.checked_mul(size)?.checked_add(start)?)
}

/// How many chunks are read at once.
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

/// The part of each segment that a slab's chunks fill.
fn windows<'j, 'a>(
    job: &'j Job<'a>,
    all: &Chunked,
    chunks: &[Stored],
) -> Result<Vec<Window<'j>>, Trouble> {
    let Some(stored) = chunks.first() else { return Ok(Vec::new()) };
    let (shape, chunk) = (&all.index.shape, &all.index.chunk);
    let start = hyperslab::chunk_start(stored.number, &all.index.grid, chunk);
    let (first, count) = hyperslab::slab(shape, &start, chunk);
    let slab = hyperslab::wanted((first, first, count), all.index.before);
    let Some((first, _, count)) = slab else { return Ok(Vec::new()) };
    let window = |(target, piece): (&'j SegmentWriter<'a>, &Piece)| {
        let len = usize::try_from(count.saturating_mul(piece.width()));
        let len = len.map_err(|_| Trouble::Refused("a slab of odd extents"))?;
        target.window(first * piece.width(), len).map_err(Trouble::Failed)
    };
    job.targets.iter().zip(job.pieces).map(window).collect()
}

fn element_size(job: &Job<'_>) -> Result<usize, Trouble> {
    let size = usize::try_from(job.dataset.element_size).ok().filter(|&size| size > 0);
    size.ok_or(Trouble::Refused("elements without bytes"))
}

/// Reads all of `buffer`; what cannot be read is for libhdf5 to explain.
fn read(file: &std::fs::File, address: u64, buffer: &mut [u8]) -> Done {
    file.read_exact_at(buffer, address).map_err(|_| Trouble::Refused("the file cannot be read"))
}
