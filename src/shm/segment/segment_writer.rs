//! Writes to a new segment by several workers. Memory is allocated part by part as it is needed: the kernel allocates
//! pages for several workers at once while others read and decode.

use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, OnceLock, TryLockError};

use crate::error::{Error, Kind, Result};
use crate::os::threads::lock_ignoring_poison;
use crate::shm::segment::map::{LastingMapping, PartMapping, is_unknown};
use crate::shm::segment::new_segment::NewSegment;
use crate::shm::segment::pages::Pages;
use crate::shm::segment::uffd::UffdWriter;

/// Bytes that are reserved at a time; a multiple of every huge page in use.
pub(crate) const BLOCK_BYTES: u64 = 8 << 20;
/// Smaller segments never get huge pages: they would waste most of one.
const HUGE: u64 = 2 << 20;

/// Bytes that are written at once. They stay in the cache between reading and writing.
pub(crate) const CACHED_BYTES: usize = 256 << 10;
/// Mappings of a segment, at most: processes may have 65,530 of them.
const MAPS: u64 = 1024;
/// Shorter writes wait for the lock: a mapping for each would cost more.
const MAPPED: usize = 64 << 10;

/// A segment being filled.
#[derive(Debug)]
pub(crate) struct SegmentWriter<'a> {
    segment: NewSegment<'a>,
    len: u64,
    pages: Pages,
    /// Whether each piece is reserved.
    blocks: Vec<Mutex<bool>>,
    /// Held by the worker that writes: the kernel lets one in at a time.
    turn: Mutex<()>,
    /// For workers that would wait for `turn`. Created on the first wait.
    uffd: OnceLock<Option<UffdWriter>>,
    /// The mapping of each stretch of so many bytes, for [`Self::write_mapped`].
    maps: (u64, OnceLock<Vec<Mutex<Option<LastingMapping>>>>),
}

impl<'a> SegmentWriter<'a> {
    /// Gives a new segment its length; nothing is reserved yet.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when it is longer than a file may be.
    pub(crate) fn new(segment: NewSegment<'a>, len: u64, pages: Pages) -> Result<Self> {
        segment.set_len(len.max(1))?;
        let count = len.max(1).div_ceil(BLOCK_BYTES);
        let blocks = (0..count).map(|_| Mutex::new(false)).collect();
        Ok(Self { pages, blocks, ..Self::small(segment, len) })
    }

    /// A segment that one write will fill.
    pub(crate) fn small(segment: NewSegment<'a>, len: u64) -> Self {
        Self {
            segment,
            len,
            pages: Pages::Small,
            blocks: Vec::new(),
            turn: Mutex::default(),
            uffd: OnceLock::new(),
            maps: (len.div_ceil(MAPS).max(1).next_multiple_of(BLOCK_BYTES), OnceLock::new()),
        }
    }

    /// Fills a small segment. It gets at least one byte, because an empty file cannot be mapped.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when the shared memory is full.
    pub(crate) fn fill(&self, bytes: &[u8]) -> Result<()> {
        self.segment.write_at(0, if bytes.is_empty() { &[0] } else { bytes })
    }

    /// Writes `bytes` at `offset`.
    ///
    /// Small pages are most of the time of a load. Writing takes and fills them in one go, faster than a
    /// reservation before it, but behind the file's lock. So one worker writes, and the parts of workers
    /// that would wait are filled without that lock.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when the shared memory is full.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = self.end(offset, bytes.len())?;
        if self.pages != Pages::Small {
            // A huge page that is written whole needs no zeros before.
            let whole = offset.is_multiple_of(HUGE) && end.is_multiple_of(HUGE);
            if self.pages == Pages::Advised || !whole {
                self.reserve(offset, end)?;
            }
            return self.segment.write_at(offset, bytes);
        }
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            // Parts end where pages do.
            let most = CACHED_BYTES - usize::try_from(at % CACHED_BYTES as u64).unwrap_or(0);
            let (part, behind) = rest.split_at(most.min(rest.len()));
            match self.turn.try_lock() {
                Err(TryLockError::WouldBlock) if part.len() >= MAPPED => {
                    self.write_with_uffd(at, part)
                }
                _turn => self.segment.write_at(at, part),
            }?;
            (at, rest) = (at + part.len() as u64, behind);
        }
        Ok(())
    }

    /// Writes `bytes` at `offset` through a mapping that stays: for many short writes. Not to be mixed with
    /// [`Self::window`].
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn write_mapped(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.end(offset, bytes.len())?;
        let (stretch, maps) = (self.maps.0, &self.maps.1);
        let count = self.len.div_ceil(stretch);
        let maps = maps.get_or_init(|| (0..count).map(|_| Mutex::default()).collect());
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (number, within) = (at / stretch, at % stretch);
            let most = usize::try_from(stretch - within).unwrap_or(usize::MAX).min(rest.len());
            let (part, behind) = rest.split_at(most);
            let beyond = || Error::new(Kind::Io, "a write beyond the end of a segment");
            let map = usize::try_from(number).ok().and_then(|number| maps.get(number));
            let mut map = lock_ignoring_poison(map.ok_or_else(beyond)?);
            if map.is_none() {
                let (start, end) = (number * stretch, self.len.min((number + 1) * stretch));
                self.reserve(start, end)?;
                *map = Some(self.segment.map_for_good(start, end - start)?);
            }
            let start = usize::try_from(within).unwrap_or(usize::MAX);
            let place = map.as_mut().and_then(|map| map.bytes().get_mut(start..)?.get_mut(..most));
            place.ok_or_else(beyond)?.copy_from_slice(part);
            (at, rest) = (at + most as u64, behind);
        }
        Ok(())
    }

    /// Takes memory and fills it without the file's lock.
    fn write_with_uffd(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(uffd) = self.uffd.get_or_init(UffdWriter::open) else {
            return self.write_by_page_faults(offset, bytes);
        };
        let mut pages = uffd.whole_pages(offset, bytes.len());
        let at = |place: usize| offset + place as u64;
        let done = uffd.copy(self.segment.file(), at(pages.start), &bytes[pages.clone()]);
        pages.end = pages.start + done;
        for rest in [0..pages.start, pages.end..bytes.len()] {
            // What could not be copied is written, or fails with the reason.
            self.segment.write_at(at(rest.start), &bytes[rest])?;
        }
        Ok(())
    }

    /// Takes memory by page faults and fills it: slower, but every kernel and container knows them.
    fn write_by_page_faults(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut window = self.open(offset, offset + bytes.len() as u64)?;
        match window.mapping.populate() {
            Ok(()) => window.write(offset, bytes),
            Err(error) if is_unknown(&error) => self.segment.write_at(offset, bytes),
            Err(error) => Err(self.segment.full(error)),
        }
    }

    /// Compares what is there with `bytes`, by way of `buffer`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn holds(&self, offset: u64, bytes: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        self.end(offset, bytes.len())?;
        buffer.resize(bytes.len(), 0);
        let cannot = |e| Error::io(format!("cannot read segment '{}'", self.segment.name()), e);
        self.segment.file().read_exact_at(buffer, offset).map_err(cannot)?;
        Ok(buffer == bytes)
    }

    /// Maps a part that no other worker writes to in the meantime.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn window(&self, offset: u64, len: usize) -> Result<Window<'_>> {
        let end = self.end(offset, len)?;
        self.reserve(offset, end)?;
        self.open(offset, end)
    }

    fn open(&self, offset: u64, end: u64) -> Result<Window<'_>> {
        let mapping = self.segment.map_part(offset, end - offset)?;
        Ok(Window { mapping, offset })
    }

    /// Bytes that are best written at once: as many as stay in the cache, or as a page has.
    pub(crate) fn at_once(&self) -> u64 {
        if self.pages == Pages::Huge && self.len >= HUGE { HUGE } else { CACHED_BYTES as u64 }
    }

    /// Whether its pages are worth to be read into directly.
    pub(crate) fn is_mapped_best(&self) -> bool {
        self.pages == Pages::Advised && self.len >= HUGE
    }

    /// Reserves what nothing was written to, and gives the segment back.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn finish(self) -> Result<NewSegment<'a>> {
        if !self.blocks.is_empty() && !self.segment.is_whole()? {
            self.segment.reserve_part(0, self.len.max(1))?;
        }
        Ok(self.segment)
    }

    fn end(&self, offset: u64, len: usize) -> Result<u64> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.len);
        end.ok_or_else(|| Error::new(Kind::Io, "a write beyond the end of a segment"))
    }

    fn reserve(&self, offset: u64, end: u64) -> Result<()> {
        for number in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let Some(block) = usize::try_from(number).ok().and_then(|at| self.blocks.get(at))
            else {
                break;
            };
            let mut done = lock_ignoring_poison(block);
            if !*done {
                self.reserve_block(number * BLOCK_BYTES)?;
                *done = true;
            }
        }
        Ok(())
    }

    fn reserve_block(&self, start: u64) -> Result<()> {
        let end = start.saturating_add(BLOCK_BYTES).min(self.len.max(1));
        let mut small = start;
        if self.is_mapped_best() {
            small = start + (end - start) / HUGE * HUGE;
            self.segment.reserve_huge(start, small - start)?;
        }
        self.segment.reserve_part(small, end - small)
    }
}

/// A part of a segment as memory.
#[derive(Debug)]
pub(crate) struct Window<'t> {
    mapping: PartMapping<'t>,
    offset: u64,
}

impl Window<'_> {
    /// The bytes to fill.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.mapping.bytes()
    }

    /// Copies `bytes` to `offset` of the segment.
    ///
    /// # Errors
    /// When that is not in the window.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let start = offset.checked_sub(self.offset).and_then(|start| usize::try_from(start).ok());
        let place = start
            .and_then(|start| self.mapping.bytes().get_mut(start..)?.get_mut(..bytes.len()))
            .ok_or_else(|| Error::new(Kind::Io, "a write beyond the end of a window"))?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::directory::Directory;
    use crate::shm::format::name::{ProjectName, SegmentName, Token};

    #[test]
    fn an_empty_array_gets_one_byte() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new("p".as_ref()).unwrap();
        let name = SegmentName::new(&project, &Token::random().unwrap(), 0);
        let segment = NewSegment::create(&shm, name, 0).unwrap();
        let segment = SegmentWriter::new(segment, 0, Pages::Small).unwrap().finish().unwrap();
        assert_eq!(segment.file().metadata().unwrap().len(), 1);
        assert!(segment.is_whole().unwrap());
    }

    #[test]
    fn worker_that_would_wait_writes_the_same_bytes_another_way() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new("p".as_ref()).unwrap();
        let bytes: Vec<u8> =
            (0..5 * CACHED_BYTES + 77).map(|n| u8::try_from(n % 253).unwrap()).collect();
        for (number, uffd) in [UffdWriter::open(), None].into_iter().enumerate() {
            let name = SegmentName::new(&project, &Token::random().unwrap(), number as u64);
            let segment = NewSegment::create(&shm, name, 0).unwrap();
            let writer = SegmentWriter::new(segment, bytes.len() as u64, Pages::Small).unwrap();
            writer.uffd.set(uffd).unwrap();
            let turn = writer.turn.lock().unwrap();
            for (start, end) in [
                (0, 1),
                (1, CACHED_BYTES - 1),
                (CACHED_BYTES - 1, 3 * CACHED_BYTES),
                (3 * CACHED_BYTES, bytes.len()),
            ] {
                writer.write(start as u64, &bytes[start..end]).unwrap();
            }
            drop(turn);
            let file = writer.finish().unwrap();
            let mut found = vec![0; bytes.len()];
            file.file().read_exact_at(&mut found, 0).unwrap();
            assert!(found == bytes);
            assert!(file.is_whole().unwrap());
        }
    }
}
