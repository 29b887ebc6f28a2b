//! The sources of a virtual dataset: how they are read, and where their elements go.

use std::path::PathBuf;
use std::sync::Arc;

use crate::chunk_index::{self, ChunkIndex, Zeros};
use crate::dataset::{Dataset, Feed, Origin, Part, Route, Virtual};
use crate::error::{ObjectError, ObjectResult};
use crate::external_files::Files;
use crate::ffi::elements::{ElementBuffer, Elements};
use crate::read::blocks::Emit;
use crate::read::read_dataset::Reading;
use crate::types::element_type::ElementType;

/// The way to read a source.
#[derive(Debug)]
pub enum Way {
    /// The elements are in its file from this offset on.
    Contiguous(PathBuf, u64),
    /// In chunks that can be decoded without libhdf5.
    Chunked(PathBuf, Box<ChunkIndex>),
    /// Through libhdf5, or not from a file at all.
    Library,
}

impl Virtual {
    /// Removes the sources that have no element in this part of the virtual dataset.
    pub(crate) fn cut(&mut self, part: Option<Part>, shape: &[u64]) {
        let Some(part) = part else { return };
        let row: u64 = shape.iter().skip(1).product();
        let count = shape.first().map_or(1, |rows| rows * row);
        self.range = (part.first * row, count);
        let (first, end) = (self.range.0, self.range.0 + count);
        for feed in &mut self.feeds {
            feed.chains.retain(|chain| {
                let bounds = chain.last().and_then(|route| route.to.bounds());
                bounds.is_some_and(|(from, last)| from < end && last >= first)
            });
        }
        self.feeds.retain(|feed| !feed.chains.is_empty());
    }

    /// The sources.
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// Whether libhdf5 alone can read every source, and the order of reading does not matter.
    pub(crate) fn is_verifiable(&self) -> bool {
        let alone = |feed: &Feed| match &feed.origin {
            Origin::Dataset(dataset, _) => dataset.verifiable,
            Origin::Fill(..) => true,
        };
        !self.is_ordered && self.feeds.iter().all(alone)
    }

    /// Passes every element as libhdf5 reads it, in no particular order: their number, and the elements.
    pub(crate) fn visit(
        &self,
        files: &Files,
        node: &ElementType,
        visit: &mut dyn FnMut(u64, Elements<'_>) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        if !self.is_whole {
            visit(1, self.fill.elements())?;
        }
        for feed in &self.feeds {
            let mut pass = |_: u64, elements: Elements<'_>| {
                visit((elements.len() / node.size) as u64, elements)
            };
            feed.visit(files, node, &mut |first, elements| {
                self.route(feed, first, elements, node.size, &mut pass)
            })
            .map_err(|trouble| feed.cannot(trouble))?;
        }
        Ok(())
    }

    /// Bytes that decoding one chunk of a source takes at most, and how many chunks all sources have.
    pub(crate) fn decoding(&self, files: &Files) -> (u64, u64) {
        let each = self.feeds.iter().map(|feed| match &feed.origin {
            Origin::Dataset(dataset, _) => chunk_index::decoding(dataset, files),
            Origin::Fill(..) => (0, 0),
        });
        each.fold((0, 0), |all, one| (all.0.max(one.0), all.1.saturating_add(one.1)))
    }

    /// One element of those that have no source; `None` if there are none.
    pub fn fill(&self) -> Option<&ElementBuffer> {
        (!self.is_whole).then_some(&self.fill)
    }

    /// Whether sources overlap, so that they have to be read one after the other.
    pub fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// Whether elements go to places far from each other, in runs of fewer than this many.
    pub fn is_scattered(&self, neighbors: u64) -> bool {
        self.feeds.iter().any(|feed| feed.run() < neighbors)
    }

    /// Passes the elements of a source from number `first` on to their places in the virtual dataset.
    pub fn route<E>(
        &self,
        feed: &Feed,
        first: u64,
        elements: Elements<'_>,
        size: usize,
        emit: &mut Emit<'_, E>,
    ) -> Result<(), E> {
        let mut cut = |first: u64, elements: Elements<'_>| {
            let (start, count) = self.range;
            let len = (elements.len() / size) as u64;
            let (from, to) = (first.max(start), (first + len).min(start + count));
            if from >= to {
                return Ok(());
            }
            let place = |at: u64| usize::try_from(at - first).unwrap_or(0) * size;
            match elements.get(place(from)..place(to)) {
                Some(wanted) => emit(from - start, wanted),
                None => Ok(()),
            }
        };
        feed.chains.iter().try_for_each(|chain| pass(chain, first, elements, size, &mut cut))
    }
}

/// Passes elements through the steps of a chain.
fn pass<E>(
    chain: &[Arc<Route>],
    first: u64,
    elements: Elements<'_>,
    size: usize,
    emit: &mut Emit<'_, E>,
) -> Result<(), E> {
    let Some((route, rest)) = chain.split_first() else { return emit(first, elements) };
    let place = |at: u64| usize::try_from(at).unwrap_or(0) * size;
    route.from.within(first, (elements.len() / size) as u64, |ordinal, start, len| {
        route.to.runs_of(ordinal, len, |to, number, len| {
            let start = start + (number - ordinal);
            match elements.get(place(start)..place(start + len)) {
                Some(run) => pass(rest, to, run, size, emit),
                None => Ok(()),
            }
        })
    })
}

impl Feed {
    /// The source's extents, and the bytes of an element; none where there is only a fill value.
    pub fn shape(&self) -> &[u64] {
        match &self.origin {
            Origin::Dataset(dataset, _) => &dataset.shape,
            Origin::Fill(..) => &[],
        }
    }

    pub(crate) fn cannot(&self, trouble: ObjectError) -> ObjectError {
        trouble.within(&format!("source {}", self.name))
    }

    /// The source, if it is a dataset whose elements are stored as the virtual dataset's would be.
    pub fn dataset(&self) -> Option<&Dataset> {
        match &self.origin {
            Origin::Dataset(dataset, true) => Some(dataset),
            _ => None,
        }
    }

    /// Whether any element of the box of this extent at `start` is wanted.
    pub fn wants(&self, start: &[u64], extent: &[u64]) -> bool {
        self.chains
            .iter()
            .any(|chain| chain.first().is_none_or(|route| route.from.touches(start, extent)))
    }

    /// Calls `visit` with each run of elements that some mapping wants: first one, and how many.
    pub fn wanted<E>(&self, mut visit: impl FnMut(u64, u64) -> Result<(), E>) -> Result<(), E> {
        for route in self.chains.iter().filter_map(|chain| chain.first()) {
            route.from.runs_of(0, route.from.elements(), |first, _, len| visit(first, len))?;
        }
        Ok(())
    }

    /// The usual number of elements in a run.
    fn run(&self) -> u64 {
        let chunk = match &self.origin {
            Origin::Dataset(dataset, _) => dataset.storage.chunk.as_deref(),
            Origin::Fill(..) => None,
        };
        let within = chunk.map_or(u64::MAX, |chunk| {
            let (mut run, mut whole) = (1_u64, true);
            for (&extent, &n) in chunk.iter().zip(self.shape()).rev() {
                if whole {
                    run = run.saturating_mul(extent.min(n));
                    whole = extent == n;
                }
            }
            run
        });
        let steps = self.chains.iter().flatten();
        steps.fold(within, |run, route| {
            run.min(route.from.typical_run()).min(route.to.typical_run())
        })
    }

    /// The way to read it; the files of its load are `files`.
    pub(crate) fn way(&self, files: &Files) -> ObjectResult<Way> {
        let Origin::Dataset(dataset, true) = &self.origin else { return Ok(Way::Library) };
        let Some(path) = files.plain_path(dataset.file()) else { return Ok(Way::Library) };
        if let Some(offset) = dataset.raw_offset() {
            return Ok(Way::Contiguous(path, offset));
        }
        // The reason is reported when libhdf5 reads it.
        let Ok(id) = dataset.place.open(files) else { return Ok(Way::Library) };
        let index = chunk_index::index(dataset, &id, Zeros::Needed)?;
        Ok(index.map_or(Way::Library, |index| Way::Chunked(path, Box::new(index))))
    }

    /// Passes the elements of the source block by block as libhdf5 reads them through `node`: the first
    /// one's number, and as many as follow it.
    pub(crate) fn visit(
        &self,
        files: &Files,
        node: &ElementType,
        visit: &mut Emit<'_, ObjectError>,
    ) -> ObjectResult<()> {
        let dataset = match &self.origin {
            Origin::Dataset(dataset, _) => dataset,
            Origin::Fill(elements, fill) => return repeat(*elements, fill, visit),
        };
        if dataset.shape.contains(&0) {
            return Ok(());
        }
        let id = dataset.place.open(files)?;
        let chunk = dataset.storage.chunk.as_deref();
        let reading = Reading::new(&id, node, &dataset.shape, None, chunk)?;
        reading.each_block_if(
            |block| self.wants(&block.start, &block.count),
            |block, elements| block.rows(&dataset.shape, node.size, elements, visit),
        )
    }
}

/// Passes the same element many times.
fn repeat(
    elements: u64,
    fill: &ElementBuffer,
    visit: &mut Emit<'_, ObjectError>,
) -> ObjectResult<()> {
    const AT_ONCE: u64 = 1 << 14;
    let each = AT_ONCE.min(elements);
    let block = fill.repeat(usize::try_from(each).unwrap_or(0));
    let mut first = 0;
    while first < elements {
        let count = each.min(elements - first);
        let bytes = usize::try_from(count).unwrap_or(0) * fill.elements().len();
        if let Some(part) = block.elements().get(0..bytes) {
            visit(first, part)?;
        }
        first += count;
    }
    Ok(())
}
