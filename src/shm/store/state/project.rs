//! A judged project and its state.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::LazyLock;

use indexmap::{IndexMap, IndexSet};
use nix::sys::stat::FileStat;
use serde::{Deserialize, Serialize};

use crate::os::directory::FileId;
use crate::shm::format::ledger::{Key, Ledger, Record};
use crate::shm::format::metadata::Metadata;
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::tree::Group;

/// The state of a project, in the order in which the judge tests for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It cannot be judged: it belongs to another user, or a read failed. Nothing changes it.
    Foreign,
    /// Marked by another host, or by this boot with another shm directory: never touched.
    Elsewhere,
    /// Metadata or ledger cannot be parsed, or names a segment that it must not name.
    Corrupt,
    /// A load is in progress.
    Loading,
    /// A removal is in progress.
    Removing,
    /// A load, a removal or a held project whose locks are free.
    Abandoned,
    /// Metadata and all segments exist.
    Live,
    /// All segments are missing, with proof.
    Stale,
    /// Some segments are missing.
    Broken,
    /// Segments and ledger exist, the metadata is missing.
    Detached,
    /// Segments that no metadata and no ledger claims.
    Orphan,
}

impl State {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Elsewhere => "elsewhere",
            Self::Corrupt => "corrupt",
            Self::Loading => "loading",
            Self::Removing => "removing",
            Self::Abandoned => "abandoned",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Broken => "broken",
            Self::Detached => "detached",
            Self::Orphan => "orphan",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A segment that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStat {
    /// Bytes of its array, as far as they are known; else its size.
    pub size: u64,
    /// Memory that it takes.
    pub resident: u64,
    /// Its inode in the shm directory.
    pub ino: u64,
    /// When its contents last changed, in seconds since 1970.
    pub mtime: i64,
}

impl SegmentStat {
    pub(super) fn of(stat: &FileStat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            resident: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
            ino: stat.st_ino,
            mtime: stat.st_mtime,
        }
    }
}

/// The metadata file as it was read when the project was judged.
#[derive(Debug, Clone, Copy)]
pub struct MetadataFile {
    /// A digest of its text: removal compares it.
    pub digest: u64,
    /// When it was last written, in seconds since 1970.
    pub mtime: i64,
    /// Permission bits.
    pub mode: u32,
    /// Which file it was.
    pub id: FileId,
    /// Whether it was read. A file that is not regular, or has several names, is not read.
    pub trusted: bool,
}

/// The digest of a metadata file's text. It distinguishes versions of one user's file and
/// needs no secrecy.
pub(crate) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// A judged project.
#[derive(Debug)]
pub struct Project {
    /// Name, and root and owner as a hash.
    pub key: Key,
    /// The owner.
    pub uid: u32,
    /// The verdict.
    pub state: State,
    /// Another process holds the change lock of a live project.
    pub changing: bool,
    /// The reason for the verdict, where it needs one.
    pub why: Option<String>,
    /// The arrays: from the metadata file, or the ledger's copy if the file is missing.
    pub metadata: Option<Metadata>,
    /// The metadata file; `None` when it is not there or cannot be read.
    pub file: Option<MetadataFile>,
    /// The ledger of this owner; `None` too if this user may not read it.
    pub ledger: Option<Ledger>,
    /// Segments of the metadata that exist.
    pub present: IndexMap<SegmentName, SegmentStat>,
    /// Segments of the metadata that are missing, or too short for their array.
    pub missing: IndexSet<SegmentName>,
    /// Segments that the ledger owns but the metadata does not name, and all of an orphan.
    pub leftovers: IndexMap<SegmentName, SegmentStat>,
    /// An interrupted change left something beside the project: segments, or a ledger that is not at rest.
    pub unfinished: bool,
}

impl Project {
    /// Whether its metadata was not read because the file is not regular or has several names.
    pub fn has_unreadable_file(&self) -> bool {
        self.state == State::Corrupt && self.file.as_ref().is_some_and(|file| !file.trusted)
    }

    /// A project before it is judged.
    pub(super) fn unjudged(key: Key) -> Self {
        Self {
            uid: key.uid,
            key,
            state: State::Corrupt,
            changing: false,
            why: None,
            metadata: None,
            file: None,
            ledger: None,
            present: IndexMap::new(),
            missing: IndexSet::new(),
            leftovers: IndexMap::new(),
            unfinished: false,
        }
    }

    /// The project's name.
    pub fn name(&self) -> &ProjectName {
        &self.key.project
    }

    /// Its groups and arrays, none without metadata.
    pub fn tree(&self) -> &Group {
        static NONE: LazyLock<Group> = LazyLock::new(Group::new);
        self.metadata.as_ref().map_or(&NONE, |metadata| &metadata.root)
    }

    /// The ledger's record of the load that the metadata describes.
    pub fn record(&self) -> Option<&Record> {
        let ledger = self.ledger.as_ref()?;
        let Some(mark) = self.metadata.as_ref().and_then(|metadata| metadata.mark.as_ref()) else {
            return if self.file.is_none() {
                ledger.current.as_ref().or(ledger.next.as_ref())
            } else {
                None
            };
        };
        let records = [&ledger.current, &ledger.next];
        records.into_iter().flatten().find(|record| record.token == mark.token)
    }

    /// Drops the texts that only `show`, `export` and changes need.
    pub(super) fn drop_texts(&mut self) {
        let ledger = self.ledger.iter_mut();
        for record in ledger.flat_map(|ledger| [&mut ledger.current, &mut ledger.next]).flatten() {
            (record.metadata, record.origin) = (None, None);
        }
    }

    /// Bytes of the arrays' segments that are there.
    pub fn size(&self) -> u64 {
        self.present.values().map(|segment| segment.size).sum()
    }

    /// Memory that all segments take, leftovers too.
    pub fn resident(&self) -> u64 {
        self.present.values().chain(self.leftovers.values()).map(|segment| segment.resident).sum()
    }

    /// Whether this segment belongs to the project, whether it exists or not.
    pub fn has(&self, segment: &SegmentName) -> bool {
        self.present.contains_key(segment)
            || self.missing.contains(segment)
            || self.leftovers.contains_key(segment)
    }

    /// The project's segments, whether they exist or not.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.present.keys().chain(&self.missing).chain(self.leftovers.keys())
    }

    /// Every segment that goes when the project is removed.
    pub fn all_segments(&self) -> Vec<SegmentName> {
        self.segments().cloned().collect()
    }
}
