//! The ledger: the owner, lifetime and sources of a project. `current` and `next` are separate records, so that a
//! running load never erases the record of the project that it will replace.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::error::{Kind, Result};
use crate::os::credentials;
use crate::os::directory::{Access, FileId};
use crate::shm::format::fast_toml;
use crate::shm::format::name::{PREFIX, ProjectName, Token};
use crate::shm::format::rows::Rows;

/// The version of the format. A ledger of a newer version is not changed.
pub(crate) const VERSION: u32 = 1;

/// Identifies a project by name, root and owner. Determines the names of its ledger and lock file. A file
/// under such a name has authority only if `uid` owns it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The project's name.
    pub project: ProjectName,
    /// Eight hexadecimal digits: a hash of the root's device and inode, and the owner.
    pub hash: String,
    /// The owner.
    pub uid: u32,
}

/// The part of a key that a file name contains. The owner is known only from the file itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyName {
    /// The project's name.
    pub project: ProjectName,
    /// As [`Key::hash`].
    pub hash: String,
}

/// The two files that a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFile {
    /// The record.
    Ledger,
    /// The lock file.
    Lock,
}

const SUFFIXES: [(KeyFile, &str); 2] = [(KeyFile::Ledger, ".ledger"), (KeyFile::Lock, ".lock")];
const TEMPORARY_SUFFIX: &str = ".ledger.new";

impl Key {
    /// The key of `project` of user `uid` in the root with this identity. The hash contains the user's id
    /// outside this user namespace: the key is the same inside and outside.
    pub fn new(project: &ProjectName, root: FileId, uid: u32) -> Self {
        let hash = hash_of(&root.to_string(), uid);
        Self { project: project.clone(), hash, uid }
    }

    /// The name of one of the key's files.
    pub fn file(&self, file: KeyFile) -> OsString {
        let suffix = SUFFIXES.iter().find(|(which, _)| *which == file).map_or("", |found| found.1);
        self.project.file(&format!(".{}{suffix}", self.hash))
    }

    /// Returns a new random name for the next version of the ledger.
    pub(crate) fn temporary_file(&self) -> Result<OsString> {
        let random = Token::random()?;
        Ok(self.project.file(&format!(".{}.{random}{TEMPORARY_SUFFIX}", self.hash)))
    }
}

impl KeyName {
    /// Parses a file name of the shm directory. The file is `None` for a temporary one.
    pub(crate) fn parse(name: &OsStr) -> Option<(Self, Option<KeyFile>)> {
        let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        let fixed = SUFFIXES
            .iter()
            .find_map(|(file, suffix)| Some((rest.strip_suffix(suffix.as_bytes())?, Some(*file))));
        let (rest, file) = match fixed {
            Some(found) => found,
            None => (Self::strip_random(rest.strip_suffix(TEMPORARY_SUFFIX.as_bytes())?)?, None),
        };
        Some((Self::parse_stem(rest)?, file))
    }

    /// Parses `PROJECT.HASH`.
    fn parse_stem(stem: &[u8]) -> Option<Self> {
        let (project, hash) = stem.split_at_checked(stem.len().checked_sub(9)?)?;
        let hash = Self::parse_hash(hash.strip_prefix(b".")?)?;
        let project = ProjectName::existing(OsStr::from_bytes(project)).ok()?;
        Some(Self { project, hash })
    }

    /// Parses `PROJECT.HASH.RANDOM`.
    pub(super) fn parse_random(stem: &[u8]) -> Option<Self> {
        Self::parse_stem(Self::strip_random(stem)?)
    }

    fn strip_random(name: &[u8]) -> Option<&[u8]> {
        let (rest, random) = name.split_at_checked(name.len().checked_sub(6)?)?;
        let random = random.strip_prefix(b".")?;
        random.iter().all(u8::is_ascii_alphanumeric).then_some(rest)
    }

    /// Parses the hash of a key.
    fn parse_hash(hash: &[u8]) -> Option<String> {
        let is_hash =
            hash.len() == 8 && hash.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hash.then(|| String::from_utf8_lossy(hash).into_owned())
    }

    /// Whether `key` has this name.
    pub(crate) fn is_of(&self, key: &Key) -> bool {
        self.hash == key.hash && self.project == key.project
    }

    /// The key of this name whose owner is `uid`.
    pub(crate) fn of_user(&self, uid: u32) -> Key {
        Key { project: self.project.clone(), hash: self.hash.clone(), uid }
    }
}

/// The hash in the names of the ledger and lock file of user `uid`'s project in this root.
pub(crate) fn hash_of(root: &str, uid: u32) -> String {
    let uid = credentials::host_uid(uid).unwrap_or(uid);
    format!("{:08x}", fnv1a(&format!("{root}:{uid}")))
}

/// FNV-1a, 32 bits: short, stable and documented; names need no secrecy, only to differ.
/// Source: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The lifetime of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Until it is unlinked, or the node reboots.
    Persistent,
    /// Until its keeper exits.
    Held,
}

/// The keeper of a project. It is for display only: no decision depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// Process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// The boot in which it runs.
    pub boot_id: String,
    /// Its user.
    pub uid: u32,
}

/// A batch job that uses a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BatchJob {
    /// `slurm`, `pbs`, `lsf` or `other`.
    pub scheduler: String,
    /// The scheduler's id.
    pub id: String,
    /// Its restart count, 0 if the scheduler reports none.
    #[serde(default)]
    pub restart: u64,
    /// When it joined: RFC 3339, UTC.
    #[serde(default)]
    pub since: String,
}

/// The state of a source file during the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// It exists.
    #[default]
    Present,
    /// It does not exist.
    Absent,
    /// It cannot be inspected.
    Unreadable,
}

/// A file that a load read or looked for, with its state at that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SourceFile {
    /// Absolute path.
    pub path: String,
    /// The group that it became, when several files were loaded.
    #[serde(default)]
    pub group: Option<String>,
    /// Reached through a link or a layout of another file.
    #[serde(default)]
    pub linked: bool,
    /// Its state.
    #[serde(default)]
    pub state: SourceState,
    /// Bytes; null unless it was present.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Last change, in nanoseconds since 1970; null unless it was present.
    #[serde(default)]
    pub mtime_ns: Option<i64>,
    /// `st_dev:st_ino`; null unless it was present.
    #[serde(default)]
    pub file: Option<String>,
}

/// A file as the user specified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    /// Absolute path; links are not resolved.
    pub path: String,
    /// The group that it becomes, when several files are loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The options of a load that select and convert data. Loads of the same sources with the same selection are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Globs on dataset paths to load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Globs on dataset paths to exclude.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The rows of each array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// Convert numbers to the byte order of the machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub native: bool,
    /// Conversions as `GLOB=DTYPE`. The last one that matches a path applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dtypes: Vec<String>,
    /// Permission bits of the segments.
    pub mode: u32,
    /// The group that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
}

impl Selection {
    /// Returns the access rights of the segments.
    pub fn access(&self) -> Access {
        Access { mode: self.mode, group: self.group }
    }
}

/// An object that was left out of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Note {
    /// Its path in the file.
    pub path: String,
    /// The reason.
    pub reason: String,
    /// The message of the HDF5 library, if it reported the reason. The ledger does not contain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(skip))]
    pub detail: Option<String>,
}

impl Note {
    /// A note without detail.
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), detail: None }
    }
}

/// The record of one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The first half of all its segments' ids.
    pub token: Token,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// When the load began: RFC 3339, UTC.
    pub created: String,
    /// The program and its version.
    pub tool: String,
    /// The process that loaded it. It holds the liveness lock of a held project.
    pub keeper: Keeper,
    /// The jobs that use it.
    #[serde(default)]
    pub jobs: Vec<BatchJob>,
    /// The requested files; none for arrays that a program shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<NamedFile>,
    /// The files that were read or looked for.
    #[serde(default)]
    pub sources: Vec<SourceFile>,
    /// Whether everything that can be represented was read; false with `--keep-going` after damage.
    #[serde(default)]
    pub complete: bool,
    /// The number of objects that cannot be represented.
    #[serde(default)]
    pub skip_count: u64,
    /// The selection of the load.
    #[serde(default)]
    pub selection: Selection,
    /// Data and attributes that could not be represented.
    #[serde(default)]
    pub left_out: Vec<Note>,
    /// Attributes of groups and of compound datasets by path.
    #[serde(default)]
    pub attributes: Table,
    /// The serialized `Origin`, for `export`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "extras")]
    pub origin: Option<String>,
    /// Segments of another program that this load replaces. They are removed after its publication.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// The text of the published metadata, which restores a project after a cleaner of `/tmp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// The ledger of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The format's version: 1.
    pub version: u32,
    /// The root's path, for gc.
    pub root: String,
    /// `st_dev:st_ino` of the root. The hash in the file name follows from it.
    pub root_id: String,
    /// Tokens whose segments are being removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Token>,
    /// Every segment of a project that is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removing: Option<Vec<String>>,
    /// The published load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Record>,
    /// The running load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Record>,
}

impl Ledger {
    /// Whether no load and no removal is running or was interrupted.
    pub fn is_at_rest(&self) -> bool {
        self.next.is_none() && self.retiring.is_empty() && self.removing.is_none()
    }

    /// Every token whose segments this ledger owns.
    pub fn tokens(&self) -> Vec<&Token> {
        let records = [&self.current, &self.next];
        let tokens = records.into_iter().flatten().map(|record| &record.token);
        tokens.chain(&self.retiring).collect()
    }

    /// Parses the text of a ledger.
    ///
    /// # Errors
    /// Returns [`Kind::Corrupt`] and the reason.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, (Kind, String)> {
        match fast_toml::table(text).and_then(|table| table.try_into().ok()) {
            Some(ledger) => Ok(ledger),
            None => toml::from_str(text)
                .map_err(|e| (Kind::Corrupt, format!("cannot be parsed: {}", e.message()))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(token: &str) -> Record {
        Record {
            token: Token::try_from(token.to_owned()).unwrap(),
            lifetime: Lifetime::Persistent,
            created: "2026-01-01T00:00:00Z".to_owned(),
            tool: "cute-shm test".to_owned(),
            keeper: Keeper { pid: 1, start_time: 1, boot_id: "b".to_owned(), uid: 0 },
            jobs: Vec::new(),
            files: vec![NamedFile { path: "/x.h5".to_owned(), group: None }],
            sources: Vec::new(),
            complete: true,
            skip_count: 0,
            selection: Selection::default(),
            left_out: Vec::new(),
            attributes: Table::new(),
            origin: Some("{\"types\": []}".to_owned()),
            replaces: vec!["y".to_owned()],
            metadata: Some("# x\n[a]\n".to_owned()),
        }
    }

    fn key() -> Key {
        let project = ProjectName::new(OsStr::new("a.b")).unwrap();
        Key::new(&project, FileId { dev: 1, ino: 2 }, 3)
    }

    #[test]
    fn file_names_are_read_back() {
        let key = key();
        for (file, _) in SUFFIXES {
            let (name, parsed) = KeyName::parse(&key.file(file)).unwrap();
            assert_eq!((name.of_user(key.uid), parsed), (key.clone(), Some(file)));
        }
        let (name, parsed) = KeyName::parse(&key.temporary_file().unwrap()).unwrap();
        assert!(name.is_of(&key) && parsed.is_none());
        for name in [
            "cute-shm.a.ABCDEF01.lock",
            "cute-shm.0123abcd.lock",
            "cute-shm.a.0123abcd.ledger.new",
            "cute-shm.a.toml",
            "x",
        ] {
            assert_eq!(KeyName::parse(OsStr::new(name)), None, "{name}");
        }
    }
}
