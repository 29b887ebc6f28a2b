//! Follows all links from the root group. Reads each group once, plans each dataset once, and records links that are
//! not followed, datasets that cannot be represented, and damage. [`crate::expand`] builds the tree of all paths from
//! that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;

use crate::attributes::{self, Attributes};
use crate::budget::Budget;
use crate::dataset::Dataset;
use crate::error::{Advice, Cause, Error, ObjectError, Result, cannot_open, unreadable};
use crate::external_files::{Files, Missed};
use crate::ffi::datatype::Datatype;
use crate::ffi::ids::Id;
use crate::ffi::links::{self, Link, LinkAccess, LinkKind};
use crate::ffi::object::{self, Object, ObjectKind, Token};
use crate::inventory::{Group, Inventory, NamedType, Options};
use crate::object_header::Headers;
use crate::place::{Found as FoundDataset, LinkPlace, open_by_token};
use crate::plan_dataset::{self, Types};
use crate::skip::Skip;

/// How deep groups may nest.
pub(crate) const MAX_DEPTH: usize = 300;

/// The key by which readers of the metadata distinguish an array from a group.
const RESERVED: &str = "shm_name";

/// The most bytes of all paths that replace references.
const MAX_REFERENCE_BYTES: usize = 256 << 20;

/// The file number and the token of an object.
type Key = (u64, Token);

/// The target of a link: an index into [`Walk::groups`], [`Walk::datasets`] or [`Walk::troubles`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Group(usize),
    Dataset(usize),
    Nowhere(usize),
}

/// A group. It is read once, even if several links lead to it.
pub(crate) struct GroupNode {
    key: Key,
    /// The first path that led to it.
    pub(crate) path: String,
    pub(crate) links: Vec<(String, Target)>,
}

/// A dataset that a link led to.
pub(crate) enum Known {
    Planned(usize),
    /// The reason why it is not loaded: an index into [`Walk::troubles`].
    Failed(usize),
    /// Not selected so far.
    Unwanted(Unwanted),
}

/// The place of a dataset that was not selected under its first path.
#[derive(Clone)]
pub(crate) struct Unwanted {
    file: usize,
    token: Token,
    link: LinkPlace,
}

impl GroupNode {
    /// The index of its file.
    pub(crate) fn file(&self) -> usize {
        usize::try_from(self.key.0).unwrap_or(usize::MAX)
    }
}

pub(crate) struct Walk<'a> {
    pub(crate) options: Options<'a>,
    pub(crate) inventory: Inventory,
    /// The callback for external links.
    access: LinkAccess,
    /// The object headers of the file that was used last, if they can be read without the library. Only of one file,
    /// because a file may link to thousands.
    headers: Option<(usize, Option<Headers>)>,
    known: HashMap<Key, Target>,
    pub(crate) groups: Vec<GroupNode>,
    pub(crate) datasets: Vec<Known>,
    pub(crate) troubles: Vec<ObjectError>,
    types: Types,
    budget: Budget,
}

/// An open group on the current path, and its links that were not followed yet.
struct Here {
    id: Id,
    object: Object,
    index: usize,
    /// The number of groups above it.
    depth: usize,
    links: std::vec::IntoIter<Link>,
    /// The names of the links followed so far.
    names: HashSet<CString>,
}

/// The target of a link, and the group if it was not known; `None` for a committed datatype.
type Found = std::result::Result<Option<(Target, Option<Here>)>, ObjectError>;

/// Reads the open `file` from its root: every group and dataset once.
pub(crate) fn walk<'a>(path: &Path, file: Id, options: Options<'a>) -> Result<Walk<'a>> {
    let cannot = |trouble| cannot_open(path, trouble);
    let files = Arc::new(Files::new(path, options.external));
    files.look(path);
    let access = LinkAccess::new(Arc::clone(&files) as _).map_err(cannot)?;
    let inventory = Inventory {
        root: Group::default(),
        datasets: Vec::new(),
        group_attrs: Vec::new(),
        skips: Vec::new(),
        missing_filters: BTreeSet::new(),
        damaged: Vec::new(),
        filled: Vec::new(),
        sources: Vec::new(),
        outside: Vec::new(),
        named_types: Vec::new(),
        named_by_object: HashMap::new(),
        files,
    };
    let mut walk = Walk {
        options,
        inventory,
        access,
        headers: None,
        known: HashMap::new(),
        groups: Vec::new(),
        datasets: Vec::new(),
        troubles: Vec::new(),
        types: Types::default(),
        budget: Budget::default(),
    };
    (walk.options.seen)("/");
    let root = object::root(&file).and_then(|root| Ok((walk.object(&root)?, root)));
    let (object, root) = root.map_err(cannot)?;
    drop(file);
    walk.graph(root, object)?;
    Ok(walk)
}

impl Walk<'_> {
    /// The inventory with this tree of all paths: resolves committed datatypes and references.
    pub(crate) fn finish(mut self, root: Group) -> Inventory {
        self.inventory.root = root;
        self.add_types_without_path();
        self.resolve_types();
        self.resolve_references();
        self.inventory.sources = self.inventory.files.looked();
        self.inventory.outside = self.inventory.files.outside();
        self.inventory
    }

    /// Reads every group and dataset once; without recursion, so that depth costs no stack.
    fn graph(&mut self, root: Id, object: Object) -> Result<()> {
        let mut way = vec![self.enter(root, object, String::new(), 0)?];
        while let Some(here) = way.last_mut() {
            match here.links.next() {
                Some(link) => {
                    let below = self.link(here, &link)?;
                    way.extend(below);
                }
                None => drop(way.pop()),
            }
        }
        Ok(())
    }

    /// Reads a group's attributes and links; one that cannot be listed has none.
    fn enter(&mut self, id: Id, object: Object, path: String, depth: usize) -> Result<Here> {
        let attrs = attributes::read(&id);
        let links = match links::list(&id) {
            Ok(links) => links,
            Err(trouble) => {
                self.note(&path, object.file(), trouble)?;
                Vec::new()
            }
        };
        let index = self.groups.len();
        self.known.insert(object.key, Target::Group(index));
        self.inventory.group_attrs.push(attrs);
        self.groups.push(GroupNode { key: object.key, path, links: Vec::new() });
        let (links, names) = (links.into_iter(), HashSet::new());
        Ok(Here { id, object, index, depth, links, names })
    }

    /// Follows one link, and returns the group that it leads to for the first time.
    fn link(&mut self, here: &mut Here, link: &Link) -> Result<Option<Here>> {
        let name = link.name.to_string_lossy();
        let path = format!("{}/{name}", self.groups[here.index].path);
        self.budget.add(1, path.len() as u64)?;
        (self.options.seen)(&path);
        let found = match link.name.to_str() {
            Err(_) => Err(ObjectError::Unsupported("the name is not UTF-8".to_owned())),
            Ok(_) if here.names.contains(&link.name) => {
                Err(ObjectError::Unsupported("a second link of that name".to_owned()))
            }
            Ok(name) => self.target(here, link, name, &path)?,
        };
        let (target, below) = match found {
            Ok(Some((target, below))) => (target, below),
            Ok(None) => return Ok(None),
            Err(trouble) => (Target::Nowhere(self.fail(trouble, &path, here.object.file())?), None),
        };
        if !matches!(target, Target::Nowhere(_)) {
            here.names.insert(link.name.clone());
        }
        self.groups[here.index].links.push((name.into_owned(), target));
        Ok(below)
    }

    /// Finds the target of a link, and opens it unless it is known.
    fn target(&mut self, here: &Here, link: &Link, name: &str, path: &str) -> Result<Found> {
        if let LinkKind::Hard(token) = link.kind {
            let key = (here.object.key.0, token);
            let known = self.known.get(&key).copied();
            if let Some(target) = known.or_else(|| self.plain(here, (link, token), name, path)) {
                return Ok(again(target, here, name));
            }
        }
        let (id, object) = match self.open(here, link) {
            Ok(opened) => opened,
            Err(trouble) => return Ok(Err(trouble)),
        };
        if let Some(target) = self.known.get(&object.key) {
            return Ok(again(*target, here, name));
        }
        match object.kind {
            ObjectKind::Group if here.depth + 1 >= MAX_DEPTH => Ok(Err(too_deep())),
            ObjectKind::Group if is_misleading(name, here.index) => Ok(Err(reserved())),
            ObjectKind::Group => {
                let below = self.enter(id, object, path.to_owned(), here.depth + 1)?;
                Ok(Ok(Some((Target::Group(below.index), Some(below)))))
            }
            ObjectKind::Dataset => {
                let target = self.dataset(here, (id, object), path, link)?;
                Ok(Ok(Some((target, None))))
            }
            ObjectKind::Datatype => {
                self.named_type(id, object.key, path);
                Ok(Ok(None))
            }
        }
    }

    /// Keeps a committed datatype for exports; one that cannot be read matters to no array.
    fn named_type(&mut self, id: Id, key: Key, path: &str) {
        let Inventory { named_types, named_by_object, .. } = &mut self.inventory;
        if let Some(known) = named_by_object.get(&key).and_then(|&at| named_types.get_mut(at)) {
            known.paths.push(path.to_owned());
            return;
        }
        let attrs = attributes::read(&id);
        if let Ok(kind) = Datatype::of_object(id).encode() {
            named_by_object.insert(key, named_types.len());
            named_types.push(NamedType { paths: vec![path.to_owned()], kind, attrs });
        }
    }

    /// Plans a dataset from its header, without the library, if that is sufficient.
    fn plain(
        &mut self,
        here: &Here,
        (link, token): (&Link, Token),
        name: &str,
        path: &str,
    ) -> Option<Target> {
        if name == RESERVED {
            return None;
        }
        let file = here.object.file();
        let plain = headers(&mut self.headers, &self.inventory.files, file)?.plain(token)?;
        let kind = self.types.of_message(plain.kind)?;
        let key = (here.object.key.0, token);
        if !(self.options.select)(path) {
            let link = (here.object.token, file, link.name.clone());
            let unwanted = Unwanted { file, token, link };
            return Some(self.remember(key, Known::Unwanted(unwanted)));
        }
        let dataset =
            plan_dataset::plan_plain(&plain, (path, file, token), kind, self.options.rows)?;
        self.inventory.datasets.push(dataset);
        Some(self.remember(key, Known::Planned(self.inventory.datasets.len() - 1)))
    }

    fn remember(&mut self, key: Key, known: Known) -> Target {
        let target = Target::Dataset(self.datasets.len());
        self.datasets.push(known);
        self.known.insert(key, target);
        target
    }

    /// Records the type of a dataset that was planned with the library, if its header agrees.
    fn learn(&mut self, token: Token, dataset: &Dataset) -> Option<()> {
        dataset.raw_offset()?;
        let open = headers(&mut self.headers, &self.inventory.files, dataset.file())?;
        let plain = open.plain(token)?;
        self.types.learn(&plain, dataset, self.options.rows)
    }

    /// A dataset that no link led to before.
    fn dataset(
        &mut self,
        here: &Here,
        (id, object): (Id, Object),
        path: &str,
        link: &Link,
    ) -> Result<Target> {
        let misleading = link.name.to_str().is_ok_and(|name| is_misleading(name, here.index));
        let link = (here.object.token, here.object.file(), link.name.clone());
        let place = Unwanted { file: object.file(), token: object.token, link };
        let known = match !misleading && (self.options.select)(path) {
            true => self.plan(id, place, path)?,
            false => Known::Unwanted(place),
        };
        Ok(self.remember(object.key, known))
    }

    /// Plans a dataset that is selected.
    fn plan(&mut self, id: Id, place: Unwanted, path: &str) -> Result<Known> {
        let Unwanted { file, token, link } = place;
        let found = FoundDataset { id, path, file, token, link, is_source: false };
        let open = (&self.inventory.files, &mut self.types);
        match plan_dataset::plan(found, open, self.options.rows, self.options.seen) {
            Ok((dataset, filled)) => {
                let (arrays, bytes) = dataset.form.extent();
                self.budget.add(arrays, bytes)?;
                self.learn(token, &dataset);
                let note = |reason| Skip::new(path.to_owned(), reason);
                self.inventory.filled.extend(filled.into_iter().map(note));
                self.inventory.datasets.push(dataset);
                Ok(Known::Planned(self.inventory.datasets.len() - 1))
            }
            Err(trouble) => self.fail(trouble, path, file).map(Known::Failed),
        }
    }

    /// Plans a dataset that is not selected under the path that it was found at, but under this one.
    pub(crate) fn plan_unwanted(&mut self, place: Unwanted, path: &str) -> Result<Known> {
        match open_by_token(&self.inventory.files, place.file, place.token) {
            Ok(id) => self.plan(id, place, path),
            Err(trouble) => self.fail(trouble, path, place.file).map(Known::Failed),
        }
    }

    /// Records the reason why an object of file number `file` is not loaded. Damage ends the walk without
    /// `keep_going`.
    fn fail(&mut self, trouble: ObjectError, path: &str, file: usize) -> Result<usize> {
        if matches!(trouble, ObjectError::NoMemory(_))
            || (trouble.is_damage() && !self.options.keep_going)
        {
            return Err(unreadable(path, &self.inventory.files.path(file), trouble));
        }
        if let ObjectError::Refused(reason) = &trouble {
            return Err(refused(path, reason));
        }
        self.troubles.push(trouble);
        Ok(self.troubles.len() - 1)
    }

    /// The type and identity of an open object. The key stays the same when its file is closed and opened again.
    fn object(&self, id: &Id) -> std::result::Result<Object, ObjectError> {
        let mut object = object::object(id)?;
        object.key.0 = self.inventory.files.index_of(id, object.key.0)? as u64;
        Ok(object)
    }

    /// Opens the target of a link. A soft or external link without a target is skipped; a file that exists and cannot
    /// be read is an error.
    fn open(&self, here: &Here, link: &Link) -> std::result::Result<(Id, Object), ObjectError> {
        let sort = match link.kind {
            LinkKind::User(number) => {
                let text = format!("user-defined link of type {number}");
                return Err(ObjectError::Unsupported(text));
            }
            LinkKind::Hard(_) => "",
            LinkKind::Soft => "soft",
            LinkKind::External => "external",
        };
        let files = &self.inventory.files;
        files.take_missed();
        let id = match link.open(&here.id, &self.access) {
            Err(trouble) if !sort.is_empty() => {
                let target = link.target(&here.id);
                let cannot = |reason: String| format!("{sort} link to '{target}': {reason}");
                // The cause is not the link: its target must not be skipped silently.
                if let Some(lack) = lack_of_descriptors() {
                    return Err(ObjectError::System(cannot(lack.desc().to_owned()), lack));
                }
                let cause = trouble.cause();
                return Err(match files.take_missed() {
                    Some(Missed::Absent) => dangling(sort, &target),
                    Some(Missed::ObjectError(trouble)) => {
                        trouble.within(&format!("{sort} link to '{target}'"))
                    }
                    None if cause == Cause::NotFound => dangling(sort, &target),
                    None if is_failure(cause)
                        || (matches!(link.kind, LinkKind::External)
                            && cause != Cause::LinkLoop) =>
                    {
                        trouble.within(&format!("{sort} link to '{target}'"))
                    }
                    None => ObjectError::Unsupported(format!(
                        "{sort} link to '{target}' cannot be followed: {}",
                        trouble.into_reason()
                    )),
                });
            }
            opened => opened?,
        };
        let object = self.object(&id)?;
        Ok((id, object))
    }

    /// Adds the committed datatypes that datasets and attributes use although no path leads to them.
    fn add_types_without_path(&mut self) {
        let inventory = &self.inventory;
        let committed = |file: u64, attrs: &Attributes| {
            attrs.committed_tokens().map(|token| (file, token)).collect::<Vec<_>>()
        };
        let groups = inventory.group_attrs.iter().zip(&self.groups);
        let mut keys: Vec<Key> =
            groups.flat_map(|(attrs, group)| committed(group.key.0, attrs)).collect();
        for dataset in &inventory.datasets {
            let file = dataset.file() as u64;
            keys.extend(dataset.named_type.map(|token| (file, token)));
            keys.extend(committed(file, &dataset.attrs));
        }
        for (&(file, _), &number) in &inventory.named_by_object {
            keys.extend(committed(file, &inventory.named_types[number].attrs));
        }
        while let Some(key) = keys.pop() {
            let Inventory { files, named_types, named_by_object, .. } = &mut self.inventory;
            if named_by_object.contains_key(&key) {
                continue;
            }
            let file = usize::try_from(key.0).unwrap_or(usize::MAX);
            let Ok(id) = open_by_token(files, file, key.1) else {
                continue;
            };
            let attrs = attributes::read(&id);
            if let Ok(kind) = Datatype::of_object(id).encode() {
                keys.extend(committed(key.0, &attrs));
                named_by_object.insert(key, named_types.len());
                named_types.push(NamedType { paths: Vec::new(), kind, attrs });
            }
        }
    }

    /// Gives the attributes whose types are committed datatypes the numbers of these.
    fn resolve_types(&mut self) {
        let Inventory { datasets, group_attrs, named_types, named_by_object, .. } =
            &mut self.inventory;
        let number_in = |file: u64| {
            let named_by_object = &*named_by_object;
            move |token: Token| named_by_object.get(&(file, token)).copied()
        };
        for (attrs, group) in group_attrs.iter_mut().zip(&self.groups) {
            attrs.resolve_types(number_in(group.key.0));
        }
        for (key, &number) in named_by_object.iter() {
            named_types[number].attrs.resolve_types(number_in(key.0));
        }
        for dataset in datasets {
            let file = dataset.file() as u64;
            dataset.attrs.resolve_types(number_in(file));
        }
    }

    /// Gives the attributes that refer to objects the paths of these: the first path of each.
    fn resolve_references(&mut self) {
        let Inventory { datasets, group_attrs, named_types, named_by_object, .. } =
            &mut self.inventory;
        let has = |attrs: &Attributes| !attrs.references.is_empty();
        if !group_attrs.iter().any(has)
            && !datasets.iter().any(|dataset| has(&dataset.attrs))
            && !named_types.iter().any(|named| has(&named.attrs))
        {
            return;
        }
        let key = |dataset: &Dataset| (Some(dataset.file() as u64), dataset.token());
        let groups = self.groups.iter().map(|group| {
            let path = if group.path.is_empty() { "/" } else { &group.path };
            ((Some(group.key.0), group.key.1), path.to_owned())
        });
        let paths: HashMap<(Option<u64>, Token), String> = groups
            .chain(datasets.iter().map(|dataset| (key(dataset), dataset.path.clone())))
            .chain(named_by_object.iter().filter_map(|(key, &number)| {
                let path = named_types[number].paths.first()?;
                Some(((Some(key.0), key.1), path.clone()))
            }))
            .collect();
        let path_in = |file: Option<u64>| {
            let paths = &paths;
            move |address: u64| {
                let mut token = [0; 16];
                token[..8].copy_from_slice(&address.to_le_bytes());
                paths.get(&(file, token)).map_or("", String::as_str)
            }
        };
        let mut left = MAX_REFERENCE_BYTES;
        for (attrs, group) in group_attrs.iter_mut().zip(&self.groups) {
            attributes::resolve_references(attrs, &mut left, path_in(Some(group.key.0)));
        }
        for (key, &number) in named_by_object.iter() {
            attributes::resolve_references(
                &mut named_types[number].attrs,
                &mut left,
                path_in(Some(key.0)),
            );
        }
        for dataset in datasets {
            let file = Some(dataset.file() as u64);
            attributes::resolve_references(&mut dataset.attrs, &mut left, path_in(file));
        }
    }

    /// Records the reason why a path is not loaded. Damage ends the walk without `keep_going`.
    pub(crate) fn note(&mut self, path: &str, file: usize, trouble: ObjectError) -> Result<()> {
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        match trouble {
            ObjectError::Unsupported(reason) => self.inventory.skips.push(Skip::new(path, reason)),
            ObjectError::MissingFilter(filter) => {
                self.inventory.missing_filters.insert(filter.clone());
                let reason = ObjectError::MissingFilter(filter).into_reason();
                self.inventory.skips.push(Skip::new(path, reason));
            }
            ObjectError::Refused(reason) => return Err(refused(&path, &reason)),
            trouble if trouble.is_damage() && self.options.keep_going => {
                let detail = trouble.original().map(str::to_owned);
                let skip = Skip { detail, ..Skip::new(path, trouble.into_reason()) };
                self.inventory.damaged.push(skip);
            }
            trouble => return Err(unreadable(&path, &self.inventory.files.path(file), trouble)),
        }
        Ok(())
    }
}

fn refused(path: &str, reason: &str) -> Error {
    Error::new(Cause::Refused, format!("cannot load '{path}': {reason}"))
        .with_subject(path)
        .with_advice(Advice::AllowExternal)
}

/// A further link to an object.
fn again(target: Target, here: &Here, name: &str) -> Found {
    match target {
        Target::Group(_) if is_misleading(name, here.index) => Err(reserved()),
        target => Ok(Some((target, None))),
    }
}

/// Whether a name in group number `node` misleads readers of the metadata. Not at the top level, where the
/// caller decides.
pub(crate) fn is_misleading(name: &str, node: usize) -> bool {
    node > 0 && name == RESERVED
}

pub(crate) fn reserved() -> ObjectError {
    ObjectError::Unsupported(format!("the name '{RESERVED}' would mislead every reader"))
}

pub(crate) fn too_deep() -> ObjectError {
    ObjectError::Unsupported(format!("groups nested deeper than {MAX_DEPTH}"))
}

/// The headers of file number `number`; closes the file that was used before.
fn headers<'w>(
    of: &'w mut Option<(usize, Option<Headers>)>,
    files: &Files,
    number: usize,
) -> Option<&'w mut Headers> {
    if of.as_ref().is_none_or(|(open, _)| *open != number) {
        let opened = files.get(number).ok().and_then(|file| Headers::of(&file));
        *of = Some((number, opened));
    }
    of.as_mut()?.1.as_mut()
}

/// The error if no further file can be opened, which the library does not report.
fn lack_of_descriptors() -> Option<Errno> {
    let error = std::fs::File::open("/dev/null").err()?;
    let errno = Errno::from_raw(error.raw_os_error()?);
    matches!(errno, Errno::EMFILE | Errno::ENFILE).then_some(errno)
}

/// Whether a cause is a failure of this process or of its node, and not of the file.
fn is_failure(cause: Cause) -> bool {
    matches!(cause, Cause::System(_) | Cause::NoMemory)
}

fn dangling(sort: &str, target: &str) -> ObjectError {
    ObjectError::Unsupported(format!("dangling {sort} link to '{target}'"))
}
