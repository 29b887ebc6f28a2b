//! What loader and keeper say to each other over their pipes: one JSON object a line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;
use crate::error::{Error, Kind, Result};
use crate::os::memory::{Need, PAGE};
use crate::shm::format::ledger::{Note, SourceFile};

/// The attributes that h5netcdf hides from its users.
const DIMENSION_ATTRIBUTES: [&str; 8] = [
    "CLASS",
    "DIMENSION_LIST",
    "NAME",
    "REFERENCE_LIST",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_nc3_strict",
];

/// From the loader to its keeper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// An object is about to be opened.
    Looking(String),
    /// Everything is known, nothing is made yet: the loader waits for the word to go on.
    Planned(Planned),
    /// A dataset is about to be read.
    Reading(String),
    /// So many bytes more are in memory.
    Advanced(u64),
    /// All is in memory.
    Loaded(Loaded),
    /// It did not work.
    Failed(ErrorReport),
}

/// An array as it will be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlannedArray {
    /// Path in the project, with the fields of compounds.
    pub path: String,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// What `str(numpy.dtype)` gives.
    pub dtype: String,
    /// Bytes of its elements.
    pub bytes: u64,
    /// With a selection of rows: which row of the file's array is the first.
    pub first_row: Option<u64>,
    /// With a selection of rows: how many the file's array has.
    pub total_rows: Option<u64>,
}

/// What a load will do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Planned {
    /// One for every segment.
    pub arrays: Vec<PlannedArray>,
    /// Bytes of the loader's own that it decodes in at most.
    #[serde(default)]
    pub decoding_bytes: u64,
    /// Names for them, aliases counted.
    pub paths: u64,
    /// What has no form in shared memory.
    pub skips: Vec<Note>,
    /// What is damaged (with `--keep-going`).
    pub damaged: Vec<Note>,
    /// Virtual datasets in which elements have the fill value because their source is absent.
    #[serde(default)]
    pub filled: Vec<Note>,
    /// Files that are read although they are not in the directory of the file that was given.
    #[serde(default)]
    pub outside: Vec<String>,
    /// Attributes that TOML does not hold.
    pub left_out: Vec<Note>,
    /// The files read or looked for.
    pub sources: Vec<SourceFile>,
    /// Paths of datasets that libhdf5 cannot read, only the codecs here: nothing can verify them.
    #[serde(default)]
    pub unverifiable: Vec<String>,
    /// Filters that some of the skipped datasets need, each by name and number.
    #[serde(default)]
    pub missing_filters: Vec<String>,
    /// Options whose globs match nothing: `--include 'GLOB'`, `--dtype 'GLOB=DTYPE'`.
    #[serde(default)]
    pub unmatched: Vec<String>,
}

impl Planned {
    /// Attributes that are missing from the metadata, but for those by which netCDF-4 and HDF5 keep their
    /// dimension scales: these say nothing about the data.
    pub(crate) fn missing_attributes(&self) -> impl Iterator<Item = &Note> {
        self.left_out.iter().filter(|note| {
            let name = note.path.rsplit_once('@').map_or("", |(_, name)| name);
            !DIMENSION_ATTRIBUTES.contains(&name)
        })
    }

    /// Bytes of all arrays.
    pub fn bytes(&self) -> u64 {
        self.arrays.iter().fold(0, |sum, array| sum.saturating_add(array.bytes))
    }

    /// Adds to an error for lack of memory which array needs the most.
    pub(crate) fn with_largest(&self, error: Error) -> Error {
        let largest = self.arrays.iter().max_by_key(|array| array.bytes);
        // Many small arrays, for which inodes are short, need no name.
        let is_large = |array: &&PlannedArray| array.bytes > PAGE;
        match largest.filter(is_large).filter(|_| error.kind() == Kind::NoMemory) {
            Some(array) => {
                let size = humansize::format_size(array.bytes, humansize::BINARY);
                error.and(&format!("'{}' alone takes {size}", array.path)).with_subject(&array.path)
            }
            None => error,
        }
    }

    /// What it needs of shared memory.
    pub(crate) fn need(&self) -> Need {
        let need = Need::of(self.arrays.iter().map(|array| array.bytes));
        need.decoding_in(self.decoding_bytes)
    }
}

/// What a load has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// The metadata's text, without the mark.
    pub metadata: String,
    /// Attributes of groups and compound datasets by path, as TOML text.
    pub attributes: String,
    /// Types, storage and exact attributes of the sources, for the ledger.
    #[serde(default)]
    pub extras: String,
    /// Segments made.
    pub arrays: u64,
    /// Bytes of the arrays.
    pub bytes: u64,
    /// What could not be read (with `--keep-going`).
    pub failed: Vec<Note>,
}

/// The loader's end of the line to its keeper.
pub struct Sender(Line);

enum Line {
    Pipe(File),
    Call(Box<Call>),
}

/// A keeper in the same process, which answers at once.
type Call = dyn FnMut(&Message) -> Result<()> + Send;

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// Over this pipe.
    pub fn new(pipe: File) -> Self {
        Self(Line::Pipe(pipe))
    }

    /// To a keeper in this process, whose error ends the load.
    pub fn call(keeper: impl FnMut(&Message) -> Result<()> + Send + 'static) -> Self {
        Self(Line::Call(Box::new(keeper)))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the keeper is gone, or wants no more.
    pub fn send(&mut self, message: &Message) -> Result<()> {
        let pipe = match &mut self.0 {
            Line::Pipe(pipe) => pipe,
            Line::Call(keeper) => return keeper(message),
        };
        let mut line = serde_json::to_vec(message)
            .map_err(|e| Error::new(Kind::Io, format!("cannot write a message: {e}")))?;
        line.push(b'\n');
        pipe.write_all(&line).map_err(|e| Error::io("cannot write to the keeper", e))
    }
}

/// The keeper's end.
#[derive(Debug)]
pub struct Receiver(BufReader<File>);

impl Receiver {
    /// Over this pipe.
    pub fn new(pipe: File) -> Self {
        Self(BufReader::with_capacity(1 << 16, pipe))
    }

    /// Whether a message can be read without asking the system.
    pub fn has_more(&self) -> bool {
        !self.0.buffer().is_empty()
    }

    /// The pipe, to wait for.
    pub fn pipe(&self) -> &File {
        self.0.get_ref()
    }

    /// The next message; `None` when the loader is gone.
    ///
    /// # Errors
    /// When what came is no message.
    pub fn receive(&mut self) -> Result<Option<Message>> {
        let mut line = Vec::new();
        self.0
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::io("cannot read from the loader", e))?;
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|e| Error::new(Kind::Io, format!("the loader said something odd: {e}")))
    }
}
