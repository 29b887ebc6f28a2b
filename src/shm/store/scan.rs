//! One listing of both directories, read on demand: most questions about one project do not need it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::OnceLock;

use crate::error::{Error, Kind, Result};
use crate::os::directory::{Directory, FileId};
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyFile, KeyName};
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::temporary_name;
use crate::shm::store::listing::{self, NAME_LIMIT, UNKNOWN_UID, Unread};
use crate::shm::store::lock;
use crate::shm::store::node_dirs::NodeDirs;

/// The names of the listing, by the type of file.
#[derive(Debug)]
pub struct Scan<'p> {
    dirs: &'p NodeDirs,
    name_limit: usize,
    found: OnceLock<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Ledgers, locks and temporary ledgers in the shm directory.
    keys: BTreeMap<KeyName, Vec<OsString>>,
    /// Temporary metadata in the root.
    temporary: BTreeMap<KeyName, Vec<OsString>>,
    metadata: Vec<ProjectName>,
    segments: BTreeMap<ProjectName, Vec<SegmentName>>,
    /// The files that the listings of the shm directory and of the root left out.
    unread: [Unread; 2],
}

impl<'p> Scan<'p> {
    /// A scan of these directories. Nothing is read yet.
    pub fn new(dirs: &'p NodeDirs) -> Self {
        Self { dirs, name_limit: NAME_LIMIT, found: OnceLock::new() }
    }

    fn found(&self) -> Result<&Found> {
        if self.found.get().is_none() {
            let found = list(self.dirs, self.name_limit)?;
            return Ok(self.found.get_or_init(|| found));
        }
        Ok(self.found.get_or_init(Found::default))
    }

    /// Lists both directories now.
    ///
    /// # Errors
    /// Returns an I/O error if a directory cannot be listed.
    pub fn list(&self) -> Result<()> {
        self.found().map(drop)
    }

    /// The number of files that were left out of the listing, because too many files exist; 0 without a listing.
    pub fn unread_count(&self) -> u64 {
        self.found.get().map_or(0, |found| found.unread.iter().map(Unread::count).sum())
    }

    /// The error for files that were left out of the listing; `None` if all were read.
    pub fn unread(&self) -> Option<Error> {
        let count = self.unread_count();
        (count > 0).then(|| {
            let message = format!(
                "{count} files were not read: a directory has more than {NAME_LIMIT} files of projects"
            );
            let users: BTreeSet<u32> =
                self.found.get().into_iter().flat_map(|found| &found.unread).flat_map(Unread::users).collect();
            let users: Vec<String> = users.iter().map(u32::to_string).collect();
            Error::new(Kind::Partial, message)
                .with_hint(format!("remove files of the users with these numbers: {}", users.join(", ")))
        })
    }

    /// Fails if the files of user `uid`'s project `name` were left out of the listing.
    fn check_read(&self, name: &ProjectName, uid: u32) -> Result<&Found> {
        let found = self.found()?;
        if found.unread.iter().any(|unread| unread.has(name, uid)) {
            let shown = name.to_text();
            let message = format!(
                "the files of project '{shown}' were not read: user {uid} has too many files"
            );
            return Err(Error::new(Kind::Io, message).with_subject(shown));
        }
        Ok(found)
    }

    /// The projects that have a metadata file in the root.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn metadata(&self) -> Result<&[ProjectName]> {
        Ok(&self.found()?.metadata)
    }

    /// Segments by the project in their names.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn segments(&self) -> Result<&BTreeMap<ProjectName, Vec<SegmentName>>> {
        Ok(&self.found()?.segments)
    }

    /// The segments of projects with this name, among them all of user `uid`.
    ///
    /// # Errors
    /// Returns an I/O error if a directory cannot be listed, and if the listing left out this user's files.
    pub fn segments_of(&self, project: &ProjectName, uid: u32) -> Result<&[SegmentName]> {
        let found = self.check_read(project, uid)?;
        Ok(found.segments.get(project).map_or(&[], Vec::as_slice))
    }

    /// Every wanted key whose files exist, once for each user who owns one of them: a name says nothing about
    /// the owner.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn keys(&self, wanted: impl Fn(&ProjectName) -> bool) -> Result<BTreeSet<Key>> {
        let found = self.found()?;
        let mut keys = BTreeSet::new();
        for (name, files) in found.keys.iter().filter(|(name, _)| wanted(&name.project)) {
            keys.extend(keys_of(&self.dirs.shm, name, files));
        }
        let Some(root) = &self.dirs.root else { return Ok(keys) };
        for (name, files) in found.temporary.iter().filter(|(name, _)| wanted(&name.project)) {
            let ours = |key: &Key| *key == Key::new(&key.project, root.id(), key.uid);
            keys.extend(keys_of(root, name, files).into_iter().filter(ours));
        }
        Ok(keys)
    }

    /// The keys of user `uid`'s project that have files in the shm directory, of whatever root.
    ///
    /// # Errors
    /// As [`Self::segments_of`].
    pub fn keys_named(&self, project: &ProjectName, uid: u32) -> Result<BTreeSet<Key>> {
        let first = KeyName { project: project.clone(), hash: String::new() };
        let named = self.check_read(project, uid)?.keys.range(first..);
        let named = named.take_while(|(name, _)| name.project == *project);
        let keys = named.flat_map(|(name, files)| keys_of(&self.dirs.shm, name, files));
        Ok(keys.filter(|key| key.uid == uid).collect())
    }

    /// The names of the interrupted ledger replacements of `key`, of whatever owner.
    ///
    /// # Errors
    /// Returns an I/O error if a directory cannot be listed.
    pub fn temporary_ledgers(&self, key: &Key) -> Result<Vec<OsString>> {
        let name = KeyName { project: key.project.clone(), hash: key.hash.clone() };
        let found = self.check_read(&key.project, key.uid)?;
        let files = found.keys.get(&name).into_iter().flatten();
        let is_temporary = |file: &&OsString| matches!(KeyName::parse(file), Some((_, None)));
        Ok(files.filter(is_temporary).cloned().collect())
    }

    /// The names of the temporary metadata files of `key` in `root`, of whatever owner; `None` if this is not the
    /// root that was listed.
    ///
    /// # Errors
    /// Returns an I/O error if a directory cannot be listed.
    pub fn temporary_metadata(&self, root: &Directory, key: &Key) -> Result<Option<Vec<OsString>>> {
        if self.dirs.root.as_ref().is_none_or(|listed| listed.id() != root.id()) {
            return Ok(None);
        }
        let name = KeyName { project: key.project.clone(), hash: key.hash.clone() };
        let found = self.check_read(&key.project, key.uid)?;
        Ok(Some(found.temporary.get(&name).cloned().unwrap_or_default()))
    }

    /// Whether the owner of `key` left temporary files. Known only after a listing; without one, false.
    pub fn has_temporary_files(&self, key: &Key) -> bool {
        let Some(found) = self.found.get() else { return false };
        let name = KeyName { project: key.project.clone(), hash: key.hash.clone() };
        let in_shm = found.keys.get(&name).into_iter().flatten();
        let in_shm = in_shm.filter(|file| matches!(KeyName::parse(file), Some((_, None))));
        let in_root = found.temporary.get(&name).into_iter().flatten();
        let is_owned = |directory: &Directory, file| matches!(directory.stat_of(file), Lookup::Present(stat) if stat.st_uid == key.uid);
        in_shm.into_iter().any(|file| is_owned(&self.dirs.shm, file))
            || self
                .dirs
                .root
                .as_ref()
                .is_some_and(|root| in_root.into_iter().any(|file| is_owned(root, file)))
    }
}

/// Proof that a listing that was made later contains every segment of a project: its change lock was free, and the
/// ledger had this identity. A process announces a load in the ledger before it creates segments, and it holds the
/// change lock for as long as it creates any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled(Option<(FileId, i64, i64)>);

impl Settled {
    /// Observes the project before a listing. `None` if a process is changing it, or if that cannot be determined.
    pub fn before_listing(shm: &Directory, key: &Key) -> Option<Self> {
        let identity = Self::identity(shm, key)?;
        match lock::is_changing(shm, key) {
            Lookup::Absent | Lookup::Present(false) => Some(Self(identity)),
            Lookup::Present(true) | Lookup::Unreadable(_) => None,
        }
    }

    /// Whether the listing is still complete, for the holder of the change lock.
    pub fn still_holds(&self, shm: &Directory, key: &Key) -> bool {
        Self::identity(shm, key).as_ref() == Some(&self.0)
    }

    /// The identity of the ledger; `Some(None)` if there is no ledger, `None` if it cannot be inspected.
    #[allow(clippy::option_option)] // Absent and unknown are different answers.
    fn identity(shm: &Directory, key: &Key) -> Option<Option<(FileId, i64, i64)>> {
        match shm.stat_of(&key.file(KeyFile::Ledger)) {
            Lookup::Absent => Some(None),
            Lookup::Present(stat) => {
                Some(Some((FileId::of(&stat), stat.st_ctime, stat.st_ctime_nsec)))
            }
            Lookup::Unreadable(_) => None,
        }
    }
}

/// The projects that have a metadata file in the root.
///
/// # Errors
/// Returns the error of the system call.
pub(crate) fn metadata_in(root: &Directory) -> Result<BTreeSet<ProjectName>> {
    let listing = listing::read(root)?;
    Ok(listing.names.iter().filter_map(|name| ProjectName::of_metadata(name)).collect())
}

/// Whether the key's user owns its ledger or its lock.
///
/// # Errors
/// Returns an I/O error if a file cannot be inspected.
pub(crate) fn is_known(shm: &Directory, key: &Key) -> Result<bool> {
    for file in [KeyFile::Ledger, KeyFile::Lock] {
        if shm.stat_of(&key.file(file)).known()?.is_some_and(|stat| stat.st_uid == key.uid) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys of a name: one for each user who owns one of its files.
fn keys_of(directory: &Directory, name: &KeyName, files: &[OsString]) -> BTreeSet<Key> {
    let owner = |file: &OsString| match directory.stat_of(file) {
        Lookup::Absent => None,
        Lookup::Unreadable(_) => Some(UNKNOWN_UID),
        Lookup::Present(stat) => Some(stat.st_uid),
    };
    files.iter().filter_map(owner).map(|uid| name.of_user(uid)).collect()
}

fn list(dirs: &NodeDirs, limit: usize) -> Result<Found> {
    let mut found = Found::default();
    let shm = listing::read_up_to(&dirs.shm, limit)?;
    for name in shm.names {
        if let Some((key, _)) = KeyName::parse(&name) {
            found.keys.entry(key).or_default().push(name);
        } else if let Some((project, segment)) = SegmentName::parse(&name) {
            found.segments.entry(project).or_default().push(segment);
        }
    }
    for segments in found.segments.values_mut() {
        segments.sort();
    }
    let root = dirs.root.as_ref().map(|root| listing::read_up_to(root, limit));
    let root = root.transpose()?.unwrap_or_default();
    found.unread = [shm.unread, root.unread];
    for name in root.names {
        if let Some((key, _)) = temporary_name::parse_root_name(&name) {
            found.temporary.entry(key).or_default().push(name);
        } else if let Some(project) = ProjectName::of_metadata(&name) {
            found.metadata.push(project);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::ledger::Ledger;
    use crate::shm::format::ledger::tests::record;
    use crate::shm::store::lock::ChangeLock;
    use crate::shm::store::node_dirs::Paths;
    use crate::shm::store::state::{State, judge};
    use std::ffi::OsStr;

    #[test]
    fn project_whose_files_are_not_read_is_foreign_and_reported() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let paths = Paths { root: temp.path().join("root"), shm: temp.path().join("shm") };
        std::fs::create_dir(&paths.shm).unwrap();
        let dirs = NodeDirs::create(&paths).unwrap();
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        let root = dirs.root.as_ref().unwrap();
        let key = Key::new(&project, root.id(), nix::unistd::Uid::effective().as_raw());
        // An interrupted load. Without its segment in the listing, its ledger must stay.
        drop(ChangeLock::take_now(&dirs.shm, &key).unwrap());
        let mut ledger = Ledger::new(root);
        ledger.next = Some(record("aaaaa"));
        ledger.write(&dirs.shm, &key).unwrap();
        std::fs::write(paths.shm.join("cute-shm.p.aaaaa00000"), [1; 10]).unwrap();
        let state_up_to = |name_limit| {
            let scan = Scan { name_limit, ..Scan::new(&dirs) };
            scan.list().unwrap();
            let judged = judge(&dirs, &scan, &key);
            (judged.state, judged.leftovers.len(), scan.unread_count(), scan.unread())
        };
        let (state, leftovers, unread_count, error) = state_up_to(3);
        assert_eq!((state, leftovers, unread_count), (State::Abandoned, 1, 0));
        assert!(error.is_none());
        let (state, leftovers, unread_count, error) = state_up_to(2);
        assert_eq!((state, leftovers, unread_count), (State::Foreign, 0, 3));
        assert_eq!(error.unwrap().kind(), Kind::Partial);
    }

    #[test]
    fn settled_project_is_one_that_no_process_changes_and_none_has_changed_since() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        let key = Key::new(&project, shm.id(), nix::unistd::Uid::effective().as_raw());
        // Nothing exists; then a load announces itself.
        let settled = Settled::before_listing(&shm, &key).unwrap();
        let lock = ChangeLock::take_now(&shm, &key).unwrap();
        assert!(settled.still_holds(&shm, &key));
        assert_eq!(Settled::before_listing(&shm, &key), None, "the lock is held");
        let mut ledger = Ledger::new(&shm);
        ledger.next = Some(record("aaaaa"));
        ledger.write(&shm, &key).unwrap();
        assert!(!settled.still_holds(&shm, &key), "a load may have created segments");
        drop(lock);
        // The load is dead; then another one announces itself.
        let settled = Settled::before_listing(&shm, &key).unwrap();
        let _lock = ChangeLock::take_now(&shm, &key).unwrap();
        assert!(settled.still_holds(&shm, &key));
        ledger.next = Some(record("bbbbb"));
        ledger.write(&shm, &key).unwrap();
        assert!(!settled.still_holds(&shm, &key));
    }
}
