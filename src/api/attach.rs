//! Attaching a project: its metadata file, and a mapping of every segment.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use indexmap::IndexMap;
use nix::fcntl::OFlag;

use crate::error::{Error, Kind, Result};
use crate::os::threads;
use crate::shm::format::metadata::METADATA_LIMIT;
use crate::shm::format::metadata::Metadata;
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::tree::Group;
use crate::shm::segment::attached::Segment;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state;

/// A thread of its own is worth its start for so many segments.
const PER_THREAD: usize = 500;

pub(super) type Read = (File, String, u32);

/// The metadata file, its text and its owner; `None` when it is not there.
pub(super) fn read(dirs: &NodeDirs, name: &ProjectName) -> Result<Option<Read>> {
    let Some(root) = &dirs.root else { return Ok(None) };
    let Some((mut file, stat)) = root.open_file(&name.metadata_file(), OFlag::O_RDONLY).known()?
    else {
        return Ok(None);
    };
    let mut text = String::new();
    (&mut file)
        .take(METADATA_LIMIT)
        .read_to_string(&mut text)
        .map_err(|e| Error::io(format!("cannot read the metadata of '{name}'"), e))?;
    Ok(Some((file, text, stat.st_uid)))
}

/// The tree of a project and its memory.
pub(super) struct Attached {
    pub root: Group,
    pub segments: HashMap<String, Segment>,
    /// The first segment by name: the one file that stands for this memory, whoever writes the metadata
    /// anew (`gc --repair` does). `None` when there are no arrays.
    pub first: Option<File>,
}

/// Attaches every segment, or says which is gone.
pub(super) fn attach(
    dirs: &NodeDirs,
    name: &ProjectName,
    text: &str,
    uid: u32,
) -> Result<std::result::Result<Attached, String>> {
    let metadata = Metadata::parse(text).map_err(|why| corrupt(name, &why))?;
    let wanted: Vec<_> = wanted(name, &metadata)?.into_iter().collect();
    let mapped = threads::each(&wanted, PER_THREAD, |(_, share)| share.map(dirs, uid));
    let mut segments = HashMap::with_capacity(wanted.len());
    for ((name, _), segment) in wanted.into_iter().zip(mapped) {
        match segment? {
            Some(segment) => drop(segments.insert(name.to_owned(), segment)),
            None => return Ok(Err(name.to_owned())),
        }
    }
    let mut first = None;
    if let Some((name, segment)) = segments.iter().min_by_key(|(name, _)| *name) {
        first = segment.open(&dirs.shm)?;
        if first.is_none() {
            return Ok(Err(name.to_owned()));
        }
    }
    Ok(Ok(Attached { root: metadata.root, segments, first }))
}

/// A segment that the metadata names, and how many bytes of it are an array.
struct Share {
    name: SegmentName,
    bytes: u64,
}

impl Share {
    fn map(&self, dirs: &NodeDirs, uid: u32) -> Result<Option<Segment>> {
        Segment::attach(&dirs.shm, &self.name, self.bytes, uid)
    }
}

/// Every segment once, in the order of the metadata.
fn wanted<'m>(name: &ProjectName, metadata: &'m Metadata) -> Result<IndexMap<&'m str, Share>> {
    let leaves = metadata.leaves();
    let mut wanted: IndexMap<&str, Share> = IndexMap::with_capacity(leaves.len());
    for (number, array) in leaves.into_iter().enumerate() {
        let wrong = |before: &str, after: &str| {
            let path = metadata.arrays().get(number).map_or_else(String::new, |a| a.0.join("/"));
            corrupt(name, &format!("{before}'/{path}'{after}"))
        };
        let Some(bytes) = array.nbytes() else {
            return Err(wrong("the size of ", &format!(" ({}) is not known", array.dtype)));
        };
        match wanted.get(array.segment.as_str()) {
            Some(there) if there.bytes == bytes => continue,
            Some(_) => return Err(wrong("", " shares a segment with another")),
            None => {}
        }
        let segment = SegmentName::parse_for(name, array.segment.as_ref())
            .ok_or_else(|| wrong("", " names no segment of it"))?;
        wanted.insert(&array.segment, Share { name: segment, bytes });
    }
    Ok(wanted)
}

fn corrupt(name: &ProjectName, why: &str) -> Error {
    Error::new(Kind::Corrupt, format!("project '{name}' is corrupt: {why}"))
        .with_subject(name.to_text())
}

/// Why a project cannot be attached, in the words of the one judge.
pub(super) fn why_not(dirs: &NodeDirs, name: &ProjectName, otherwise: &str) -> Error {
    let judged = state::find(dirs, name);
    let project = match judged {
        Ok(project) => project,
        Err(error) => return error,
    };
    let why = project.why.as_deref().unwrap_or(otherwise);
    let message = format!("project '{name}' cannot be attached, it is {}: {why}", project.state);
    Error::new(Kind::NotFound, message).with_subject(name.to_text())
}
