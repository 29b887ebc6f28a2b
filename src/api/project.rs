//! An attached project: its tree, and its arrays by path.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use nix::fcntl::OFlag;

use super::array::Array;
use super::filelock::{FileLock, Hold};
use super::guards::{Reading, Writing};
use super::node::Node;
use crate::shm::metadata::{self, Group, Metadata};
use crate::shm::name::{ProjectName, SegmentName};
use crate::shm::place::Place;
use crate::shm::shared::Segment;
use crate::shm::state::{self, METADATA_LIMIT};
use crate::{Error, Kind, Result};

/// An attached project, made by [`Node::open`]: the tree of its arrays, and their memory. The memory
/// stays as long as this value does, also when somebody unlinks or replaces the project meanwhile.
///
/// # Reading what others may write
/// Any process of the same user can write to a segment at any time, and a Rust slice must not change
/// under its reader. So there are three ways to the elements, each with what makes it sound:
///
/// | way | what makes it sound |
/// |---|---|
/// | [`Array::to_vec`], [`Array::to_array`] | nothing is needed: every word is read once, volatile, into memory of your own; a writer at work leaves a mixture of old and new elements |
/// | [`Self::read_locked`], [`Self::write_locked`] | two locks: the lock file that you name, which Python's `filelock` takes too, and one on the project itself, so that all Rust programs, and all threads of this one, keep out of each other's way whatever lock file they name |
/// | [`Self::assume_unchanged`], [`Self::assume_exclusive`] | your promise, in an `unsafe` block |
///
/// Locks are advisory: a program in another language that writes without taking the lock file is
/// beyond what any library can refuse, as is one that writes to `/proc/PID/mem`.
/// A process that shortens a segment makes readers die of SIGBUS; neither this crate nor the Python
/// package ever does that.
///
/// # Errors
/// Opening fails with [`Kind::NotFound`] when there is no such project, or segments of it are gone;
/// [`Kind::Corrupt`] for metadata that is no TOML of the format, names segments of another project, or
/// segments of another user; [`Kind::Permission`] when we may not read them.
///
/// # Examples
/// ```
/// use cute_shm::{Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// let mut tree = Tree::new();
/// tree.array("b/b1", &[1.0_f32, 2.0])?.attr("units", "m");
/// let guard = node.share("demo").hold(&tree)?;
///
/// let project = node.open("demo")?;
/// for array in project.arrays() {
///     println!("{} {:?} {}", array.path(), array.shape(), array.dtype());
/// }
/// let b1 = project.array("/b/b1")?;
/// assert_eq!(b1.attrs()["units"].as_str(), Some("m"));
/// assert_eq!(b1.to_vec::<f32>()?, [1.0, 2.0]);
/// assert!(project.array("b.b1").is_ok(), "dots do as well");
/// assert!(b1.to_vec::<f64>().is_err());
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug)]
pub struct Project {
    name: ProjectName,
    place: Place,
    file: File,
    text: String,
    root: Group,
    segments: HashMap<String, Segment>,
}

/// What a name in a group stands for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Entry<'p> {
    /// A nested group.
    Group(GroupRef<'p>),
    /// An array.
    Array(Array<'p>),
}

/// A group of an attached project.
#[derive(Debug, Clone, Copy)]
pub struct GroupRef<'p> {
    project: &'p Project,
    group: &'p Group,
}

impl Project {
    pub(super) fn open(node: &Node, name: &ProjectName) -> Result<Self> {
        // A project that is replaced while we attach it has other metadata by now: that is then the one.
        let mut before = None;
        loop {
            let place = Place::open(node.paths())?;
            let Some((file, text, uid)) = read(&place, name)? else {
                return Err(why_not(&place, name, "it has no metadata"));
            };
            match attach(&place, name, &text, uid)? {
                Ok((root, segments)) => {
                    log::debug!(target: "cute_shm", "attached project '{name}': {} segments", segments.len());
                    return Ok(Self { name: name.clone(), place, file, text, root, segments });
                }
                Err(gone) if before.as_ref() == Some(&text) => {
                    return Err(why_not(&place, name, &format!("its segment '{gone}' is gone")));
                }
                Err(_) => before = Some(text),
            }
        }
    }

    /// The project's name; what is no UTF-8 in it is replaced.
    pub fn name(&self) -> String {
        self.name.to_text()
    }

    /// The top-level groups and arrays.
    pub fn root(&self) -> GroupRef<'_> {
        GroupRef { project: self, group: &self.root }
    }

    /// Every array with its path, in the order of the metadata.
    pub fn arrays(&self) -> Vec<Array<'_>> {
        let mut found = Vec::with_capacity(self.segments.len());
        self.root().collect("", &mut found);
        found
    }

    /// The array at `path`: names with `/` between them and, if there is none, with dots.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none; a group is none.
    pub fn array(&self, path: &str) -> Result<Array<'_>> {
        match self.get(path) {
            Some(Entry::Array(array)) => Ok(array),
            found => {
                let name = self.name();
                let what =
                    if found.is_some() { "is a group, not an array," } else { "is not there" };
                Err(Error::new(Kind::NotFound, format!("'{path}' {what} in project '{name}'"))
                    .about(path))
            }
        }
    }

    /// The group or array at `path`, as for [`Self::array`].
    pub fn get(&self, path: &str) -> Option<Entry<'_>> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let (found, node) =
            ['/', '.'].into_iter().find_map(|sep| lookup(&self.root, inner, sep))?;
        Some(self.entry(found, node))
    }

    fn entry<'p>(&'p self, path: String, node: &'p metadata::Node) -> Entry<'p> {
        match node {
            metadata::Node::Group(group) => Entry::Group(GroupRef { project: self, group }),
            metadata::Node::Array(meta) => Entry::Array(Array::new(path, meta, self.segment(meta))),
        }
    }

    fn segment(&self, meta: &metadata::Array) -> &Segment {
        &self.segments[&meta.segment]
    }

    /// The memory of an array of this project.
    pub(super) fn segment_of(&self, array: &Array<'_>) -> &Segment {
        &self.segments[array.segment()]
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Views that are read-only, while no program that takes `lock`, and no Rust program that uses this
    /// crate, writes. Several may hold it at a time. Waits for at most `limit`.
    ///
    /// # Errors
    /// [`Kind::Busy`] when somebody writes for that long; as the system says.
    pub fn read_locked(&self, lock: &FileLock, limit: Duration) -> Result<Reading<'_>> {
        Ok(Reading::new(self, Some(Hold::take(lock, &self.file, false, limit)?)))
    }

    /// Views that may be written, while no program that takes `lock`, and no Rust program that uses this
    /// crate, reads or writes under its lock. Waits for at most `limit`.
    ///
    /// # Errors
    /// As [`Self::read_locked`].
    pub fn write_locked(&self, lock: &FileLock, limit: Duration) -> Result<Writing<'_>> {
        Ok(Writing::new(self, Some(Hold::take(lock, &self.file, true, limit)?)))
    }

    /// Views that are read-only, without a lock: for arrays that are written once and then only read.
    ///
    /// # Safety
    /// You promise that as long as the guard lives nobody, in this process or another, writes to the
    /// project's segments or shortens them.
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(&self) -> Reading<'_> {
        Reading::new(self, None)
    }

    /// Views that may be written, without a lock.
    ///
    /// # Safety
    /// You promise that as long as the guard lives nobody else, in this process or another, reads or
    /// writes the project's segments through anything but [`Array::to_vec`] and the like, or shortens them.
    #[allow(unsafe_code)]
    pub unsafe fn assume_exclusive(&self) -> Writing<'_> {
        Writing::new(self, None)
    }

    /// Whether the project of that name is still the one that was attached: false once it was replaced
    /// or removed.
    ///
    /// # Errors
    /// As the system says.
    pub fn is_current(&self) -> Result<bool> {
        Ok(read(&self.place, &self.name)?.is_some_and(|(_, text, _)| text == self.text))
    }
}

impl<'p> GroupRef<'p> {
    /// The names in it with what they stand for, in the order of the metadata. Paths of arrays begin at
    /// this group.
    pub fn entries(self) -> impl ExactSizeIterator<Item = (&'p str, Entry<'p>)> {
        let entry = move |(name, node): (&'p String, &'p metadata::Node)| {
            (name.as_str(), self.project.entry(format!("/{name}"), node))
        };
        self.group.iter().map(entry)
    }

    fn collect(self, path: &str, found: &mut Vec<Array<'p>>) {
        for (name, node) in self.group {
            let path = format!("{path}/{name}");
            match self.project.entry(path.clone(), node) {
                Entry::Array(array) => found.push(array),
                Entry::Group(group) => group.collect(&path, found),
            }
        }
    }
}

/// The node at `path` with its path in slashes. A name may hold the separator: the shortest comes first.
fn lookup<'g>(
    group: &'g Group,
    path: &str,
    separator: char,
) -> Option<(String, &'g metadata::Node)> {
    if let Some((name, node)) = group.get_key_value(path) {
        return Some((format!("/{name}"), node));
    }
    path.match_indices(separator).find_map(|(at, _)| {
        let metadata::Node::Group(inner) = group.get(&path[..at])? else { return None };
        let (rest, node) = lookup(inner, &path[at + 1..], separator)?;
        Some((format!("/{}{rest}", &path[..at]), node))
    })
}

type Read = (File, String, u32);

/// The metadata file, its text and its owner; `None` when it is not there.
fn read(place: &Place, name: &ProjectName) -> Result<Option<Read>> {
    let Some(root) = &place.root else { return Ok(None) };
    let Some((mut file, stat)) = root.open_file(&name.metadata_file(), OFlag::O_RDONLY)? else {
        return Ok(None);
    };
    let mut text = String::new();
    (&mut file)
        .take(METADATA_LIMIT)
        .read_to_string(&mut text)
        .map_err(|e| Error::io(format!("cannot read the metadata of '{name}'"), e))?;
    Ok(Some((file, text, stat.st_uid)))
}

type Attached = (Group, HashMap<String, Segment>);

/// Attaches every segment, or says which is gone.
fn attach(
    place: &Place,
    name: &ProjectName,
    text: &str,
    uid: u32,
) -> Result<std::result::Result<Attached, String>> {
    let corrupt = |why: String| {
        Error::new(Kind::Corrupt, format!("project '{name}' is corrupt: {why}"))
            .about(name.to_text())
    };
    let metadata = Metadata::parse(text).map_err(corrupt)?;
    let mut segments = HashMap::new();
    for (path, array) in metadata.arrays() {
        let path = || path.join("/");
        let bytes = array.nbytes().ok_or_else(|| {
            corrupt(format!("the size of '/{}' ({}) is not known", path(), array.dtype))
        })?;
        let there: Option<&Segment> = segments.get(&array.segment);
        match there {
            Some(there) if there.len() as u64 == bytes => continue,
            Some(_) => return Err(corrupt(format!("'/{}' shares a segment with another", path()))),
            None => {}
        }
        let segment = SegmentName::parse_for(name, array.segment.as_ref())
            .ok_or_else(|| corrupt(format!("'/{}' names no segment of it", path())))?;
        match Segment::attach(&place.shm, &segment, bytes, uid)? {
            Some(found) => drop(segments.insert(array.segment.clone(), found)),
            None => return Ok(Err(array.segment.clone())),
        }
    }
    Ok(Ok((metadata.root, segments)))
}

/// Why a project cannot be attached, in the words of the one judge.
fn why_not(place: &Place, name: &ProjectName, otherwise: &str) -> Error {
    let judged = state::find(place, name);
    let project = match judged {
        Ok(project) => project,
        Err(error) => return error,
    };
    let why = project.why.as_deref().unwrap_or(otherwise);
    let message = format!("project '{name}' cannot be attached, it is {}: {why}", project.state);
    Error::new(Kind::NotFound, message).about(name.to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_separators_are_found() {
        let text = "[a.b]\n[a.'c/d'.x]\n['a.b'.y]\n";
        let root = Metadata::parse(text).unwrap().root;
        let find = |path, sep| lookup(&root, path, sep).map(|found| found.0);
        assert_eq!(find("a/b", '/').as_deref(), Some("/a/b"));
        assert_eq!(find("a/c/d/x", '/').as_deref(), Some("/a/c/d/x"));
        assert_eq!(find("a.b.y", '.').as_deref(), Some("/a.b/y"));
        assert_eq!(find("a.b", '.').as_deref(), Some("/a.b"));
        assert_eq!(find("a/x", '/'), None);
        assert_eq!(find("", '/'), None);
    }
}
