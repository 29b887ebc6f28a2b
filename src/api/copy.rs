//! Moves sources into new segments with several threads, which take the memory as they fill it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::source::{Data, Source};
use crate::error::{Error, Kind, Result};
use crate::os::directory::{Access, Directory};
use crate::os::threads;
use crate::os::threads::lock_ignoring_poison;
use crate::shm::format::name::SegmentName;
use crate::shm::segment::new_segment::NewSegment;
use crate::shm::segment::pages::Pages;
use crate::shm::segment::plain;
use crate::shm::segment::segment_writer::SegmentWriter;

/// Arrays of at most this many bytes are one worker's from creation to end; larger ones are cut into
/// pieces of this size, so that workers end at the same time.
const PIECE: usize = 8 << 20;
/// Bytes that are put in order at a time: they stay in the cache.
const ORDERED: usize = 512 << 10;
/// Large arrays are open together, so that the kernel takes memory for several files at once.
const OPEN: usize = 8;

/// One array and the segment that it is to be in.
pub(super) struct Job<'a> {
    pub segment: SegmentName,
    pub source: &'a Source<'a>,
}

/// Creates and fills every segment. When one fails the others stop; what is there then is the
/// announced load's, whose keeper removes it.
pub(super) fn copy(
    shm: &Directory,
    jobs: &[Job<'_>],
    access: &Access,
    workers: usize,
) -> Result<()> {
    let crew = Crew { workers, failure: Mutex::new(None), stop: AtomicBool::new(false) };
    let pages = Pages::of(shm.path(), shm.id().dev);
    let open = |job: &Job<'_>| {
        let segment = NewSegment::create(shm, job.segment.clone(), job.source.nbytes() as u64)?;
        segment.allow(access)?;
        SegmentWriter::new(segment, job.source.nbytes() as u64, pages)
    };
    let (large, small): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.source.nbytes() > PIECE);
    crew.each(&small, |job| {
        let target = open(job)?;
        fill(&target, job.source, 0, job.source.nbytes())?;
        target.finish()?.persist();
        Ok(())
    });
    for batch in large.chunks(OPEN.max(workers)) {
        let targets =
            batch.iter().map(|job| Ok((open(job)?, job.source))).collect::<Result<Vec<_>>>()?;
        crew.each(&pieces(&targets), |&(number, start, end)| {
            let (target, source) = &targets[number];
            fill(target, source, start, end)
        });
        if crew.stop.load(Ordering::Relaxed) {
            break;
        }
        for (target, _) in targets {
            target.finish()?.persist();
        }
    }
    lock_ignoring_poison(&crew.failure).take().map_or(Ok(()), Err)
}

/// Which bytes of which array are one worker's at a time.
fn pieces(targets: &[(SegmentWriter<'_>, &Source<'_>)]) -> Vec<(usize, usize, usize)> {
    let each = |(number, (_, source)): (usize, &(SegmentWriter<'_>, &Source<'_>))| {
        let (bytes, step) = (source.nbytes(), step(source, PIECE));
        let starts = (0..bytes).step_by(step);
        starts
            .map(move |start| (number, start, bytes.min(start.saturating_add(step))))
            .collect::<Vec<_>>()
    };
    targets.iter().enumerate().flat_map(each).collect()
}

/// So many bytes, or the whole rows next to that.
fn step(source: &Source<'_>, bytes: usize) -> usize {
    match source.data() {
        Data::Bytes(_) => bytes,
        Data::Rows(_) => (bytes / row(source)).max(1).saturating_mul(row(source)),
    }
}

/// Bytes of what one index of the first axis names.
fn row(source: &Source<'_>) -> usize {
    (source.nbytes() / source.shape().first().unwrap_or(&1).max(&1)).max(1)
}

/// Fills a part of a segment, which begins and ends with a row.
fn fill(target: &SegmentWriter<'_>, source: &Source<'_>, start: usize, end: usize) -> Result<()> {
    let elements = match source.data() {
        Data::Bytes(bytes) => return target.write(start as u64, &bytes[start..end]),
        Data::Rows(elements) => elements,
    };
    let (row, step) = (row(source), step(source, ORDERED));
    // Words, because nothing else says that bytes of the allocator are aligned.
    let mut ordered: Vec<u64> = Vec::new();
    ordered.try_reserve_exact(step.min(end - start).div_ceil(size_of::<u64>())).map_err(|_| {
        Error::new(Kind::NoMemory, format!("no memory for {step} bytes of an array in order"))
    })?;
    for first in (start..end).step_by(step) {
        let last = end.min(first.saturating_add(step));
        ordered.resize((last - first).div_ceil(size_of::<u64>()), 0);
        let bytes = &mut plain::words_mut(&mut ordered)[..last - first];
        elements.fill(first / row..last / row, bytes);
        target.write(first as u64, bytes)?;
    }
    Ok(())
}

/// The threads of one copy, and what the first that failed says.
struct Crew {
    workers: usize,
    failure: Mutex<Option<Error>>,
    stop: AtomicBool,
}

impl Crew {
    /// Does `work` for every item, each worker taking the next until there is none.
    fn each<T: Sync>(&self, items: &[T], work: impl Fn(&T) -> Result<()> + Sync) {
        let next = AtomicUsize::new(0);
        let take = || {
            while !self.stop.load(Ordering::Relaxed)
                && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
            {
                if let Err(error) = work(item) {
                    self.stop.store(true, Ordering::Relaxed);
                    lock_ignoring_poison(&self.failure).get_or_insert(error);
                }
            }
        };
        threads::crew(self.workers.min(items.len()), take);
    }
}
