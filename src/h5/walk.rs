//! Walks from the root group along all links, plans each dataset once, and notes what is not
//! followed: dangling links, links back to an ancestor, what has no form, what is damaged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use hdf5_sys::h5o::{H5O_token_t, H5O_type_t};

use super::error::Trouble;
use super::headers::Headers;
use super::ids::Id;
use super::links::{self, Link, LinkKind, Object};
use super::plan::{self, Found, Types};
use super::{Child, Dataset, Group, Inventory, Options, Skip, attributes, file};
use crate::error::{Error, Kind, Result};

/// Groups within groups are followed so far.
const MAX_DEPTH: usize = 300;

/// More paths than this are taken for an attack: groups linked many times over.
const MAX_PATHS: usize = 2_000_000;

/// The name by which readers of the metadata tell an array from a group.
const RESERVED: &str = "shm_name";

type Key = (u64, [u8; 16]);

/// A dataset that was met before.
enum Known {
    Planned(usize),
    Failed(Trouble),
}

struct Walk<'a> {
    options: Options<'a>,
    inventory: Inventory,
    /// File number to index among the open files, and name.
    files: HashMap<u64, (usize, PathBuf)>,
    /// How headers of one of the open files are read around the library, if they can be: of the one that
    /// was last looked into, for a file may link to thousands.
    headers: Option<(usize, Option<Headers>)>,
    known: HashMap<Key, Known>,
    ancestors: Vec<Key>,
    types: Types,
    paths: usize,
}

/// A group on the way, and which of its links are still to be followed.
struct Here {
    id: Id,
    object: Object,
    file: usize,
    name: String,
    path: String,
    links: std::vec::IntoIter<Link>,
    group: Group,
}

/// What a link leads to, when it is followed.
enum Step {
    Into(Box<Here>),
    Dataset(String, usize),
    /// A dataset that is not selected.
    Unwanted,
}

/// Looks through the open `file` from its root.
pub(super) fn walk(path: &Path, file: Id, options: Options) -> Result<Inventory> {
    let inventory = Inventory {
        root: Group::default(),
        datasets: Vec::new(),
        skips: Vec::new(),
        damaged: Vec::new(),
        sources: Vec::new(),
        files: Vec::new(),
    };
    let mut walk = Walk {
        options,
        inventory,
        files: HashMap::new(),
        headers: None,
        known: HashMap::new(),
        ancestors: Vec::new(),
        types: Types::default(),
        paths: 0,
    };
    walk.add_source(path.to_owned());
    (walk.options.seen)("/");
    let root = links::root(&file).and_then(|root| Ok((links::object(&root)?, root)));
    let (object, root) = root.map_err(|trouble| {
        let (shown, reason) = (path.display(), trouble.into_reason());
        Error::new(Kind::Corrupt, format!("cannot open '{shown}': {reason}"))
            .about(shown.to_string())
    })?;
    drop(file);
    walk.inventory.root = walk.tree(root, object)?;
    Ok(walk.inventory)
}

impl Walk<'_> {
    /// Goes through all groups from `root` on; without recursion, so that depth costs no stack.
    fn tree(&mut self, root: Id, object: Object) -> Result<Group> {
        let mut way = Vec::new();
        let mut here = self.enter(root, object, String::new(), String::new())?;
        loop {
            if let Some(link) = here.links.next() {
                match self.link(&here, &link)? {
                    Some(Step::Into(below)) => way.push(std::mem::replace(&mut here, *below)),
                    Some(Step::Dataset(name, index)) => {
                        here.group.children.insert(name, Child::Dataset(index));
                    }
                    Some(Step::Unwanted) | None => {}
                }
                continue;
            }
            self.ancestors.pop();
            let Some(above) = way.pop() else { return Ok(here.group) };
            let Here { name, group, .. } = std::mem::replace(&mut here, above);
            here.group.children.insert(name, Child::Group(group));
        }
    }

    /// Reads a group's attributes and links; one that cannot be listed has none.
    fn enter(&mut self, id: Id, object: Object, name: String, path: String) -> Result<Here> {
        let group = Group { attrs: attributes::read(&id), ..Group::default() };
        let listed = self.file(&id, object).and_then(|(file, _)| Ok((file, links::list(&id)?)));
        let (file, links) = match listed {
            Ok(listed) => listed,
            Err(trouble) => {
                self.note(&path, trouble)?;
                (0, Vec::new())
            }
        };
        self.ancestors.push(object.key);
        Ok(Here { id, object, file, name, path, links: links.into_iter(), group })
    }

    /// Follows one link; what is not followed is noted.
    fn link(&mut self, here: &Here, link: &Link) -> Result<Option<Step>> {
        self.paths += 1;
        if self.paths > MAX_PATHS {
            let text = format!("more than {MAX_PATHS} paths: groups are linked many times over");
            return Err(Error::new(Kind::Corrupt, text));
        }
        let path = format!("{}/{}", here.path, link.name.to_string_lossy());
        (self.options.seen)(&path);
        let Ok(name) = link.name.to_str() else {
            return self.skip(path, "the name is not UTF-8").map(|()| None);
        };
        if here.group.children.contains_key(name) {
            return self.skip(path, "a second link of that name").map(|()| None);
        }
        if let Some(step) = self.plain(here, link, name, &path) {
            return Ok(Some(step));
        }
        let (id, object) = match open(here, link) {
            Ok(opened) => opened,
            Err(trouble) => return self.note(&path, trouble).map(|()| None),
        };
        match object.kind {
            H5O_type_t::H5O_TYPE_GROUP => self.subgroup(id, object, path, name),
            H5O_type_t::H5O_TYPE_DATASET => {
                let index = self.dataset(here, id, object, &path, link)?;
                Ok(index.map(|index| Step::Dataset(name.to_owned(), index)))
            }
            _ => Ok(None),
        }
    }

    fn subgroup(
        &mut self,
        id: Id,
        object: Object,
        path: String,
        name: &str,
    ) -> Result<Option<Step>> {
        if self.ancestors.contains(&object.key) {
            return self.skip(path, "link back to an ancestor group").map(|()| None);
        }
        if self.ancestors.len() >= MAX_DEPTH {
            let reason = format!("groups nested deeper than {MAX_DEPTH}");
            return self.skip(path, reason).map(|()| None);
        }
        if self.is_reserved(name) {
            return self.skip(path, reserved()).map(|()| None);
        }
        self.enter(id, object, name.to_owned(), path).map(|here| Some(Step::Into(Box::new(here))))
    }

    /// Only the top level may use the name: there the caller decides.
    fn is_reserved(&self, name: &str) -> bool {
        name == RESERVED && self.ancestors.len() > 1
    }

    /// A dataset of which its header tells all is planned without the library.
    fn plain(&mut self, here: &Here, link: &Link, name: &str, path: &str) -> Option<Step> {
        let LinkKind::Hard(token) = link.kind else { return None };
        let key = (here.object.key.0, links::bytes(token));
        if name == RESERVED || self.known.contains_key(&key) {
            return None;
        }
        let plain = headers(&mut self.headers, &self.inventory.files, here.file)?.plain(token)?;
        let kind = self.types.of_message(plain.kind)?;
        if !(self.options.select)(path) {
            return Some(Step::Unwanted);
        }
        let dataset = plan::plan_plain(&plain, (path, here.file, token), kind, self.options.rows)?;
        self.inventory.datasets.push(dataset);
        let index = self.inventory.datasets.len() - 1;
        self.known.insert(key, Known::Planned(index));
        Some(Step::Dataset(name.to_owned(), index))
    }

    /// Remembers the type of a dataset that the library planned, if its header says the same.
    fn learn(&mut self, token: H5O_token_t, dataset: &Dataset) -> Option<()> {
        dataset.raw_offset()?;
        let open = headers(&mut self.headers, &self.inventory.files, dataset.file())?;
        let plain = open.plain(token)?;
        self.types.learn(&plain, dataset, self.options.rows)
    }

    fn dataset(
        &mut self,
        here: &Here,
        id: Id,
        object: Object,
        path: &str,
        link: &Link,
    ) -> Result<Option<usize>> {
        if !(self.options.select)(path) {
            return Ok(None);
        }
        if link.name.to_str().is_ok_and(|name| self.is_reserved(name)) {
            return self.skip(path, reserved()).map(|()| None);
        }
        match self.known.get(&object.key) {
            Some(Known::Planned(index)) => return Ok(Some(*index)),
            Some(Known::Failed(trouble)) => {
                let trouble = trouble.clone();
                return self.note(path, trouble).map(|()| None);
            }
            None => {}
        }
        match self.plan(here, id, object, path, link) {
            Ok(index) => {
                self.known.insert(object.key, Known::Planned(index));
                Ok(Some(index))
            }
            Err(trouble) => {
                self.known.insert(object.key, Known::Failed(trouble.clone()));
                self.note(path, trouble).map(|()| None)
            }
        }
    }

    fn plan(
        &mut self,
        here: &Here,
        id: Id,
        object: Object,
        path: &str,
        link: &Link,
    ) -> std::result::Result<usize, Trouble> {
        let file = self.file(&id, object)?;
        let link = (here.object.token, here.file, link.name.clone());
        let found = Found { id, path, file, token: object.token, link };
        let open = (&self.inventory.files[..], &mut self.types);
        let (dataset, sources) = plan::plan(found, open, self.options.rows, self.options.seen)?;
        self.learn(object.token, &dataset);
        self.inventory.skips.extend(dataset.skipped_fields.iter().cloned());
        for source in sources {
            self.add_source(source);
        }
        self.inventory.datasets.push(dataset);
        Ok(self.inventory.datasets.len() - 1)
    }

    /// The index and name of an object's file, which stays open from now on.
    fn file(&mut self, id: &Id, object: Object) -> std::result::Result<(usize, PathBuf), Trouble> {
        if let Some(known) = self.files.get(&object.key.0) {
            return Ok(known.clone());
        }
        let file = links::file_of(id)?;
        let name = file::name(id)?;
        self.add_source(name.clone());
        let entry = (self.inventory.files.len(), name);
        self.inventory.files.push(file);
        self.files.insert(object.key.0, entry.clone());
        Ok(entry)
    }

    fn add_source(&mut self, path: PathBuf) {
        let path = path.canonicalize().unwrap_or(path);
        if !self.inventory.sources.contains(&path) {
            self.inventory.sources.push(path);
        }
    }

    #[allow(clippy::unnecessary_wraps)] // as `note`, of which it is the harmless half
    fn skip(&mut self, path: impl Into<String>, reason: impl Into<String>) -> Result<()> {
        self.inventory.skips.push(Skip { path: path.into(), reason: reason.into() });
        Ok(())
    }

    /// Notes why a path is not loaded; what is unreadable ends the walk unless it shall go on.
    fn note(&mut self, path: &str, trouble: Trouble) -> Result<()> {
        let path = if path.is_empty() { "/" } else { path };
        match trouble {
            Trouble::Unsupported(reason) => self.skip(path, reason),
            Trouble::Damaged(reason) if self.options.keep_going => {
                self.inventory.damaged.push(Skip { path: path.to_owned(), reason });
                Ok(())
            }
            Trouble::Damaged(reason) => {
                let text = format!("cannot read '{path}': {reason}");
                Err(Error::new(Kind::Corrupt, text).about(path))
            }
        }
    }
}

/// The headers of file number `number`; the file that was looked into before is closed.
fn headers<'w>(
    of: &'w mut Option<(usize, Option<Headers>)>,
    files: &[Id],
    number: usize,
) -> Option<&'w mut Headers> {
    if of.as_ref().is_none_or(|(open, _)| *open != number) {
        let opened = files.get(number).and_then(|file| {
            let root = links::root(file).and_then(|root| links::object(&root)).ok()?;
            Headers::open(file, root.token)
        });
        *of = Some((number, opened));
    }
    of.as_mut()?.1.as_mut()
}

/// Opens what a link leads to; a soft or external one that leads nowhere is only skipped.
fn open(here: &Here, link: &Link) -> std::result::Result<(Id, Object), Trouble> {
    let sort = match link.kind {
        LinkKind::User(number) => {
            let text = format!("user-defined link of type {number}");
            return Err(Trouble::Unsupported(text));
        }
        LinkKind::Hard(_) => "",
        LinkKind::Soft => "soft",
        LinkKind::External => "external",
    };
    let id = match link.open(&here.id) {
        Err(trouble) if !sort.is_empty() => {
            let (reason, target) = (trouble.into_reason(), link.target(&here.id));
            // That says nothing about the link: what it leads to may not be missed without a word.
            if let Some(lack) = lack_of_descriptors() {
                return Err(Trouble::Damaged(format!("cannot open '{target}': {lack}")));
            }
            return Err(Trouble::Unsupported(describe(sort, &target, &reason)));
        }
        opened => opened?,
    };
    let object = links::object(&id)?;
    Ok((id, object))
}

/// Whether nothing can be opened any more: the library does not tell.
fn lack_of_descriptors() -> Option<std::io::Error> {
    let error = std::fs::File::open("/dev/null").err()?;
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)).then_some(error)
}

fn reserved() -> String {
    format!("the name '{RESERVED}' would mislead every reader")
}

/// Why a soft or external link leads nowhere.
fn describe(sort: &str, target: &str, reason: &str) -> String {
    if reason.contains("doesn't exist") || reason.contains("not found") {
        return format!("dangling {sort} link to '{target}'");
    }
    format!("{sort} link to '{target}' cannot be followed: {reason}")
}
