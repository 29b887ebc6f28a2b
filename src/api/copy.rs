//! Moves sources into new segments with several threads. Memory is reserved before anything is written.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::source::{Data, Source};
use crate::shm::directory::{Access, Directory};
use crate::shm::map::Filling;
use crate::shm::name::SegmentName;
use crate::shm::segment::NewSegment;
use crate::{Error, Result};

/// Arrays of at most this many bytes are one worker's from creation to end; larger ones are cut into
/// pieces of this size, so that workers end at the same time.
const PIECE: usize = 8 << 20;
/// Writers into one file wait for each other's lock on it: with more of them, a mapping is faster.
const WRITERS: usize = 4;
/// Large arrays are open together, so that reserving one and copying another overlap.
const OPEN: usize = 8;

/// One array and the segment that it is to be in.
pub(super) struct Job<'a> {
    pub segment: SegmentName,
    pub source: &'a Source<'a>,
}

/// Creates, reserves and fills every segment. When one fails the others stop; what is there then is the
/// announced load's, whose keeper removes it.
pub(super) fn copy(
    shm: &Directory,
    jobs: &[Job<'_>],
    access: &Access,
    workers: usize,
) -> Result<()> {
    let crew = Crew { workers, failure: Mutex::new(None), stop: AtomicBool::new(false) };
    let (large, small): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.source.nbytes() > PIECE);
    crew.each(&small, |job| {
        let segment = crew.create(shm, job, access)?;
        fill_whole(&segment, job.source)?;
        segment.persist();
        Ok(())
    });
    for batch in large.chunks(OPEN.max(workers)) {
        let segments = Mutex::new(Vec::with_capacity(batch.len()));
        crew.each(batch, |job| {
            let made = (crew.create(shm, job, access)?, job.source);
            segments.lock().unwrap_or_else(PoisonError::into_inner).push(made);
            Ok(())
        });
        let segments = segments.into_inner().unwrap_or_else(PoisonError::into_inner);
        crew.fill(&segments);
        if crew.stop.load(Ordering::Relaxed) {
            break;
        }
        for (segment, _) in segments {
            segment.persist();
        }
    }
    crew.failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
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
                    let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.workers.min(items.len()) {
                scope.spawn(take);
            }
            take();
        });
    }

    fn create<'d>(
        &self,
        shm: &'d Directory,
        job: &Job<'_>,
        access: &Access,
    ) -> Result<NewSegment<'d>> {
        let segment = NewSegment::create(shm, job.segment.clone())?;
        segment.reserve(job.source.nbytes() as u64, &self.stop)?;
        segment.allow(access)?;
        Ok(segment)
    }

    /// Fills large segments piece by piece.
    fn fill(&self, segments: &[(NewSegment<'_>, &Source<'_>)]) {
        let by_writing = self.workers <= WRITERS;
        let (mut written, mut mapped) = (Vec::new(), Vec::new());
        for (segment, source) in segments {
            match source.data() {
                Data::Bytes(bytes) if by_writing => {
                    let pieces = bytes.chunks(PIECE).enumerate();
                    written.extend(pieces.map(|(n, piece)| (segment, n * PIECE, piece)));
                }
                _ => mapped.push((segment, *source)),
            }
        }
        self.each(&written, |(segment, offset, piece)| write(segment, piece, *offset));
        for (segment, source) in mapped {
            let filled = self.fill_mapped(segment, source);
            if let Err(error) = filled {
                self.stop.store(true, Ordering::Relaxed);
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    }

    fn fill_mapped(&self, segment: &NewSegment<'_>, source: &Source<'_>) -> Result<()> {
        let mut map = Filling::map(segment.file(), source.nbytes() as u64)?;
        let rows = *source.shape().first().unwrap_or(&1);
        let row = source.nbytes() / rows.max(1);
        let step = match source.data() {
            Data::Bytes(_) => PIECE,
            Data::Rows(_) => (PIECE / row.max(1)).max(1) * row,
        };
        let pieces: Vec<_> = map.bytes().chunks_mut(step).map(Mutex::new).collect();
        let numbers: Vec<usize> = (0..pieces.len()).collect();
        self.each(&numbers, |&n| {
            let mut out = pieces[n].lock().unwrap_or_else(PoisonError::into_inner);
            match source.data() {
                Data::Bytes(bytes) => {
                    let length = out.len();
                    out.copy_from_slice(&bytes[n * step..][..length]);
                }
                Data::Rows(elements) => {
                    let first = n * step / row;
                    let count = out.len() / row;
                    elements.fill(first..first + count, &mut out);
                }
            }
            Ok(())
        });
        Ok(())
    }
}

fn fill_whole(segment: &NewSegment<'_>, source: &Source<'_>) -> Result<()> {
    if source.nbytes() == 0 {
        return Ok(());
    }
    match source.data() {
        Data::Bytes(bytes) => write(segment, bytes, 0),
        Data::Rows(elements) => {
            let mut map = Filling::map(segment.file(), source.nbytes() as u64)?;
            elements.fill(0..source.shape()[0], map.bytes());
            Ok(())
        }
    }
}

fn write(segment: &NewSegment<'_>, bytes: &[u8], offset: usize) -> Result<()> {
    segment
        .file()
        .write_all_at(bytes, offset as u64)
        .map_err(|e| Error::io(format!("cannot fill segment '{}'", segment.name()), e))
}
