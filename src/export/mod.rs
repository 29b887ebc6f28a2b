//! From shared memory to files: HDF5 as it was, numpy's npy and npz, and safetensors. Nothing is
//! printed here; who calls decides what is selected and where it goes.

mod choice;
mod copy;
mod deflate;
mod durable;
mod hdf5;
mod npy;
mod npz;
mod safetensors;
mod sink;
mod source;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use choice::Choice;
pub use sink::{Sink, Target};
use source::Source;

use crate::shm::directory::Directory;
use crate::shm::extras::Extras;
use crate::shm::ledger::Note;
use crate::shm::metadata::{Array, Group, Node};
use crate::shm::published::Published;
use crate::{Error, Kind, Result};

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
    pub extras: Option<Extras>,
    /// Attributes of groups by path, as TOML has them.
    pub group_attrs: toml::Table,
    /// Names of the groups that whole files became.
    pub source_groups: Vec<String>,
    /// The level of deflate, for HDF5.
    pub gzip: Option<u8>,
    /// What the load could not take, of what is selected.
    pub left_out: Vec<Note>,
    /// Segments that are open already, by name: they stay what they are when the project is replaced.
    pub held: HashMap<String, Arc<Published>>,
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

impl Content<'_> {
    /// Every array with its path, without the leading slash.
    pub fn arrays(&self) -> Vec<(String, &Array)> {
        fn collect<'a>(group: &'a Group, path: &str, found: &mut Vec<(String, &'a Array)>) {
            for (name, node) in group {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                match node {
                    Node::Array(array) => found.push((path, array)),
                    Node::Group(inner) => collect(inner, &path, found),
                }
            }
        }
        let mut found = Vec::new();
        collect(&self.root, "", &mut found);
        found
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
            match Published::open(self.shm, array) {
                Ok(segment) => drop(held.insert(array.segment.clone(), Arc::new(segment))),
                Err(error) if error.kind() == Kind::NotFound => return Err(error),
                Err(_) => {}
            }
        }
        self.held = held;
        Ok(())
    }

    fn open(&self, path: &str, array: &Array) -> Result<Arc<Published>> {
        if let Some(held) = self.held.get(&array.segment) {
            return Ok(Arc::clone(held));
        }
        Published::open(self.shm, array).map(Arc::new).map_err(|error| match error.kind() {
            Kind::Unsupported => error.about(format!("/{path}")),
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

/// Writes `content` to `target` in this format; what could not be written is told in the notes.
///
/// # Errors
/// [`Kind::Unsupported`] for an array that the format lacks; [`Kind::Io`] and others as the system
/// says. The target is then as it was before, unless it is a stream.
pub fn export(
    content: &Content,
    format: Format,
    target: &mut Target,
    advance: Advance,
) -> Result<Vec<Note>> {
    match format {
        Format::Hdf5 => {
            return target.with_file(|path, spot| hdf5::write(content, path, spot, advance));
        }
        Format::Npy => npy::write(content, target.sink(), advance)?,
        Format::Npz => npz::write(content, target.sink(), advance)?,
        Format::Safetensors => safetensors::write(content, target.sink(), advance)?,
    }
    Ok(Vec::new())
}

/// The error of an array that a format lacks.
fn lacks(format: &str, path: &str, array: &Array) -> Error {
    let message = format!("'/{path}' cannot be written: {format} has no dtype '{}'", array.dtype);
    Error::new(Kind::Unsupported, message)
        .about(format!("/{path}"))
        .with_hint("leave it out with --exclude, or export to hdf5 or npz")
}
