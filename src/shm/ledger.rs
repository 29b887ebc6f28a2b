//! The ledger: who owns a project and from where it came. It lies beside the segments and lives as
//! long as they do. `current` and `next` stand side by side, so that a running load never erases
//! what is known of the project that it will replace.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::canonical;
use super::directory::{Access, Directory, FileId};
use super::name::{PREFIX, ProjectName, Token};
use super::rows::Rows;
use super::segment::full;
use crate::{Error, Kind, Result};

/// The largest ledger that is read: it holds a copy of the metadata.
const LIMIT: u64 = 512 << 20;

/// The format that this program writes; a newer one it does not touch.
const VERSION: u32 = 1;

/// Which project of whom: the part of file names that follows from root and owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The project's name.
    pub project: ProjectName,
    /// Eight hexadecimal digits: a hash of the root's device and inode, and the owner.
    pub hash: String,
}

/// The three files that a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// The record.
    Ledger,
    /// The record while it is being replaced.
    LedgerTemporary,
    /// What is locked.
    Lock,
}

const SUFFIXES: [(File, &str); 3] =
    [(File::LedgerTemporary, ".ledger.new"), (File::Ledger, ".ledger"), (File::Lock, ".lock")];

impl Key {
    /// The key of `project` of user `uid` in the root with this identity.
    pub fn new(project: &ProjectName, root: FileId, uid: u32) -> Self {
        Self { project: project.clone(), hash: format!("{:08x}", fnv1a(&format!("{root}:{uid}"))) }
    }

    /// The name of one of the key's files.
    pub fn file(&self, file: File) -> OsString {
        let suffix = SUFFIXES.iter().find(|(which, _)| *which == file).map_or("", |found| found.1);
        self.project.file(&format!(".{}{suffix}", self.hash))
    }

    /// Reads a file name of the shm directory.
    pub fn parse(name: &OsStr) -> Option<(Self, File)> {
        let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        let (rest, file) = SUFFIXES
            .iter()
            .find_map(|(file, suffix)| Some((rest.strip_suffix(suffix.as_bytes())?, *file)))?;
        let (project, hash) = rest.split_at_checked(rest.len().checked_sub(9)?)?;
        let hash = std::str::from_utf8(hash.strip_prefix(b".")?).ok()?;
        if !hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let project = ProjectName::existing(OsStr::from_bytes(project)).ok()?;
        Some((Self { project, hash: hash.to_owned() }, file))
    }
}

/// FNV-1a, 32 bits: short, stable and documented; names need no secrecy, only to differ.
/// Source: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// How long a project lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Until it is unlinked, or the node reboots.
    Persistent,
    /// Until its keeper ends.
    Held,
}

/// Who answers for a project; for people to read, never for a decision.
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
pub struct Job {
    /// `slurm`, `pbs`, `lsf` or `other`.
    pub scheduler: String,
    /// The scheduler's id.
    pub id: String,
    /// How often it was restarted, where the scheduler says.
    #[serde(default)]
    pub restart: u64,
    /// When it joined: RFC 3339, UTC.
    #[serde(default)]
    pub since: String,
}

/// A file that was read, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Source {
    /// Absolute path.
    pub path: String,
    /// The group that it became, when several files were loaded.
    #[serde(default)]
    pub group: Option<String>,
    /// Not given by the user, but reached through a link or a layout of one that was.
    #[serde(default)]
    pub linked: bool,
    /// Bytes.
    pub size_bytes: u64,
    /// Last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// `st_dev:st_ino`.
    pub file: String,
}

/// A file as the user named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    /// Absolute path; links are not resolved.
    pub path: String,
    /// The group that it becomes, when several files are loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What was asked for; two loads of the same sources with the same selection are the same project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Globs on dataset paths to load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Globs on dataset paths to leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The rows of each array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// Numbers are turned into the machine's byte order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub native: bool,
    /// Types to convert to, as `GLOB=DTYPE`; the last that matches a path counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dtypes: Vec<String>,
    /// Permission bits of the segments.
    pub mode: u32,
    /// The group that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
}

/// Something that was left out of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Note {
    /// Where in the file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// One load: the project as it is, or as it will be.
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
    /// Who loaded it, and answers for a held project.
    pub keeper: Keeper,
    /// The jobs that use it.
    #[serde(default)]
    pub jobs: Vec<Job>,
    /// The requested files; none for arrays that a program shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<NamedFile>,
    /// What was read.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Whether everything that can be represented was read; false with `--keep-going` after damage.
    #[serde(default)]
    pub complete: bool,
    /// The number of objects that cannot be represented.
    #[serde(default)]
    pub skip_count: u64,
    /// What was asked for.
    #[serde(default)]
    pub selection: Selection,
    /// What could not be loaded, and attributes that TOML does not hold.
    #[serde(default)]
    pub left_out: Vec<Note>,
    /// Attributes of groups and of compound datasets by path.
    #[serde(default)]
    pub attributes: Table,
    /// What an export needs to write the sources again: `shm::extras` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extras: Option<String>,
    /// Segments of another program that this load replaces: they go once it is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Once published, the metadata's text: a project survives a cleaner of /tmp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// The whole record of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The format's version: 1.
    pub version: u32,
    /// The root's path, for gc.
    pub root: String,
    /// The root's `st_dev:st_ino`, of which the file name's hash is made.
    pub root_id: String,
    /// Tokens whose segments are on their way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Token>,
    /// Every segment of a project that is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removing: Option<Vec<String>>,
    /// The project as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Record>,
    /// The load that is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Record>,
}

impl Ledger {
    /// An empty ledger for a project in `root`.
    pub fn new(root: &Directory) -> Self {
        Self {
            version: VERSION,
            root: root.path().to_string_lossy().into_owned(),
            root_id: root.id().to_string(),
            retiring: Vec::new(),
            removing: None,
            current: None,
            next: None,
        }
    }

    /// Whether no load and no removal is under way, nor was interrupted.
    pub fn is_at_rest(&self) -> bool {
        self.next.is_none() && self.retiring.is_empty() && self.removing.is_none()
    }

    /// Every token whose segments this ledger owns.
    pub fn tokens(&self) -> Vec<&Token> {
        let records = [&self.current, &self.next];
        let tokens = records.into_iter().flatten().map(|record| &record.token);
        tokens.chain(&self.retiring).collect()
    }

    /// Reads the ledger of `key` with its owner; `None` when there is none.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when it is no ledger of ours, [`Kind::Permission`] when it is another's.
    pub fn read(shm: &Directory, key: &Key) -> Result<Option<(Self, u32)>> {
        let name = key.file(File::Ledger);
        let Some((text, stat)) = shm.read_text(&name, LIMIT)? else { return Ok(None) };
        let shown = shm.join(&name);
        let corrupt = |why: &str| {
            Error::new(Kind::Corrupt, format!("the ledger '{}' {why}", shown.display()))
        };
        let ledger = canonical::table(&text).and_then(|table| table.try_into().ok());
        let ledger: Self = match ledger {
            Some(ledger) => ledger,
            None => toml::from_str(&text).map_err(|e| corrupt(e.message()))?,
        };
        if ledger.version > VERSION {
            let message =
                format!("the ledger '{}' was written by a newer cute-shm", shown.display());
            return Err(Error::new(Kind::Permission, message));
        }
        let hash = fnv1a(&format!("{}:{}", ledger.root_id, stat.st_uid));
        if format!("{hash:08x}") != key.hash {
            return Err(corrupt("does not belong to its name"));
        }
        Ok(Some((ledger, stat.st_uid)))
    }

    /// Replaces the ledger of `key`. The change lock must be held.
    ///
    /// # Errors
    /// As the system says, [`Kind::NoMemory`] when the shared memory is full; the old ledger is whole then.
    pub fn write(&self, shm: &Directory, key: &Key) -> Result<()> {
        self.prepare(shm, key)?;
        Self::put(shm, key)
    }

    /// The first half of [`Self::write`], which takes memory.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn prepare(&self, shm: &Directory, key: &Key) -> Result<()> {
        let text = toml::to_string(self)
            .map_err(|e| Error::new(Kind::Io, format!("cannot write the ledger: {e}")))?;
        let temporary = key.file(File::LedgerTemporary);
        shm.write_temporary(&temporary, &text, &Access::default()).map_err(|e| full(e, shm))
    }

    /// The second half of [`Self::write`]: what was prepared becomes the ledger. It takes no memory.
    ///
    /// # Errors
    /// As the system says.
    pub fn put(shm: &Directory, key: &Key) -> Result<()> {
        shm.rename(&key.file(File::LedgerTemporary), &key.file(File::Ledger))
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
            extras: Some("{\"types\": []}".to_owned()),
            replaces: vec!["y".to_owned()],
            metadata: Some("# x\n[a]\n".to_owned()),
        }
    }

    fn key() -> (tempfile::TempDir, Directory, Key) {
        let temp = tempfile::tempdir().unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("a.b")).unwrap();
        let uid = nix::unistd::Uid::effective().as_raw();
        let key = Key::new(&project, shm.id(), uid);
        (temp, shm, key)
    }

    #[test]
    fn file_names_are_read_back() {
        let (_temp, _shm, key) = key();
        for (file, _) in SUFFIXES {
            assert_eq!(Key::parse(&key.file(file)), Some((key.clone(), file)));
        }
        for name in ["cute-shm.a.ABCDEF01.lock", "cute-shm.0123abcd.lock", "cute-shm.a.toml", "x"] {
            assert_eq!(Key::parse(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn a_ledger_is_read_as_it_was_written() {
        let (_temp, shm, key) = key();
        assert!(Ledger::read(&shm, &key).unwrap().is_none());
        let mut ledger = Ledger::new(&shm);
        ledger.current = Some(record("aaaaa"));
        ledger.next = Some(record("bbbbb"));
        ledger.retiring = vec![Token::try_from("ccccc".to_owned()).unwrap()];
        ledger.removing = Some(vec!["x".to_owned()]);
        ledger.write(&shm, &key).unwrap();
        assert_eq!(Ledger::read(&shm, &key).unwrap().unwrap().0, ledger);
        let tokens: Vec<_> = ledger.tokens().into_iter().map(Token::as_str).collect();
        assert_eq!(tokens, ["aaaaa", "bbbbb", "ccccc"]);
    }

    #[test]
    fn a_ledger_under_another_s_name_is_refused() {
        let (_temp, shm, key) = key();
        Ledger::new(&shm).write(&shm, &key).unwrap();
        let other = Key { hash: "00000000".to_owned(), ..key.clone() };
        shm.rename(&key.file(File::Ledger), &other.file(File::Ledger)).unwrap();
        assert_eq!(Ledger::read(&shm, &other).unwrap_err().kind(), Kind::Corrupt);
    }
}
