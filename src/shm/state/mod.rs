//! The one judge of a project's state: `list`, `show`, `load-hdf5`, `unlink` and `gc` all ask here.
//! Nothing is decided by a pid, and "cannot look" is never "dead".

mod all;
mod evidence;
mod find;
mod judge;

use std::fmt;
use std::sync::LazyLock;

use indexmap::{IndexMap, IndexSet};
use nix::sys::stat::FileStat;
use serde::Serialize;

pub use self::all::{everything, judge_all, keys_of_root, orphans, orphans_of};
pub use self::find::{find, key_of};
pub use self::judge::{judge, judge_locked};
use super::directory::FileId;
use super::ledger::{Key, Ledger, Record};
use super::metadata::{Group, Metadata};
use super::name::{ProjectName, SegmentName};

/// The largest metadata file that is read.
pub const METADATA_LIMIT: u64 = 256 << 20;

/// What was found of a project (DESIGN section 2), in the order in which it is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Another user's, and it cannot be judged.
    Foreign,
    /// Marked by another host, or by this boot with another shm directory: never touched.
    Elsewhere,
    /// Metadata that cannot be parsed, or names what it may not name.
    Corrupt,
    /// Somebody is making it.
    Loading,
    /// Somebody is removing it.
    Removing,
    /// A load, a removal or a held project whose locks are free.
    Abandoned,
    /// Metadata and all its segments are there.
    Live,
    /// Every segment is provably gone.
    Stale,
    /// Some segments are gone.
    Broken,
    /// Segments and ledger are there, the metadata is gone.
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
    /// Whose it is.
    pub uid: u32,
    /// Its inode in the shm directory.
    pub ino: u64,
    /// When its contents last changed, in seconds since 1970.
    pub mtime: i64,
}

impl SegmentStat {
    fn of(stat: &FileStat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            resident: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
            uid: stat.st_uid,
            ino: stat.st_ino,
            mtime: stat.st_mtime,
        }
    }
}

/// The metadata file as it was read when the project was judged.
#[derive(Debug, Clone)]
pub struct MetadataFile {
    /// Its text: removal compares it.
    pub text: String,
    /// When it was last written, in seconds since 1970.
    pub mtime: i64,
    /// Permission bits.
    pub mode: u32,
    /// Which file it was.
    pub id: FileId,
    /// It was read; what is no regular file, or has several names, is not.
    pub trusted: bool,
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
    /// Somebody holds the change lock of a live project.
    pub changing: bool,
    /// The reason for the verdict, where it needs one.
    pub why: Option<String>,
    /// The arrays: from the metadata file, or the ledger's copy when the file is gone.
    pub metadata: Option<Metadata>,
    /// The metadata file; `None` when it is not there or cannot be read.
    pub file: Option<MetadataFile>,
    /// The ledger of this owner.
    pub ledger: Option<Ledger>,
    /// The metadata's segments that are there.
    pub present: IndexMap<SegmentName, SegmentStat>,
    /// The metadata's segments that are gone, or too short for their array.
    pub missing: IndexSet<SegmentName>,
    /// Segments that the ledger owns but the metadata does not name, and all of an orphan.
    pub leftovers: IndexMap<SegmentName, SegmentStat>,
    /// An interrupted change left something beside the project: segments, or a ledger that is not at rest.
    pub unfinished: bool,
}

impl Project {
    /// Nothing is known yet but whose it is.
    fn unjudged(key: Key, uid: u32) -> Self {
        Self {
            key,
            uid,
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

    /// Its groups and arrays; none where there is no metadata.
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

    /// Bytes of the arrays' segments that are there.
    pub fn size(&self) -> u64 {
        self.present.values().map(|segment| segment.size).sum()
    }

    /// Memory that all segments take, leftovers too.
    pub fn resident(&self) -> u64 {
        self.present.values().chain(self.leftovers.values()).map(|segment| segment.resident).sum()
    }

    /// Whether this segment is the project's, there or gone.
    pub fn has(&self, segment: &SegmentName) -> bool {
        self.present.contains_key(segment)
            || self.missing.contains(segment)
            || self.leftovers.contains_key(segment)
    }

    /// Every segment that goes when the project is removed.
    pub fn all_segments(&self) -> Vec<SegmentName> {
        self.present.keys().chain(&self.missing).chain(self.leftovers.keys()).cloned().collect()
    }
}
