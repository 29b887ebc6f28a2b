//! Plans a virtual dataset: which elements of which sources become which of its own. Sources are
//! opened here and not by libhdf5, which silently fills in for a source that it cannot open.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use crate::chunk_index::{self, Zeros};
use crate::error::{Cause, ObjectError, ObjectResult, damaged};
use crate::external_files::{Files, Missed};
use crate::ffi::creation::{Creation, FillStatus, Layout};
use crate::ffi::dataset;
use crate::ffi::elements::{ElementBuffer, Elements};
use crate::ffi::ids::Id;
use crate::ffi::links::LinkAccess;
use crate::ffi::object::{self, ObjectKind, Token};
use crate::lookup::Purpose;
use crate::mappings::{self, Mapping, numbered};
use crate::place::{self, Found};
use crate::read::blocks::Emit;
use crate::read::read_dataset::Reading;
use crate::selection::Selection;
use crate::types::element_type::ElementType;
use crate::{Dataset, Part};

/// Virtual datasets within virtual datasets are followed so far.
const MAX_DEPTH: usize = 16;
/// Mappings of a virtual dataset and of those within it, all together.
const MAX_MAPPINGS: usize = 1 << 20;
/// Pairs of mappings that are compared to find overlaps.
const MAX_PAIRS: usize = 1 << 22;
/// Sources that are absent and named one by one.
const MAX_NAMED: usize = 10;

/// A step from the elements of a source to those of the virtual dataset around it.
#[derive(Debug)]
struct Route {
    from: Selection,
    to: Selection,
}

/// The steps from a source to the virtual dataset that is loaded, the source's own first.
type Chain = Vec<Arc<Route>>;

/// Where elements come from.
#[derive(Debug)]
enum Origin {
    /// A dataset; whether its elements are stored as the virtual dataset's would be.
    Dataset(Box<Dataset>, bool),
    /// A virtual dataset within this one, of so many elements, where it has no source.
    Fill(u64, ElementBuffer),
}

/// A source, and the ways that its elements go.
#[derive(Debug)]
pub struct Feed {
    /// Its name in messages: `file:/dataset`.
    pub name: String,
    origin: Origin,
    chains: Vec<Chain>,
}

/// The sources of a virtual dataset.
#[derive(Debug)]
pub struct Virtual {
    feeds: Vec<Feed>,
    /// One element without a source.
    fill: ElementBuffer,
    /// Whether every element has a source.
    is_whole: bool,
    /// Whether sources overlap, so that the later ones count.
    is_ordered: bool,
    /// The first element that is loaded, and how many are.
    range: (u64, u64),
}

/// How a source can be read.
#[derive(Debug)]
pub enum Way {
    /// Its elements lie in its file from this offset on.
    Contiguous(std::path::PathBuf, u64),
    /// In chunks that can be decoded without libhdf5.
    Chunked(std::path::PathBuf, Box<chunk_index::ChunkIndex>),
    /// Through libhdf5, or not from a file at all.
    Library,
}

/// Plans datasets that are sources.
pub(crate) trait PlanSource {
    /// Reports that planning the dataset at this path continues.
    fn seen(&mut self, path: &str);

    /// Plans a dataset that is not virtual.
    fn plan(&mut self, source: Found<'_>) -> ObjectResult<Dataset>;
}

/// The files and the planner of the sources, and the path of the virtual dataset.
pub(crate) struct Context<'a> {
    pub(crate) files: &'a Arc<Files>,
    pub(crate) sources: &'a mut dyn PlanSource,
    pub(crate) path: &'a str,
}

/// A virtual dataset, planned.
pub(crate) struct Planned {
    pub(crate) shape: Vec<u64>,
    /// The largest size of each dimension, as its file stores them.
    pub(crate) limits: Option<Vec<u64>>,
    pub(crate) layout: Virtual,
    /// Why elements have the fill value.
    pub(crate) filled: Vec<String>,
}

/// Plans the virtual dataset that is open as `id`, in file number `file`, whose elements are read as
/// `node`.
pub(crate) fn plan(
    (id, file, token): (&Id, usize, Token),
    (encoded, node): (&[u8], &Arc<ElementType>),
    context: &mut Context<'_>,
) -> ObjectResult<Planned> {
    let mut planner = Planner {
        context,
        encoded,
        node,
        within: Vec::new(),
        sources: HashMap::new(),
        absent: BTreeSet::new(),
        mappings: 0,
        is_ordered: false,
    };
    let whole = planner.dataset(id, file, token)?;
    let (absent, is_ordered) = (planner.absent, planner.is_ordered);
    let feeds = if is_ordered { whole.feeds } else { grouped(whole.feeds) };
    let range = (0, whole.shape.iter().product());
    let Level { shape, limits, fill, is_whole, .. } = whole;
    let layout = Virtual { feeds, fill, is_whole, is_ordered, range };
    Ok(Planned { shape, limits, layout, filled: describe(&absent) })
}

/// A sentence for each absent source, and one for all beyond a few.
fn describe(absent: &BTreeSet<String>) -> Vec<String> {
    let named = absent.iter().take(MAX_NAMED);
    let mut reasons: Vec<String> =
        named.map(|name| format!("source {name}; its elements have the fill value")).collect();
    let more = absent.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        reasons.push(format!("{more} more sources are absent; their elements have the fill value"));
    }
    reasons
}

/// Sources that are used by several mappings are read once.
fn grouped(feeds: Vec<Feed>) -> Vec<Feed> {
    let mut known: HashMap<(usize, Token), usize> = HashMap::new();
    let mut groups: Vec<Feed> = Vec::new();
    for feed in feeds {
        let key = match &feed.origin {
            Origin::Dataset(dataset, _) => (dataset.file(), dataset.place.token),
            Origin::Fill(..) => {
                groups.push(feed);
                continue;
            }
        };
        if let Some(&index) = known.get(&key) {
            groups[index].chains.extend(feed.chains);
        } else {
            known.insert(key, groups.len());
            groups.push(feed);
        }
    }
    groups
}

struct Planner<'c, 'a> {
    context: &'c mut Context<'a>,
    encoded: &'c [u8],
    node: &'c Arc<ElementType>,
    /// The virtual datasets around the one that is planned, itself included.
    within: Vec<(usize, Token)>,
    /// What is known of sources that were met before, by file and name of the dataset.
    sources: HashMap<(usize, Vec<u8>), Known>,
    absent: BTreeSet<String>,
    mappings: usize,
    is_ordered: bool,
}

/// A source that was met before.
enum Known {
    Absent,
    Found(Token, usize, Vec<u64>, bool),
}

/// One level: a virtual dataset with its own sources resolved.
struct Level {
    shape: Vec<u64>,
    limits: Option<Vec<u64>>,
    feeds: Vec<Feed>,
    fill: ElementBuffer,
    is_whole: bool,
}

impl Planner<'_, '_> {
    fn dataset(&mut self, id: &Id, file: usize, token: Token) -> ObjectResult<Level> {
        let key = (file, token);
        if self.within.contains(&key) {
            return damaged("a virtual dataset that is its own source");
        }
        if self.within.len() >= MAX_DEPTH {
            return damaged(format!("virtual datasets nested deeper than {MAX_DEPTH}"));
        }
        self.within.push(key);
        let level = self.level(id, file);
        self.within.pop();
        level
    }

    fn level(&mut self, id: &Id, file: usize) -> ObjectResult<Level> {
        let creation = Creation::of(id)?;
        let lacking = fill(&creation, self.node)?;
        let Some(mappings::Stored { mappings, extents: stored, limits }) =
            mappings::read(&creation)?
        else {
            // Without a mapping the library opens no source.
            let space = dataset::space(id)?;
            let shape = space.shape()?.unwrap_or_default();
            let (limits, feeds) = (Some(space.limits()?), Vec::new());
            return Ok(Level { shape, limits, feeds, fill: lacking, is_whole: false });
        };
        drop(creation);
        let folder = self.context.files.path(file);
        let mut resolved = Vec::new();
        for mapping in &mappings {
            self.resolve(mapping, (file, &folder), &mut resolved)?;
        }
        let shape = extents(&mappings, &resolved, stored)?;
        let level = self.join(shape, resolved, lacking)?;
        Ok(Level { limits: Some(limits), ..level })
    }

    /// Finds the sources of a mapping: one, or one for each numbered block that exists.
    fn resolve<'m>(
        &mut self,
        mapping: &'m Mapping,
        home: (usize, &Path),
        resolved: &mut Vec<Resolved<'m>>,
    ) -> ObjectResult<()> {
        let (name, is_numbered) = numbered(&mapping.file, 0)?;
        let (dataset, is_numbered_too) = numbered(&mapping.dataset, 0)?;
        let to_all = mapping.to.unlimited().is_some();
        let from_all = mapping.from.unlimited().is_some();
        if from_all && !to_all {
            return damaged("a mapping of an unlimited source to a limited part");
        }
        if !to_all || from_all {
            let source = self.source(&name, &dataset, home)?;
            if source.is_none() {
                self.note_absent(&name, &dataset, home.0);
            }
            return self
                .add(Resolved { mapping, block: None, source, len: 0, to_len: 0 }, resolved);
        }
        if !is_numbered && !is_numbered_too {
            return damaged("an unlimited mapping of a limited source without '%b' in its name");
        }
        for number in 0.. {
            let (name, _) = numbered(&mapping.file, number)?;
            let (dataset, _) = numbered(&mapping.dataset, number)?;
            let Some(source) = self.source(&name, &dataset, home)? else { break };
            let block = Some(number);
            self.add(
                Resolved { mapping, block, source: Some(source), len: 0, to_len: 0 },
                resolved,
            )?;
        }
        if !resolved.iter().any(|known| std::ptr::eq(known.mapping, mapping)) {
            self.note_absent(&name, &dataset, home.0);
        }
        Ok(())
    }

    fn add<'m>(
        &mut self,
        mut one: Resolved<'m>,
        resolved: &mut Vec<Resolved<'m>>,
    ) -> ObjectResult<()> {
        self.mappings += 1;
        if self.mappings > MAX_MAPPINGS {
            return damaged(format!("more than {MAX_MAPPINGS} mappings"));
        }
        if let (Some(source), None) = (&one.source, one.block) {
            one.len = one.mapping.from.len_within(&source.shape)?;
            one.to_len = one.len;
        }
        resolved.push(one);
        Ok(())
    }

    fn note_absent(&mut self, name: &[u8], dataset: &[u8], file: usize) {
        let (shown, dataset) = (shown(name), String::from_utf8_lossy(dataset));
        let reason = match name {
            b"." => {
                let own = self.context.files.path(file);
                format!("'{dataset}' in '{}' is absent", own.display())
            }
            _ => format!("'{shown}' or its dataset '{dataset}' is absent"),
        };
        self.absent.insert(reason);
    }

    /// Opens a source; `None` if there is no such file, or no such dataset in it.
    fn source(
        &mut self,
        name: &[u8],
        dataset: &[u8],
        (own, folder): (usize, &Path),
    ) -> ObjectResult<Option<Opened>> {
        self.context.sources.seen(self.context.path);
        let shown = format!("'{}:{}'", shown(name), String::from_utf8_lossy(dataset));
        let cannot = |trouble: ObjectError| trouble.within(&format!("source {shown}"));
        let file = match name {
            b"." => own,
            _ => match self.context.files.follow(Purpose::Virtual, name, folder).map_err(cannot)? {
                Some(file) => file,
                None => return Ok(None),
            },
        };
        let key = (file, dataset.to_vec());
        match self.sources.get(&key) {
            Some(Known::Absent) => return Ok(None),
            Some(Known::Found(token, file, shape, is_virtual)) => {
                let (token, file, is_virtual) = (*token, *file, *is_virtual);
                let shape = shape.clone();
                return Ok(Some(Opened {
                    name: shown,
                    file,
                    token,
                    shape,
                    is_virtual,
                    dataset: key,
                }));
            }
            None => {}
        }
        let Some(id) = self.open(file, dataset).map_err(cannot)? else {
            self.sources.insert(key, Known::Absent);
            return Ok(None);
        };
        let described = self.describe(&id).map_err(cannot)?;
        let (token, in_file, shape, is_virtual) = described;
        self.sources.insert(key.clone(), Known::Found(token, in_file, shape.clone(), is_virtual));
        let name = shown;
        Ok(Some(Opened { name, file: in_file, token, shape, is_virtual, dataset: key }))
    }

    /// Token, file and shape of a dataset, and whether it is virtual.
    fn describe(&mut self, id: &Id) -> ObjectResult<(Token, usize, Vec<u64>, bool)> {
        let object = object::object(id)?;
        if object.kind != ObjectKind::Dataset {
            return damaged("it is not a dataset");
        }
        let file = self.context.files.index_of(id, object.key.0)?;
        let is_virtual = chunk_index::offset(id).is_none() && is_virtual(id)?;
        if is_virtual {
            let shape = self.dataset(id, file, object.token)?.shape;
            return Ok((object.token, file, shape, is_virtual));
        }
        let Some(shape) = dataset::space(id)?.shape()? else {
            return damaged("a null dataspace: it has no elements");
        };
        Ok((object.token, file, shape, is_virtual))
    }

    /// Opens a dataset by its path in a file; `None` if there is no such object.
    fn open(&self, file: usize, dataset: &[u8]) -> ObjectResult<Option<Id>> {
        let Ok(path) = CString::new(dataset) else { return Ok(None) };
        let files = self.context.files;
        let (file, access) = (files.get(file)?, LinkAccess::new(Arc::clone(files) as _)?);
        files.take_missed();
        match access.open(&file, &path) {
            Ok(id) => Ok(Some(id)),
            Err(trouble) => match files.take_missed() {
                Some(Missed::ObjectError(trouble)) => Err(trouble),
                Some(Missed::Absent) => Ok(None),
                None if trouble.cause() == Cause::NotFound => Ok(None),
                None => Err(trouble),
            },
        }
    }

    /// Puts the mappings of one virtual dataset together.
    fn join(
        &mut self,
        shape: Vec<u64>,
        resolved: Vec<Resolved<'_>>,
        fill: ElementBuffer,
    ) -> ObjectResult<Level> {
        let mut feeds: Vec<Feed> = Vec::new();
        let (mut parts, mut mapped) = (Vec::new(), 0_u64);
        for Resolved { mapping, block, source, len, to_len } in resolved {
            let Some(source) = source else { continue };
            let name = source.name.clone();
            let cannot = |trouble: ObjectError| trouble.within(&format!("source {name}"));
            let from = mapping.from.select(&source.shape, len).map_err(cannot)?;
            let to = match block {
                Some(number) => mapping.to.block(number)?.select(&shape, 0)?,
                None => mapping.to.select(&shape, to_len)?,
            };
            if from.elements() != to.elements() {
                return damaged(format!(
                    "source {}: a mapping of {} elements to {}",
                    source.name,
                    from.elements(),
                    to.elements()
                ));
            }
            if from.elements() == 0 {
                continue;
            }
            mapped = mapped.saturating_add(to.elements());
            let route = Arc::new(Route { from, to });
            parts.push(Arc::clone(&route));
            feeds.extend(self.feeds(source, &route).map_err(cannot)?);
            if feeds.len() > MAX_MAPPINGS {
                return damaged(format!("more than {MAX_MAPPINGS} mappings"));
            }
        }
        let overlap = overlaps(&parts);
        self.is_ordered |= overlap;
        let all = shape.iter().try_fold(1_u64, |all, &extent| all.checked_mul(extent));
        let Some(all) = all else { return damaged("more elements than can be counted") };
        Ok(Level { shape, limits: None, feeds, fill, is_whole: !overlap && mapped == all })
    }

    /// The elements of one source on their way through `route`.
    fn feeds(&mut self, source: Opened, route: &Arc<Route>) -> ObjectResult<Vec<Feed>> {
        let Opened { name, file, token, is_virtual, dataset, .. } = source;
        let id = place::open_by_token(self.context.files, file, token)?;
        if is_virtual {
            let inner = self.dataset(&id, file, token)?;
            let mut feeds = inner.feeds;
            if !inner.is_whole {
                let elements = inner.shape.iter().product();
                let origin = Origin::Fill(elements, inner.fill);
                feeds.insert(0, Feed { name, origin, chains: vec![Vec::new()] });
                // What has no source must not hide what has one.
                self.is_ordered = true;
            }
            for feed in &mut feeds {
                for chain in &mut feed.chains {
                    chain.push(Arc::clone(route));
                }
            }
            return Ok(feeds);
        }
        let root = object::object(&object::root(&*self.context.files.get(dataset.0)?)?)?.token;
        let link = (root, dataset.0, CString::new(dataset.1).unwrap_or_default());
        let found = Found { id, path: self.context.path, file, token, link, is_source: true };
        let dataset = self.context.sources.plan(found)?;
        let is_same = *dataset.encoded_type == *self.encoded && self.node.is_known();
        let origin = Origin::Dataset(Box::new(dataset), is_same);
        Ok(vec![Feed { name, origin, chains: vec![vec![Arc::clone(route)]] }])
    }
}

/// A source that was found.
struct Opened {
    name: String,
    file: usize,
    token: Token,
    shape: Vec<u64>,
    is_virtual: bool,
    /// The file in which it was looked for, and its path there.
    dataset: (usize, Vec<u8>),
}

/// A mapping, or one of its numbered blocks, with its source.
struct Resolved<'m> {
    mapping: &'m Mapping,
    block: Option<u64>,
    source: Option<Opened>,
    /// Indices on the unlimited axis of the source, and of the virtual dataset.
    len: u64,
    to_len: u64,
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The extents of a virtual dataset: those that its file stores, but an unlimited axis ends with the
/// last element that has a source.
fn extents(
    mappings: &[Mapping],
    resolved: &[Resolved<'_>],
    mut stored: Vec<u64>,
) -> ObjectResult<Vec<u64>> {
    let rank = stored.len();
    let mut ends = vec![None; rank];
    let mut least = vec![0; rank];
    for mapping in mappings {
        let unlimited = mapping.to.unlimited().map(|(axis, _)| axis);
        for (axis, end) in mapping.to.extents(rank, 0)?.into_iter().enumerate() {
            if Some(axis) == unlimited {
                ends[axis].get_or_insert(0);
            } else {
                least[axis] = end.max(least[axis]);
            }
        }
    }
    for one in resolved.iter().filter(|one| one.source.is_some()) {
        let Some((axis, _)) = one.mapping.to.unlimited() else { continue };
        let reach = match one.block {
            Some(number) => one.mapping.to.block(number)?.extents(rank, 0)?,
            None => one.mapping.to.extents(rank, one.to_len)?,
        };
        if let (Some(Some(end)), Some(&reach)) = (ends.get_mut(axis), reach.get(axis)) {
            *end = reach.max(*end);
        }
    }
    for ((extent, end), least) in stored.iter_mut().zip(ends).zip(least) {
        if let Some(end) = end {
            *extent = least.max(end);
        }
    }
    Ok(stored)
}

/// Whether some element has two sources; may err on the side of yes.
fn overlaps(parts: &[Arc<Route>]) -> bool {
    let mut bounds: Vec<(u64, u64, &Selection)> = parts
        .iter()
        .filter_map(|route| route.to.bounds().map(|(first, last)| (first, last, &route.to)))
        .collect();
    bounds.sort_unstable_by_key(|&(first, last, _)| (first, last));
    let mut pairs = 0;
    for (at, &(_, last, one)) in bounds.iter().enumerate() {
        for &(_, _, other) in bounds[at + 1..].iter().take_while(|next| next.0 <= last) {
            pairs += 1;
            if pairs > MAX_PAIRS || one.meets(other) {
                return true;
            }
        }
    }
    false
}

fn is_virtual(id: &Id) -> ObjectResult<bool> {
    Ok(Creation::of(id)?.layout() == Layout::Virtual)
}

/// One element that has no source, as it is read. libhdf5 leaves memory alone when there is no fill
/// value; here it is zero.
fn fill(creation: &Creation, node: &ElementType) -> ObjectResult<ElementBuffer> {
    match creation.fill_status()? {
        FillStatus::UserDefined => creation.fill_value(&node.memory),
        _ => ElementBuffer::zeroed(node.size),
    }
}

impl Virtual {
    /// Leaves out everything that is not in this part of the virtual dataset.
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

    /// Shows every element as libhdf5 reads it, in no particular order: how many, and their bytes.
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

    /// Whether elements go to places of their own, far from each other, in runs of fewer than this many.
    pub fn is_scattered(&self, neighbors: u64) -> bool {
        self.feeds.iter().any(|feed| feed.run() < neighbors)
    }

    /// Passes the elements of a source from number `first` on to where they belong.
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

    /// Elements that go together, as a rule.
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

    /// How it can be read; the files of its load are `files`.
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

    /// Shows the elements of the source block by block as libhdf5 reads them through `node`: the first
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

/// Shows the same element many times.
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
