//! The ledger of a project under its change lock: creates, replaces and amends the project. The order of steps is the
//! protocol (docs/protocol.md): a kill between any two leaves the old or the new project whole.

use std::ffi::OsStr;

use nix::unistd::Uid;

use crate::error::{Error, Kind, Result};
use crate::os::directory::{Access, Directory, FileId};
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyFile, Ledger, Lifetime, Record};
use crate::shm::format::metadata::{METADATA_LIMIT, Mark, Metadata};
use crate::shm::format::name::{ProjectName, SegmentName, Token};
use crate::shm::format::temporary_name::{Purpose, root_name};
use crate::shm::store::lock::{ChangeLock, FailedLoad};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal;
use crate::shm::store::scan::{Scan, Settled};
use crate::shm::store::state::{self, Project, State};
use crate::shm::store::temporary::{self, Temporary};

/// The right to change a project: its change lock, and its ledger after recovery.
#[derive(Debug)]
pub struct LedgerStore<'a> {
    dirs: &'a NodeDirs,
    lock: ChangeLock,
    ledger: Ledger,
    is_listed: bool,
}

impl<'a> LedgerStore<'a> {
    /// Takes the change lock of this user's project `name` and recovers it. Waits for another holder while
    /// `keep_waiting` returns true.
    ///
    /// # Errors
    /// Returns [`Kind::Busy`] if another process changes the project, or the error of `keep_waiting`.
    pub fn begin(
        dirs: &'a NodeDirs,
        name: &ProjectName,
        keep_waiting: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let (root, scan) = (dirs.root()?, Scan::new(dirs));
        let key = state::key_in_root(dirs, root, &scan, name, Uid::effective().as_raw())?;
        Self::begin_for(dirs, &key, keep_waiting)
    }

    /// As [`Self::begin`], for the key of a judged project.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_for(
        dirs: &'a NodeDirs,
        key: &Key,
        keep_waiting: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        loop {
            if let Some(store) = Self::begin_listed(dirs, key, None, keep_waiting)? {
                return Ok(store);
            }
            // An interrupted removal was finished, and the lock file went with it: once more.
        }
    }

    /// As [`Self::begin_for`], for a process that changes many projects: the recovery takes the files of this
    /// project from the listing if that is still complete, and does not list the directories again. `None` if the
    /// recovery has finished an interrupted removal.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_listed(
        dirs: &'a NodeDirs,
        key: &Key,
        listed: Option<(&Scan<'_>, &Settled)>,
        keep_waiting: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Option<Self>> {
        let lock = ChangeLock::take(&dirs.shm, key, keep_waiting)?;
        let listed = listed.filter(|(_, settled)| settled.still_holds(&dirs.shm, key));
        let listed = listed.map(|(scan, _)| scan);
        let store = Self::recover(dirs, lock, listed)?;
        Ok(store.map(|store| Self { is_listed: listed.is_some(), ..store }))
    }

    /// Whether the listing that was given contains every segment of the project.
    pub fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Recovers the project: rolls a published load forward, removes an unpublished one. Everything is read before
    /// anything is changed, because a failed read does not mean "not published".
    fn recover(
        dirs: &'a NodeDirs,
        lock: ChangeLock,
        listed: Option<&Scan<'_>>,
    ) -> Result<Option<Self>> {
        let key = lock.key().clone();
        let found = match Ledger::read(&dirs.shm, &key, dirs.root.as_ref()) {
            // A damaged ledger claims nothing. Its segments become orphans, which gc removes.
            Lookup::Unreadable(error) if error.kind() == Kind::Corrupt => None,
            found => found.known()?,
        };
        if let Some(ledger) = &found
            && ledger.removing.is_some()
        {
            temporary::remove_ledgers(&dirs.shm, &key, listed)?;
            removal::finish(dirs, lock, ledger, listed)?;
            return Ok(None);
        }
        let published = match &found {
            Some(_) => read_published(dirs, &key).known()?,
            None => None,
        };
        temporary::remove_ledgers(&dirs.shm, &key, listed)?;
        if let Some(root) = &dirs.root {
            removal::remove_temporaries(root, &key, listed, |_| false)?;
        }
        let Some(mut ledger) = found else {
            let ledger = Ledger::new(dirs.root.as_ref().unwrap_or(&dirs.shm));
            return Ok(Some(Self { dirs, lock, ledger, is_listed: false }));
        };
        let before = ledger.clone();
        let mut dead = std::mem::take(&mut ledger.retiring);
        if let Some(next) = ledger.next.take() {
            if published.as_ref().is_some_and(|found| found.token.as_ref() == Some(&next.token)) {
                dead.extend(ledger.current.take().map(|old| old.token));
                let metadata = published.as_ref().map(|found| found.text.clone());
                ledger.current = Some(Record { metadata, ..next });
                // The segments that it replaces are removed below: it was committed.
            } else {
                dead.push(next.token);
            }
        }
        // Metadata without a mark that names other segments: a program without ledgers (Python) replaced the
        // project. A mark of an unknown load proves nothing: the owner of the root can put it there.
        if published.is_some_and(|found| found.names_arrays && found.token.is_none()) {
            dead.extend(ledger.current.take().map(|old| old.token));
        }
        let mut store = Self { dirs, lock, ledger, is_listed: false };
        store.remove_loads(&dead, listed)?;
        store.remove_replaced()?;
        if store.ledger != before {
            store.save_if_room()?;
        }
        Ok(Some(store))
    }

    /// Judges the project again. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// Returns an I/O error if it cannot be determined whose project it is.
    pub fn judge(&self) -> Result<Option<Project>> {
        let scan = Scan::new(self.dirs);
        // The name may be another user's: their metadata is in the way as much as ours.
        let other = state::key_of(self.dirs, &scan, &self.lock.key().project)?;
        let project = match other {
            Some(key) if key != *self.lock.key() => state::judge(self.dirs, &scan, &key),
            _ => state::judge_locked(self.dirs, &scan, self.lock.key()),
        };
        // A project that cannot be read exists.
        let nothing =
            project.file.is_none() && project.ledger.is_none() && project.state != State::Foreign;
        Ok((!nothing).then_some(project))
    }

    /// The error that the previous holder stored while this process waited.
    pub fn received_error(&self) -> Option<&FailedLoad> {
        self.lock.received_error()
    }

    /// Ends the change of a load that failed, and leaves its error for processes that wait for the same load.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_failed(self, failed: &FailedLoad) -> Result<()> {
        self.lock.store_error(failed);
        self.finish()
    }

    /// The change lock. The loader inherits it, and the liveness lock needs it.
    pub fn lock(&self) -> &ChangeLock {
        &self.lock
    }

    /// The record of the published load.
    pub fn current(&self) -> Option<&Record> {
        self.ledger.current.as_ref()
    }

    /// Records the load before it starts. From here on its segments can be found.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn announce(&mut self, record: Record) -> Result<()> {
        self.ledger.next = Some(record);
        self.save()
    }

    /// Changes the record of the published load, for example its jobs or lifetime.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn amend(&mut self, amend: impl FnOnce(&mut Record)) -> Result<()> {
        if let Some(current) = &mut self.ledger.current {
            amend(current);
        }
        self.save()
    }

    /// Publishes `text` as the metadata of the announced load: the commit point. The segments of
    /// the old load are removed after `grace`.
    ///
    /// # Errors
    /// Returns [`Kind::Exists`] if another program created the project in the meantime. The announced load must then be
    /// rolled back.
    pub fn publish(
        &mut self,
        text: String,
        access: &Access,
        replace: bool,
        amend: impl FnOnce(&mut Record),
        grace: impl FnOnce(),
    ) -> Result<()> {
        let Some(mut next) = self.ledger.next.clone() else {
            return Err(Error::new(Kind::Io, "nothing was announced"));
        };
        let root = self.dirs.root()?;
        let key = self.lock.key();
        let (name, file) = (&key.project, key.project.metadata_file());
        if text.len() as u64 > METADATA_LIMIT {
            let message = format!("the metadata of '{name}' would have {} bytes", text.len());
            return Err(Error::new(Kind::Unsupported, message)
                .with_subject(name.to_text())
                .with_hint("load fewer datasets with --include or --exclude"));
        }
        let random_name = || root_name(key, Purpose::Publication);
        let metadata = Temporary::write(root, random_name, &text, access)?;
        next.metadata = Some(text);
        amend(&mut next);
        let mut after = self.ledger.clone();
        after.next = None;
        after.retiring.extend(after.current.take().map(|old| old.token));
        after.current = Some(next);
        // The next ledger is written before the commit, so that nothing after it needs memory.
        let prepared = after.prepare(&self.dirs.shm, key)?;
        self.check_lock()?;
        let id = metadata.id();
        let published = match replace {
            true => metadata.replace(&file).map(|()| true),
            false => metadata.publish_new(&file),
        };
        if !published? {
            return Err(Error::new(
                Kind::Exists,
                format!("project '{name}' was created by another process during the load"),
            )
            .with_subject(name.to_text())
            .with_hint("use --overwrite to replace it"));
        }
        if is_owned_by_another_user(root) {
            check_published(root, &file, id)?;
        }
        // The commit has happened: even if the ledger cannot be replaced now, the new load stays.
        self.ledger = after;
        Ledger::put(prepared, self.lock.key())?;
        let replaces =
            self.ledger.current.as_ref().is_some_and(|current| !current.replaces.is_empty());
        if replaces || !self.ledger.retiring.is_empty() {
            grace();
            let retired = std::mem::take(&mut self.ledger.retiring);
            self.remove_loads(&retired, None)?;
            self.remove_replaced()?;
            self.save_if_room()?;
        }
        Ok(())
    }

    /// Fails if the lock file was removed: other processes could change the project at the same time.
    fn check_lock(&self) -> Result<()> {
        if self.lock.is_current(&self.dirs.shm)? {
            return Ok(());
        }
        let name = self.lock.key().project.to_text();
        let message = format!("the lock file of project '{name}' was removed during the load");
        Err(Error::new(Kind::Busy, message).with_subject(name).with_hint("try again"))
    }

    /// Removes the segments of another program that the published load replaces.
    fn remove_replaced(&mut self) -> Result<()> {
        let Some(current) = &mut self.ledger.current else { return Ok(()) };
        for name in std::mem::take(&mut current.replaces) {
            if let Some(segment) = SegmentName::parse_for(&self.lock.key().project, name.as_ref()) {
                removal::remove_segment(&self.dirs.shm, &segment, self.lock.key().uid)?;
            }
        }
        Ok(())
    }

    /// Restores the metadata file of a detached project from the ledger's copy.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the ledger has no copy, [`Kind::Exists`] when there is metadata.
    pub fn repair(&self) -> Result<()> {
        let record = self.ledger.current.as_ref();
        let Some((record, text)) = record.and_then(|r| Some((r, r.metadata.as_ref()?))) else {
            return Err(Error::new(Kind::NotFound, "the ledger has no copy of the metadata"));
        };
        let root = self.dirs.root()?;
        let name = &self.lock.key().project;
        let access =
            Access { mode: record.selection.mode.max(0o600), group: record.selection.group };
        let random_name = || root_name(self.lock.key(), Purpose::Publication);
        let metadata = Temporary::write(root, random_name, text, &access)?;
        if !metadata.publish_new(&name.metadata_file())? {
            return Err(Error::new(Kind::Exists, format!("project '{name}' has metadata again")));
        }
        Ok(())
    }

    /// Releases the lock. Rolls back a load that was announced but not published. Removes a held project whose keeper
    /// exited in the meantime, because the keeper could not.
    ///
    /// # Errors
    /// Returns the error of the system call. `gc` removes the leftover files.
    pub fn finish(mut self) -> Result<()> {
        if let Some(next) = self.ledger.next.take() {
            self.remove_loads(&[next.token], None)?;
            if self.ledger.current.is_some() {
                self.save_if_room()?;
            }
        }
        let nothing_left = self.ledger.current.is_none() && self.ledger.retiring.is_empty();
        if nothing_left {
            let key = self.lock.key();
            self.dirs.shm.remove_owned(&key.file(KeyFile::Ledger), key.uid)?;
            return self.lock.remove_file(&self.dirs.shm);
        }
        if self
            .ledger
            .current
            .as_ref()
            .is_none_or(|current| current.lifetime == Lifetime::Persistent)
        {
            return Ok(());
        }
        match self.judge()? {
            Some(project)
                if project.state == State::Abandoned && project.key == *self.lock.key() =>
            {
                self.remove(&project).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Removes the project, which was judged under this lock.
    ///
    /// # Errors
    /// As [`removal::remove`].
    pub fn remove(self, project: &Project) -> Result<Vec<removal::Removed>> {
        removal::remove(self.dirs, self.lock, project)
    }

    /// Removes every segment of these loads.
    fn remove_loads(&self, tokens: &[Token], listed: Option<&Scan<'_>>) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let (project, shm) = (&self.lock.key().project, &self.dirs.shm);
        let is_theirs = |segment: &SegmentName| tokens.iter().any(|token| segment.bears(token));
        let segments: Vec<_> = match listed {
            Some(scan) => {
                let all = scan.segments_of(project, self.lock.key().uid)?.iter();
                all.filter(|segment| is_theirs(segment)).cloned().collect()
            }
            None => {
                shm.filter_names(|name| SegmentName::parse_for(project, name).filter(is_theirs))?
            }
        };
        for segment in segments {
            removal::remove_segment(shm, &segment, self.lock.key().uid)?;
        }
        Ok(())
    }

    /// As [`Self::save`], where the ledger as it was leads the next holder to the same end: a full memory
    /// is no failure then.
    fn save_if_room(&self) -> Result<()> {
        match self.save() {
            Err(error) if error.kind() == Kind::NoMemory => Ok(()),
            saved => saved,
        }
    }

    fn save(&self) -> Result<()> {
        self.ledger.write(&self.dirs.shm, self.lock.key())
    }
}

struct Published {
    text: String,
    token: Option<Token>,
    names_arrays: bool,
}

/// Reads the metadata file of this owner. Damaged metadata does not prove a replacement: it has no token and names no
/// arrays.
fn read_published(dirs: &NodeDirs, key: &Key) -> Lookup<Published> {
    let Some(root) = &dirs.root else { return Lookup::Absent };
    let name = key.project.metadata_file();
    match root.stat_of(&name) {
        Lookup::Present(stat) if stat.st_uid == key.uid => {}
        Lookup::Present(_) | Lookup::Absent => return Lookup::Absent,
        Lookup::Unreadable(error) => return Lookup::Unreadable(error),
    }
    match root.read_owned(&name, METADATA_LIMIT, key.uid) {
        Lookup::Unreadable(error) if error.kind() == Kind::Corrupt => Lookup::Absent,
        found => found.map(|(text, _)| {
            let names_arrays = Metadata::parse(&text).is_ok_and(|found| !found.leaves().is_empty());
            let token = Mark::parse(&text).map(|mark| mark.token);
            Published { text, token, names_arrays }
        }),
    }
}

/// Whether a user who is neither this one nor root can replace every file in the directory.
fn is_owned_by_another_user(directory: &Directory) -> bool {
    ![0, Uid::effective().as_raw()].contains(&directory.stat().st_uid)
}

/// Compares the published file with the one that was written: the owner of the root can replace it.
fn check_published(root: &Directory, file: &OsStr, id: FileId) -> Result<()> {
    // Whether it was replaced cannot be determined: the published load must not lose its segments for that.
    let Ok(found) = root.stat_of(file).known() else { return Ok(()) };
    if found.is_some_and(|stat| FileId::of(&stat) == id) {
        return Ok(());
    }
    let shown = root.join(file);
    let message = format!(
        "'{}' was replaced or removed by another process right after its publication",
        shown.display()
    );
    Err(Error::new(Kind::Permission, message)
        .with_hint("choose a root directory of your own with --root DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_file_that_is_another_file_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let root = Directory::open(temp.path()).unwrap();
        let file = OsStr::new("cute-shm.p.toml");
        let publish = || {
            std::fs::write(temp.path().join("new"), "").unwrap();
            let id = FileId::of(&root.stat_of(OsStr::new("new")).known().unwrap().unwrap());
            root.rename(OsStr::new("new"), file).unwrap();
            id
        };
        let first = publish();
        check_published(&root, file, first).unwrap();
        let _second = publish();
        assert_eq!(check_published(&root, file, first).unwrap_err().kind(), Kind::Permission);
        root.remove(file).unwrap();
        assert_eq!(check_published(&root, file, first).unwrap_err().kind(), Kind::Permission);
    }
}
