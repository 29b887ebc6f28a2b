//! The transfer of a virtual dataset by several workers: source after source, and large sources part by part.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hdf5_reader::{Cause, Elements, Feed, Inventory, Virtual, Way, lookup};

use crate::error::{Error, Result};
use crate::load::plan::{SegmentPlan, Task};
use crate::load::worker::chunked::{Chunked, Limits};
use crate::load::worker::endpoints::{DataSource, Endpoints};
use crate::load::worker::progress::ProgressSender;
use crate::load::worker::read::ItemReader;
use crate::load::worker::read_error::ReadError;
use crate::load::worker::read_library;
use crate::load::worker::work_item::WorkItem;
use crate::load::worker::write::{Destination, Scratch};
use crate::os::threads::lock_ignoring_poison;
use crate::shm::segment::segment_writer::CACHED_BYTES;

/// Selected elements with at most this many bytes between them are read with one read.
const GAP: u64 = 16 << 10;
/// The most bytes of one part of a contiguous source.
const TURN: u64 = 4 << 20;
/// Elements whose runs are shorter than this many bytes are written through a mapping.
const SHORT: u64 = 8 << 10;

/// The state of the transfer of a virtual dataset.
#[derive(Debug)]
pub(crate) struct VirtualTransfer<'a> {
    inventory: &'a Inventory,
    task: &'a Task,
    layout: &'a Virtual,
    state: Mutex<State<'a>>,
}

#[derive(Debug, Default)]
struct State<'a> {
    /// The next source that no worker has prepared.
    next: usize,
    /// Sources that several workers read together.
    active: Vec<Arc<SourceTransfer<'a>>>,
    /// A worker is reading a source that must be complete before the next one.
    busy: bool,
}

/// A source that can be read without libhdf5.
#[derive(Debug)]
pub(crate) struct SourceTransfer<'a> {
    feed: usize,
    ends: Endpoints<'a>,
    /// The selected elements of a contiguous source.
    ranges: Vec<Range<u64>>,
    next: AtomicUsize,
    given_up: AtomicBool,
}

/// The next step of a worker.
#[derive(Debug)]
pub(crate) enum SourceStep<'a> {
    /// Prepare this source.
    Source(usize),
    /// Read this part of a source.
    Part(Arc<SourceTransfer<'a>>, usize),
}

impl<'a> VirtualTransfer<'a> {
    /// Returns the state before the transfer, or `None` if the dataset is not virtual.
    pub(crate) fn new(inventory: &'a Inventory, task: &'a Task) -> Option<Self> {
        let layout = inventory.datasets.get(task.dataset)?.sources.as_deref()?;
        Some(Self { inventory, task, layout, state: Mutex::default() })
    }

    /// Whether its runs of elements are short, so that writes through a mapping cost less.
    pub(crate) fn is_scattered(&self, element_size: u64) -> bool {
        self.layout.is_scattered(SHORT / element_size.max(1))
    }

    /// Takes the next step. Returns `None` if no step is left, or none before another worker has finished.
    pub(crate) fn turn(&self) -> Option<SourceStep<'a>> {
        let mut state = lock_ignoring_poison(&self.state);
        if state.busy {
            return None;
        }
        while let Some(prepared) = state.active.last() {
            if let Some(part) = prepared.claim() {
                return Some(SourceStep::Part(Arc::clone(prepared), part));
            }
            state.active.pop();
        }
        if state.next >= self.layout.feeds().len() {
            return None;
        }
        state.next += 1;
        state.busy = self.layout.is_ordered();
        Some(SourceStep::Source(state.next - 1))
    }

    /// Whether there is a step for one more worker.
    pub(crate) fn has_more(&self) -> bool {
        let state = lock_ignoring_poison(&self.state);
        let more = |prepared: &Arc<SourceTransfer<'_>>| prepared.has_more();
        !state.busy && (state.next < self.layout.feeds().len() || state.active.iter().any(more))
    }

    /// Removes all remaining steps.
    pub(crate) fn stop(&self) {
        let mut state = lock_ignoring_poison(&self.state);
        state.next = self.layout.feeds().len();
        state.active.clear();
        state.busy = false;
    }

    /// Runs a step. Returns whether it created steps for other workers.
    ///
    /// # Errors
    /// Returns the error of a source that cannot be read, and the errors of the destination.
    pub(crate) fn work(
        &self,
        turn: SourceStep<'a>,
        segments: &[SegmentPlan],
        destination: &mut Destination<'_, '_>,
        reader: &mut ItemReader,
        progress: &ProgressSender<'_>,
    ) -> Result<bool> {
        let number = match turn {
            SourceStep::Part(prepared, part) => {
                self.part(&prepared, part, segments, destination, reader, progress)?;
                return Ok(false);
            }
            SourceStep::Source(number) => number,
        };
        let Some(prepared) = self.prepare(number)? else {
            self.read_with_libhdf5(number, segments, destination, reader, progress)?;
            lock_ignoring_poison(&self.state).busy = false;
            return Ok(self.layout.is_ordered());
        };
        let prepared = Arc::new(prepared);
        if !self.layout.is_ordered() {
            lock_ignoring_poison(&self.state).active.push(prepared);
            return Ok(true);
        }
        while let Some(part) = prepared.claim() {
            self.part(&prepared, part, segments, destination, reader, progress)?;
        }
        lock_ignoring_poison(&self.state).busy = false;
        Ok(true)
    }

    /// Writes the fill value to every element, before the sources are read.
    ///
    /// # Errors
    /// Returns the errors of the destination and of [`ProgressSender::advance`].
    pub(crate) fn fill(
        &self,
        segments: &[SegmentPlan],
        destination: &mut Destination<'_, '_>,
        scratch: &mut Scratch,
        progress: &ProgressSender<'_>,
    ) -> Result<()> {
        let Some(fill) =
            self.layout.fill().filter(|fill| fill.elements().bytes().iter().any(|&byte| byte != 0))
        else {
            // New memory is zero.
            return Ok(());
        };
        let elements: u64 = self.inventory.datasets[self.task.dataset].shape.iter().product();
        let size = fill.elements().len();
        let each = (CACHED_BYTES as u64 / size as u64).clamp(1, elements.max(1));
        let block = fill.repeat(usize::try_from(each).unwrap_or(1));
        let mut first = 0;
        while first < elements {
            let count = each.min(elements - first);
            let bytes = usize::try_from(count).unwrap_or(0) * size;
            let part = block.elements().get(0..bytes).unwrap_or_else(|| block.elements());
            destination.put(segments, scratch, size, first, part)?;
            // The sources count the bytes. This reports that the loader works, and ends a cancelled load.
            progress.advance(0)?;
            first += count;
        }
        Ok(())
    }

    fn error(&self, cause: Cause, feed: &Feed, why: &str) -> Error {
        let dataset = &self.inventory.datasets[self.task.dataset];
        let paths = self.inventory.raw_files();
        let file = paths.get(dataset.file()).and_then(Option::as_deref);
        let reason = format!("source {}: {why}", feed.name);
        hdf5_reader::Error::cannot_read((&dataset.path, file), cause, reason).into()
    }

    fn feed(&self, number: usize) -> Option<&'a Feed> {
        self.layout.feeds().get(number)
    }

    /// Prepares a source. Returns `None` if libhdf5 must read it.
    fn prepare(&self, number: usize) -> Result<Option<SourceTransfer<'a>>> {
        let way = self.inventory.way(self.task.dataset, number)?;
        Ok(self.begin(number, way))
    }

    fn begin(&self, number: usize, way: Way) -> Option<SourceTransfer<'a>> {
        let feed = self.feed(number)?;
        let dataset = feed.dataset()?;
        let open = |path: &Path| Some(Arc::new(lookup::open_regular(path).ok()?.0));
        let (file, source, ranges): (Arc<File>, _, _) = match way {
            Way::Library => return None,
            Way::Contiguous(path, offset) => {
                let size = dataset.file_element_size();
                (open(&path)?, DataSource::contiguous(dataset, offset), ranges(feed, size))
            }
            Way::Chunked(path, mut index) => {
                let wanted = |number: u64| {
                    let start =
                        hdf5_reader::hyperslab::chunk_start(number, &index.grid, &index.chunk);
                    feed.wants(&start, &index.chunk)
                };
                let keep: Vec<bool> =
                    index.stored.iter().map(|stored| wanted(stored.number)).collect();
                let absent =
                    index.absent.iter().copied().filter(|&number| wanted(number)).collect();
                index.absent = absent;
                let mut keep = keep.into_iter();
                index.stored.retain(|_| keep.next().unwrap_or(true));
                // Each run is written on its own, not assembled with others first.
                let chunked = Chunked::new(&[], *index, Limits { short: 0, block: 0 })?;
                (open(&path)?, DataSource::Chunked(Box::new(chunked)), Vec::new())
            }
        };
        let ends = Endpoints { dataset, segments: &[], writers: Vec::new(), file, source };
        let (next, given_up) = (AtomicUsize::new(0), AtomicBool::new(false));
        Some(SourceTransfer { feed: number, ends, ranges, next, given_up })
    }

    fn part(
        &self,
        prepared: &SourceTransfer<'a>,
        part: usize,
        segments: &[SegmentPlan],
        destination: &mut Destination<'_, '_>,
        reader: &mut ItemReader,
        progress: &ProgressSender<'_>,
    ) -> Result<()> {
        let Some(feed) = self.feed(prepared.feed) else { return Ok(()) };
        let size = read_library::element_size(self.inventory, self.task);
        let mut scratch = std::mem::take(&mut reader.scratch);
        let done = {
            let mut emit =
                |to: u64, run: Elements<'_>| destination.put(segments, &mut scratch, size, to, run);
            let mut route = |first: u64, elements: Elements<'_>| {
                self.layout.route(feed, first, elements, size, &mut emit)
            };
            let mut routed = Destination::Routed(&mut route);
            match prepared.item(part) {
                Some(item) => reader.do_into(&prepared.ends, &item, &mut routed, progress),
                None => Ok(()),
            }
        };
        reader.scratch = scratch;
        match done {
            Ok(()) => Ok(()),
            Err(ReadError::Failed(error)) => Err(error),
            Err(ReadError::Damaged(why)) => Err(self.error(Cause::Damage, feed, why)),
            Err(ReadError::NoMemory) => {
                Err(self.error(Cause::NoMemory, feed, "not enough memory to decode a chunk"))
            }
            // libhdf5 reads the whole source, once. The elements that are already written remain correct.
            Err(ReadError::Refused(_)) if prepared.given_up.swap(true, Ordering::Relaxed) => Ok(()),
            Err(ReadError::Refused(_)) => {
                self.read_with_libhdf5(prepared.feed, segments, destination, reader, progress)
            }
        }
    }

    fn read_with_libhdf5(
        &self,
        number: usize,
        segments: &[SegmentPlan],
        destination: &mut Destination<'_, '_>,
        reader: &mut ItemReader,
        progress: &ProgressSender<'_>,
    ) -> Result<()> {
        let mut moved = |bytes| progress.advance(bytes);
        let place = (self.inventory, self.task, segments);
        read_library::source(
            place,
            (self.layout, number),
            destination,
            &mut reader.scratch,
            &mut moved,
        )
    }
}

impl SourceTransfer<'_> {
    fn len(&self) -> usize {
        match &self.ends.source {
            DataSource::Contiguous(_) | DataSource::Unwritten(_) => self.ranges.len(),
            DataSource::Chunked(all) => all.len(),
        }
    }

    fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.len() && !self.given_up.load(Ordering::Relaxed)
    }

    fn claim(&self) -> Option<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return None;
        }
        let part = self.next.fetch_add(1, Ordering::Relaxed);
        (part < self.len()).then_some(part)
    }

    fn item(&self, part: usize) -> Option<WorkItem<'_>> {
        match &self.ends.source {
            DataSource::Contiguous(_) | DataSource::Unwritten(_) => {
                self.ranges.get(part).cloned().map(WorkItem::Elements)
            }
            DataSource::Chunked(all) => Some(all.item(part)),
        }
    }
}

/// Returns the elements of a contiguous source to read, in parts of limited size.
fn ranges(feed: &Feed, size: u64) -> Vec<Range<u64>> {
    let (gap, most) = (GAP / size.max(1), (TURN / size.max(1)).max(1));
    let mut runs: Vec<Range<u64>> = Vec::new();
    let _: std::result::Result<(), ()> = feed.wanted(|first, len| {
        let end = first + len;
        match runs.last_mut() {
            Some(last) if first >= last.start && first <= last.end.saturating_add(gap) => {
                last.end = last.end.max(end);
            }
            _ => runs.push(first..end),
        }
        Ok(())
    });
    runs.sort_unstable_by_key(|range| range.start);
    let mut whole: Vec<Range<u64>> = Vec::new();
    for range in runs {
        match whole.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => whole.push(range),
        }
    }
    let cut = |range: Range<u64>| {
        let end = range.end;
        range
            .step_by(usize::try_from(most).unwrap_or(usize::MAX))
            .map(move |first| first..first.saturating_add(most).min(end))
    };
    whole.into_iter().flat_map(cut).collect()
}
