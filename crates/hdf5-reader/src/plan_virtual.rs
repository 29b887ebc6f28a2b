//! Plans a virtual dataset: the sources of its elements. Sources are opened here and not by libhdf5, which uses the
//! fill value for a source that it cannot open, without an error.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use crate::chunk_index;
use crate::dataset::{Dataset, Feed, Origin, Route, Virtual};
use crate::error::{Cause, ObjectError, ObjectResult, damaged};
use crate::external_files::{Files, Missed};
use crate::ffi::creation::{Creation, FillStatus, Layout};
use crate::ffi::dataset;
use crate::ffi::elements::ElementBuffer;
use crate::ffi::ids::Id;
use crate::ffi::links::LinkAccess;
use crate::ffi::object::{self, ObjectKind, Token};
use crate::lookup::Purpose;
use crate::mappings::{self, Mapping, numbered};
use crate::place::{self, Found};
use crate::selection::Selection;
use crate::types::element_type::ElementType;

/// How deep virtual datasets may nest.
const MAX_DEPTH: usize = 16;
/// Mappings of a virtual dataset and of those within it, all together.
const MAX_MAPPINGS: usize = 1 << 20;
/// Pairs of mappings that are compared to find overlaps.
const MAX_PAIRS: usize = 1 << 22;
/// Sources that are absent and named one by one.
const MAX_NAMED: usize = 10;

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
    /// The reasons why elements have the fill value.
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
    /// The sources that were found before, by file and name of the dataset.
    sources: HashMap<(usize, Vec<u8>), Known>,
    absent: BTreeSet<String>,
    mappings: usize,
    is_ordered: bool,
}

/// A source that was looked for before.
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

    /// Combines the mappings of one virtual dataset.
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
                // An element without a source must not replace one with a source.
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
