//! The ledger as a file in the shm directory: reading, checks of its authority, and replacement.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::os::credentials;
use crate::os::directory::{Access, Directory};
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyFile, Ledger, VERSION, hash_of};
use crate::shm::format::metadata::METADATA_LIMIT;
use crate::shm::segment::new_segment::full;
use crate::shm::store::temporary::Temporary;

/// The largest ledger that is read. It contains a copy of the metadata and the origin of the arrays.
const LEDGER_LIMIT: u64 = 2 * METADATA_LIMIT;

impl Ledger {
    /// Returns an empty ledger for a project in `root`.
    pub fn new(root: &Directory) -> Self {
        Self {
            version: VERSION,
            root: canonical_path(root).to_string_lossy().into_owned(),
            root_id: root.id().to_string(),
            retiring: Vec::new(),
            removing: None,
            current: None,
            next: None,
        }
    }

    /// Reads the ledger of `key`. It is unreadable if another user owns it ([`Kind::Permission`]), if its
    /// version is newer ([`Kind::Permission`]), if its text is damaged or does not match its name
    /// ([`Kind::Corrupt`]), and if it describes another root than `root` ([`Kind::Corrupt`]).
    pub fn read(shm: &Directory, key: &Key, root: Option<&Directory>) -> Lookup<Self> {
        let name = key.file(KeyFile::Ledger);
        shm.read_owned(&name, LEDGER_LIMIT, key.uid).and_then(|(text, _)| {
            let ledger =
                Self::parse(&text).and_then(|ledger| ledger.check(key, root).map(|()| ledger));
            Lookup::from(ledger.map_err(|(kind, why)| {
                let shown = shm.join(&name);
                Error::new(kind, format!("the ledger '{}' {why}", shown.display()))
            }))
        })
    }

    fn check(
        &self,
        key: &Key,
        root: Option<&Directory>,
    ) -> std::result::Result<(), (Kind, String)> {
        if self.version > VERSION {
            return Err((Kind::Permission, "was written by a newer cute-shm".to_owned()));
        }
        if hash_of(&self.root_id, key.uid) != key.hash {
            // Inside a user namespace the owner's id outside may be unknown.
            return Err(match credentials::is_in_user_namespace() {
                true => (Kind::Permission, "cannot be judged in this user namespace".to_owned()),
                false => (Kind::Corrupt, "does not match its name".to_owned()),
            });
        }
        if root.is_some_and(|root| !self.is_of_root(root)) {
            return Err((Kind::Corrupt, "describes another root".to_owned()));
        }
        Ok(())
    }

    /// Whether this ledger describes a project in `root`. A file system that is mounted again may have another
    /// device number (automounter, overlay): then the same path and inode are the same root.
    pub fn is_of_root(&self, root: &Directory) -> bool {
        let id = root.id();
        if self.root_id == id.to_string() {
            return true;
        }
        let inode = self.root_id.split_once(':').and_then(|(_, inode)| inode.parse().ok());
        inode == Some(id.ino) && canonical_path(root) == Path::new(&self.root)
    }

    /// Replaces the ledger of `key`. The change lock must be held.
    ///
    /// # Errors
    /// Returns [`Kind::NoMemory`] if the shared memory is full, and an I/O error if another call fails. The
    /// old ledger is whole then.
    pub fn write(&self, shm: &Directory, key: &Key) -> Result<()> {
        Self::put(self.prepare(shm, key)?, key)
    }

    /// The first half of [`Self::write`], which allocates memory.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn prepare<'d>(&self, shm: &'d Directory, key: &Key) -> Result<Temporary<'d>> {
        let text = toml::to_string(self)
            .map_err(|e| Error::new(Kind::Io, format!("cannot write the ledger: {e}")))?;
        Temporary::write(shm, || key.temporary_file(), &text, &Access::default())
            .map_err(|e| full(e, shm))
    }

    /// The second half of [`Self::write`], which needs no memory: the prepared file becomes the ledger.
    ///
    /// # Errors
    /// Returns the error of `renameat`.
    pub fn put(prepared: Temporary<'_>, key: &Key) -> Result<()> {
        prepared.replace(&key.file(KeyFile::Ledger))
    }
}

/// The path of a directory from `/` without links: valid in every process, whatever its current directory.
fn canonical_path(directory: &Directory) -> PathBuf {
    let path = directory.path();
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::os::directory::FileId;
    use crate::shm::format::ledger::tests::record;
    use crate::shm::format::name::{ProjectName, Token};

    fn key() -> (tempfile::TempDir, Directory, Key) {
        let temp = tempfile::tempdir().unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("a.b")).unwrap();
        let uid = nix::unistd::Uid::effective().as_raw();
        let key = Key::new(&project, shm.id(), uid);
        (temp, shm, key)
    }

    #[test]
    fn a_ledger_is_read_as_it_was_written() {
        let (_temp, shm, key) = key();
        assert!(Ledger::read(&shm, &key, None).known().unwrap().is_none());
        let mut ledger = Ledger::new(&shm);
        ledger.current = Some(record("aaaaa"));
        ledger.next = Some(record("bbbbb"));
        ledger.retiring = vec![Token::try_from("ccccc".to_owned()).unwrap()];
        ledger.removing = Some(vec!["x".to_owned()]);
        ledger.write(&shm, &key).unwrap();
        assert_eq!(Ledger::read(&shm, &key, Some(&shm)).known().unwrap().unwrap(), ledger);
        let tokens: Vec<_> = ledger.tokens().into_iter().map(Token::as_str).collect();
        assert_eq!(tokens, ["aaaaa", "bbbbb", "ccccc"]);
    }

    #[test]
    fn ledger_under_another_name_is_refused() {
        let (_temp, shm, key) = key();
        Ledger::new(&shm).write(&shm, &key).unwrap();
        let other = Key { hash: "00000000".to_owned(), ..key.clone() };
        shm.rename(&key.file(KeyFile::Ledger), &other.file(KeyFile::Ledger)).unwrap();
        let error = Ledger::read(&shm, &other, None).known().unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
    }

    #[test]
    fn ledger_with_forged_root_id_is_refused() {
        let (_temp, shm, key) = key();
        // A root id whose hash collides with that of the real root: 32 bits are found in seconds, so here
        // the name follows from the forged id instead.
        let forged = FileId { dev: 1, ino: 2 };
        let ledger = Ledger { root_id: forged.to_string(), ..Ledger::new(&shm) };
        let collided = Key { hash: hash_of(&ledger.root_id, key.uid), ..key };
        ledger.write(&shm, &collided).unwrap();
        let error = Ledger::read(&shm, &collided, Some(&shm)).known().unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().contains("another root"), "{error}");
    }

    #[test]
    fn ledger_of_another_user_has_no_authority() {
        let (_temp, shm, key) = key();
        Ledger::new(&shm).write(&shm, &key).unwrap();
        let victim = Key { uid: key.uid + 1, ..key };
        let error = Ledger::read(&shm, &victim, None).known().unwrap_err();
        assert_eq!(error.kind(), Kind::Permission);
    }

    #[test]
    fn ledger_records_the_root_as_an_absolute_path_without_links() {
        let (temp, _shm, _key) = key();
        let link = temp.path().join("link");
        std::fs::create_dir(temp.path().join("root")).unwrap();
        std::os::unix::fs::symlink(temp.path(), &link).unwrap();
        let root = Directory::open(&link.join("root")).unwrap();
        let expected = std::fs::canonicalize(temp.path()).unwrap().join("root");
        assert_eq!(std::path::Path::new(&Ledger::new(&root).root), expected);
    }
}
