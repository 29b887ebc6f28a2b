//! From shared memory to files: HDF5 as it was, numpy's npy and npz, and safetensors. Nothing is
//! printed here; who calls decides what is selected and where it goes.

mod choice;
mod copy;
mod deflate;
mod durable;
mod hdf5;
mod npy;
mod npz;
mod origin;
mod safetensors;
mod sink;
mod source;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

pub use choice::Choice;
pub use sink::{Sink, Target};
use source::Source;

use numpy_dtype::Dtype;

use crate::error::{Error, Kind, Result};
use crate::os::directory::Directory;
use crate::shm::format::ledger::Note;
use crate::shm::format::origin::Origin;
use crate::shm::format::tree::{Array, Group, Node, arrays};
use crate::shm::segment::published::PublishedSegment;

/// Bytes that are moved at once: they stay in the processor's cache between read and write.
const PIECE: usize = 1 << 20;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// HDF5: groups, types and attributes as they were.
    Hdf5,
    /// numpy's archive of many arrays.
    Npz,
    /// numpy's file of one array.
    Npy,
    /// Tensors for machine learning.
    Safetensors,
}

impl Format {
    /// The format that a file name's suffix tells.
    pub fn of(path: &Path) -> Option<Self> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match suffix.as_str() {
            "h5" | "hdf5" | "hdf" | "he5" | "nc" | "mat" | "h5ad" => Self::Hdf5,
            "npz" => Self::Npz,
            "npy" => Self::Npy,
            "safetensors" => Self::Safetensors,
            _ => return None,
        })
    }

    /// Its word on the command line and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hdf5 => "hdf5",
            Self::Npz => "npz",
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
        }
    }
}

/// What is to be written.
#[derive(Debug)]
pub struct Content<'a> {
    /// Where the segments are.
    pub shm: &'a Directory,
    /// The selected groups and arrays.
    pub root: Group,
    /// What the ledger keeps of the sources, where it may be believed.
    pub origin: Option<Origin>,
    /// Committed datatypes that are selected, or used by selected objects and their attributes: indices into
    /// those of `origin`.
    pub named_types: BTreeSet<usize>,
    /// Attributes of groups by path, as TOML has them.
    pub group_attrs: toml::Table,
    /// Names of the groups that whole files became.
    pub source_groups: Vec<String>,
    /// The level of deflate, for HDF5.
    pub gzip: Option<u8>,
    /// What the load could not take, of what is selected.
    pub left_out: Vec<Note>,
    /// Segments that are open already, by name: they stay what they are when the project is replaced.
    pub held: HashMap<String, Arc<PublishedSegment>>,
}

/// Told of bytes that were written; an error from it ends the export.
pub type Advance<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// Keeps of `group` what is below `prefix` (`/a/b`, or `/`) and what `takes` wants.
pub fn select(group: &Group, prefix: &str, takes: &dyn Fn(&str) -> bool) -> Group {
    select_below(group, "", prefix, takes)
}

/// Whether `path` is `prefix` or below it.
pub fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    prefix == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn select_below(group: &Group, path: &str, prefix: &str, takes: &dyn Fn(&str) -> bool) -> Group {
    let mut kept = Group::new();
    for (name, node) in group {
        let path = format!("{path}/{name}");
        match node {
            Node::Array(array) if is_below(&path, prefix) && takes(&path) => {
                kept.insert(name.clone(), Node::Array(array.clone()));
            }
            Node::Array(_) => {}
            Node::Group(inner) => {
                let below = select_below(inner, &path, prefix, takes);
                // A group that was empty before is kept; one that became empty is not.
                if !below.is_empty()
                    || (inner.is_empty() && is_below(&path, prefix) && takes(&path))
                {
                    kept.insert(name.clone(), Node::Group(below));
                }
            }
        }
    }
    kept
}

/// Removes the arrays for which `keep` returns false; `path` has no leading slash.
fn retain(group: &mut Group, path: &str, keep: &mut dyn FnMut(&str, &Array) -> bool) {
    group.retain(|name, node| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        match node {
            Node::Array(array) => keep(&path, array),
            Node::Group(inner) => {
                retain(inner, &path, keep);
                true
            }
        }
    });
}

impl Content<'_> {
    /// Every array with its path, without the leading slash.
    pub fn arrays(&self) -> Vec<(String, &Array)> {
        let without_slash = |(path, array): (String, _)| (path[1..].to_owned(), array);
        arrays(&self.root).into_iter().map(without_slash).collect()
    }

    /// Removes every array for which `reason` returns a reason, and all but the first of those with the same
    /// path. Returns a note for each.
    fn leave_out(&mut self, reason: impl Fn(&str, &Array, &Dtype) -> Option<String>) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut kept = HashSet::new();
        retain(&mut self.root, "", &mut |path, array| {
            let why = match Dtype::parse(&array.dtype).filter(|_| array.nbytes().is_some()) {
                Some(_) if kept.contains(path) => {
                    Some("another array has the same path".to_owned())
                }
                Some(dtype) => reason(path, array, &dtype),
                None => Some(format!("unknown dtype '{}'", array.dtype)),
            };
            match why {
                Some(reason) => notes.push(Note::new(format!("/{path}"), reason)),
                None => return kept.insert(path.to_owned()),
            }
            false
        });
        notes
    }

    /// Bytes of all arrays, aliases once.
    pub fn bytes(&self) -> u64 {
        let arrays = self.arrays();
        let by_segment: HashMap<_, _> =
            arrays.iter().map(|(_, array)| (&array.segment, array.nbytes().unwrap_or(0))).collect();
        by_segment.values().sum()
    }

    /// Opens the segments, so that all are of one version of the project however long the export takes;
    /// `most` at most, for each takes a file descriptor. What else is wrong with one is told at its turn.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when one is gone already.
    pub fn hold(&mut self, most: usize) -> Result<()> {
        let mut held = HashMap::new();
        for (_, array) in self.arrays() {
            if held.len() >= most {
                break;
            }
            if held.contains_key(&array.segment) {
                continue;
            }
            match PublishedSegment::open(self.shm, array) {
                Ok(segment) => drop(held.insert(array.segment.clone(), Arc::new(segment))),
                Err(error) if error.kind() == Kind::NotFound => return Err(error),
                Err(_) => {}
            }
        }
        self.held = held;
        Ok(())
    }

    fn open(&self, path: &str, array: &Array) -> Result<Arc<PublishedSegment>> {
        if let Some(held) = self.held.get(&array.segment) {
            return Ok(Arc::clone(held));
        }
        PublishedSegment::open(self.shm, array).map(Arc::new).map_err(|error| match error.kind() {
            Kind::Unsupported => error.with_subject(format!("/{path}")),
            _ => error,
        })
    }

    /// Attributes of a group or of a compound, as TOML has them.
    fn group_attrs(&self, path: &str) -> impl Iterator<Item = (&String, &toml::Value)> {
        self.group_attrs.get(path).and_then(toml::Value::as_table).into_iter().flatten()
    }

    fn source(&self, path: &str, array: &Array) -> Result<Source> {
        self.open(path, array).map(Source::Segment)
    }
}

/// Writes `content` to `target` in this format. Removes the arrays that the format cannot represent from
/// `content`. Returns a note for each of them, and for everything else that the file does not restore.
///
/// # Errors
/// Returns [`Kind::Unsupported`] if anything is left out and `strict` is set, or if the only array cannot be
/// written as npy; [`Kind::Io`] and others if a system call fails. The target is then unchanged, unless it is
/// a stream.
pub fn export(
    content: &mut Content,
    format: Format,
    strict: bool,
    target: &mut Target,
    advance: Advance,
) -> Result<Vec<Note>> {
    let refuse = |notes: &[Note]| match notes {
        [first, ..] if strict => Err(refused(first, notes.len())),
        _ => Ok(()),
    };
    let notes = match format {
        Format::Hdf5 => {
            let (notes, skipped) = target.with_file(|path, spot| {
                let written = hdf5::write(content, path, spot, advance)?;
                refuse(&written.0).map(|()| written)
            })?;
            retain(&mut content.root, "", &mut |path, _| !skipped.contains(path));
            notes
        }
        Format::Npy => {
            npy::write(content, target.sink(), advance)?;
            Vec::new()
        }
        Format::Npz => {
            let notes = content.leave_out(npz::reason);
            refuse(&notes)?;
            npz::write(content, target.sink(), advance)?;
            notes
        }
        Format::Safetensors => {
            let notes = content.leave_out(safetensors::reason);
            refuse(&notes)?;
            safetensors::write(content, target.sink(), advance)?;
            notes
        }
    };
    Ok(notes)
}

/// The error of a strict export that leaves out `count` objects.
fn refused(first: &Note, count: usize) -> Error {
    let more = match count - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!("'{}' cannot be exported: {}{more}", first.path, first.reason);
    Error::new(Kind::Unsupported, message)
        .with_subject(&first.path)
        .with_hint("leave it out with --exclude, or omit --strict")
}

/// The error of an array that a format cannot represent.
fn lacks(format: &str, path: &str, array: &Array) -> Error {
    let message = format!("'/{path}' cannot be written: {}", no_dtype(format, array));
    Error::new(Kind::Unsupported, message)
        .with_subject(format!("/{path}"))
        .with_hint("leave it out with --exclude, or export to hdf5 or npz")
}

fn no_dtype(format: &str, array: &Array) -> String {
    format!("{format} has no dtype '{}'", array.dtype)
}
