//! Making and replacing a project under its change lock. The order of steps is the protocol
//! (docs/protocol.md): a kill between any two leaves the old or the new project whole.

use std::ffi::OsString;

use nix::unistd::Uid;

use super::directory::Access;
use super::ledger::{File, Key, Ledger, Lifetime, Record};
use super::lock::{ChangeLock, FailedLoad};
use super::metadata::{Mark, Metadata};
use super::name::{ProjectName, SegmentName, Token};
use super::place::Place;
use super::removal;
use super::state::{self, METADATA_LIMIT, Project, State};
use super::survey::Survey;
use crate::{Error, Kind, Result};

/// The right to change a project, with its ledger as the last holder left it, recovered.
#[derive(Debug)]
pub struct Change<'a> {
    place: &'a Place,
    lock: ChangeLock,
    uid: u32,
    ledger: Ledger,
}

impl<'a> Change<'a> {
    /// Takes the change lock of this user's project `name` and recovers what the last holder left.
    /// Another holder is waited for as long as `go_on` says so.
    ///
    /// # Errors
    /// [`Kind::Busy`] when somebody else is at it, or what `go_on` returns.
    pub fn begin(
        place: &'a Place,
        name: &ProjectName,
        go_on: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let uid = Uid::effective().as_raw();
        let key = Key::new(name, place.root()?.id(), uid);
        Self::begin_for(place, &key, uid, go_on)
    }

    /// As [`Self::begin`], for the key of a judged project.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_for(
        place: &'a Place,
        key: &Key,
        uid: u32,
        go_on: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        loop {
            let lock = ChangeLock::take(&place.shm, key, go_on)?;
            if let Some(change) = Self::recover(place, lock, uid)? {
                return Ok(change);
            }
            // An interrupted removal was finished, and the lock file went with it: once more.
        }
    }

    /// Brings the ledger to rest: rolls forward what was published, removes what was not.
    fn recover(place: &'a Place, lock: ChangeLock, uid: u32) -> Result<Option<Self>> {
        let key = lock.key().clone();
        place.shm.remove(&key.file(File::LedgerTemporary))?;
        let found = match Ledger::read(&place.shm, &key) {
            // What cannot be understood claims nothing: what it owned is left to gc as orphans.
            Err(error) if error.kind() == Kind::Corrupt => None,
            found => found?,
        };
        let Some((mut ledger, _)) = found else {
            let ledger = Ledger::new(place.root.as_ref().unwrap_or(&place.shm));
            return Ok(Some(Self { place, lock, uid, ledger }));
        };
        if ledger.removing.is_some() {
            removal::finish(place, lock, &ledger, uid)?;
            return Ok(None);
        }
        let before = ledger.clone();
        let published = published_token(place, &key, uid)?;
        let mut dead = std::mem::take(&mut ledger.retiring);
        if let Some(next) = ledger.next.take() {
            if let Some(root) = &place.root {
                root.remove(&temporary(&key.project, &next.token))?;
            }
            if published.as_ref().is_some_and(|found| found.token.as_ref() == Some(&next.token)) {
                dead.extend(ledger.current.take().map(|old| old.token));
                let metadata = published.as_ref().map(|found| found.text.clone());
                ledger.current = Some(Record { metadata, ..next });
                // What it replaces is removed below: the commit had happened.
            } else {
                dead.push(next.token);
            }
        }
        // Metadata that names other segments: another program replaced the project.
        if let (Some(found), Some(current)) = (&published, &ledger.current)
            && found.names_arrays
            && found.token.as_ref() != Some(&current.token)
        {
            dead.extend(ledger.current.take().map(|old| old.token));
        }
        let mut change = Self { place, lock, uid, ledger };
        change.remove_loads(&dead)?;
        change.remove_replaced()?;
        if change.ledger != before {
            change.save_if_room()?;
        }
        Ok(Some(change))
    }

    /// Judges the project as it is now; `None` when there is nothing of it.
    ///
    /// # Errors
    /// As [`state::judge`].
    pub fn judge(&self) -> Result<Option<Project>> {
        let survey = Survey::new(self.place);
        // The name may be another user's: their metadata is in the way as much as ours.
        let other = state::key_of(self.place, &survey, &self.lock.key().project)?;
        let project = match other {
            Some((key, uid)) if key != *self.lock.key() => {
                state::judge(self.place, &survey, &key, uid)?
            }
            _ => state::judge_locked(self.place, &survey, self.lock.key(), self.uid)?,
        };
        // What cannot be read is there all the same.
        let nothing =
            project.file.is_none() && project.ledger.is_none() && project.state != State::Foreign;
        Ok((!nothing).then_some(project))
    }

    /// What the holder that was waited for failed of.
    pub fn heard(&self) -> Option<&FailedLoad> {
        self.lock.heard()
    }

    /// Ends the change of a load that failed, and leaves its error for processes that wait for the same load.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn give_up(self, failed: &FailedLoad) -> Result<()> {
        self.lock.leave_word(failed);
        self.finish()
    }

    /// The lock, for the loader to inherit and the life lock to build on.
    pub fn lock(&self) -> &ChangeLock {
        &self.lock
    }

    /// The load that the project is of now, as the ledger knows it.
    pub fn current(&self) -> Option<&Record> {
        self.ledger.current.as_ref()
    }

    /// Writes down the load that is about to begin. From here on its segments can be found.
    ///
    /// # Errors
    /// As the system says.
    pub fn announce(&mut self, record: Record) -> Result<()> {
        self.ledger.next = Some(record);
        self.save()
    }

    /// Replaces what the ledger says of the current load: a job more, another lifetime.
    ///
    /// # Errors
    /// As the system says.
    pub fn amend(&mut self, amend: impl FnOnce(&mut Record)) -> Result<()> {
        if let Some(current) = &mut self.ledger.current {
            amend(current);
        }
        self.save()
    }

    /// Publishes `text` as the metadata of the announced load: the commit point. The old load's segments go after `grace` ends.
    ///
    /// # Errors
    /// [`Kind::Exists`] when another program made the project meanwhile; the announced load is still
    /// to be given up then.
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
        let root = self.place.root()?;
        let name = self.lock.key().project.clone();
        let (temporary, file) = (temporary(&name, &next.token), name.metadata_file());
        root.write_temporary(&temporary, &text, access)?;
        next.metadata = Some(text);
        amend(&mut next);
        let mut after = self.ledger.clone();
        after.next = None;
        after.retiring.extend(after.current.take().map(|old| old.token));
        after.current = Some(next);
        // What the ledger will say is written before the commit: afterwards nothing may fail for want of memory.
        if let Err(error) = after.prepare(&self.place.shm, self.lock.key()) {
            root.remove(&temporary)?;
            return Err(error);
        }
        let published = match replace {
            true => root.rename(&temporary, &file).map(|()| true),
            false => root.rename_new(&temporary, &file),
        };
        if !matches!(published, Ok(true)) {
            root.remove(&temporary)?;
            self.place.shm.remove(&self.lock.key().file(File::LedgerTemporary))?;
            published?;
            return Err(Error::new(
                Kind::Exists,
                format!("project '{name}' was made by another meanwhile"),
            )
            .about(name.to_text())
            .with_hint("use --overwrite to replace it"));
        }
        self.ledger = after;
        Ledger::put(&self.place.shm, self.lock.key())?;
        let replaces =
            self.ledger.current.as_ref().is_some_and(|current| !current.replaces.is_empty());
        if replaces || !self.ledger.retiring.is_empty() {
            grace();
            let retired = std::mem::take(&mut self.ledger.retiring);
            self.remove_loads(&retired)?;
            self.remove_replaced()?;
            self.save_if_room()?;
        }
        Ok(())
    }

    /// Removes what the published load replaces but another program made.
    fn remove_replaced(&mut self) -> Result<()> {
        let Some(current) = &mut self.ledger.current else { return Ok(()) };
        for name in std::mem::take(&mut current.replaces) {
            if let Some(segment) = SegmentName::parse_for(&self.lock.key().project, name.as_ref()) {
                removal::remove_segment(&self.place.shm, &segment)?;
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
        let root = self.place.root()?;
        let name = &self.lock.key().project;
        let access =
            Access { mode: record.selection.mode.max(0o600), group: record.selection.group };
        let temporary = temporary(name, &record.token);
        root.write_temporary(&temporary, text, &access)?;
        if !root.rename_new(&temporary, &name.metadata_file())? {
            root.remove(&temporary)?;
            return Err(Error::new(Kind::Exists, format!("project '{name}' has metadata again")));
        }
        Ok(())
    }

    /// Ends the change. A load that was announced but not published is taken back; a held project whose
    /// keeper left meanwhile is removed, because the keeper could not.
    ///
    /// # Errors
    /// As the system says; what is left is found by gc.
    pub fn finish(mut self) -> Result<()> {
        if let Some(next) = self.ledger.next.take() {
            if let Some(root) = &self.place.root {
                root.remove(&temporary(&self.lock.key().project, &next.token))?;
            }
            self.remove_loads(&[next.token])?;
            if self.ledger.current.is_some() {
                self.save_if_room()?;
            }
        }
        let nothing_left = self.ledger.current.is_none() && self.ledger.retiring.is_empty();
        if nothing_left {
            self.place.shm.remove(&self.lock.key().file(File::LedgerTemporary))?;
            self.place.shm.remove(&self.lock.key().file(File::Ledger))?;
            return self.lock.remove_file(&self.place.shm);
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
        removal::remove(self.place, self.lock, project)
    }

    /// Removes every segment of these loads.
    fn remove_loads(&self, tokens: &[Token]) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let project = &self.lock.key().project;
        for name in self.place.shm.names()? {
            if let Some(segment) = SegmentName::parse_for(project, &name)
                && tokens.iter().any(|token| segment.bears(token))
            {
                removal::remove_segment(&self.place.shm, &segment)?;
            }
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
        self.ledger.write(&self.place.shm, self.lock.key())
    }
}

/// Where the metadata is written before it is published.
fn temporary(project: &ProjectName, token: &Token) -> OsString {
    removal::hidden(project, token.as_str(), "new")
}

struct Published {
    text: String,
    token: Option<Token>,
    names_arrays: bool,
}

/// The metadata file of this owner, as far as it can be read; `None` when it is not there.
fn published_token(place: &Place, key: &Key, uid: u32) -> Result<Option<Published>> {
    let Some(root) = &place.root else { return Ok(None) };
    let name = key.project.metadata_file();
    if root.stat_of(&name)?.is_none_or(|stat| stat.st_uid != uid) {
        return Ok(None);
    }
    Ok(match root.read_text(&name, METADATA_LIMIT) {
        Ok(Some((text, _))) => {
            let names_arrays = Metadata::parse(&text).is_ok_and(|found| !found.leaves().is_empty());
            let token = Mark::parse(&text).map(|mark| mark.token);
            Some(Published { text, token, names_arrays })
        }
        // Damaged metadata says nothing about who replaced what.
        Ok(None) | Err(_) => None,
    })
}
