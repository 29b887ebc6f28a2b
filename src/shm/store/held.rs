//! Held projects: their keeper checks whether it still owns the project, and removes the project on exit.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::os::threads::lock_ignoring_poison;
use crate::shm::format::ledger::{Key, Ledger, Lifetime};
use crate::shm::format::metadata::METADATA_LIMIT;
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{ProjectName, SegmentName, Token};
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::{self, LivenessLock};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::State;

/// The time between two attempts to remove the project.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A held project. The process that owns this value removes the project on exit.
#[derive(Debug)]
pub(crate) struct HeldProject {
    key: Key,
    token: Token,
    life: Mutex<LivenessLock>,
    /// Inode and modification time of the metadata file at the last check.
    seen: Mutex<Option<(u64, i64, i64)>>,
}

/// The reason for which a keeper no longer owns its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another process removed the project.
    Removed,
    /// Another process replaced the project.
    Replaced,
    /// Another process made the project persistent: it needs no keeper.
    MadePersistent,
}

impl HeldProject {
    pub(crate) fn new(key: Key, token: Token, life: LivenessLock) -> Self {
        Self { key, token, life: Mutex::new(life), seen: Mutex::new(None) }
    }

    /// The project's name.
    pub(crate) fn project(&self) -> &ProjectName {
        &self.key.project
    }

    /// Returns the reason if this keeper no longer owns the project.
    ///
    /// # Errors
    /// Returns an I/O error if a file cannot be read, which does not mean that the project is lost.
    pub(crate) fn lost(&self, dirs: &NodeDirs) -> Result<Option<Loss>> {
        let current = match Ledger::read(&dirs.shm, &self.key, dirs.root.as_ref()).known()? {
            Some(ledger) if ledger.removing.is_none() => ledger.current,
            _ => None,
        };
        Ok(match current {
            None => Some(Loss::Removed),
            Some(current) if current.token != self.token => Some(Loss::Replaced),
            Some(current) if current.lifetime == Lifetime::Persistent => Some(Loss::MadePersistent),
            Some(_) => {
                self.renew_life_lock(dirs)?;
                self.lost_to_python(dirs)?
            }
        })
    }

    /// Takes the liveness lock again if its file was removed, because other processes do not see a lock on a removed
    /// file. If that fails (another process changes the project, or another user's file has the name), the next
    /// check tries again.
    fn renew_life_lock(&self, dirs: &NodeDirs) -> Result<()> {
        let mut life = lock_ignoring_poison(&self.life);
        if life.is_current(&dirs.shm, &self.key)? {
            return Ok(());
        }
        let Ok(store) = LedgerStore::begin_for(dirs, &self.key, &mut || Ok(false)) else {
            return Ok(());
        };
        if store.current().is_some_and(|current| current.token == self.token)
            && let Ok(renewed) = LivenessLock::take(&dirs.shm, &self.key, &self.token)
        {
            *life = renewed;
            drop(life);
            return store.finish();
        }
        // Without a liveness lock the project would be evaluated as abandoned: leave it unchanged.
        Ok(())
    }

    /// Returns the reason if the Python package, which has no ledgers, removed or replaced the project.
    fn lost_to_python(&self, dirs: &NodeDirs) -> Result<Option<Loss>> {
        let file = self.key.project.metadata_file();
        let root = dirs.root()?;
        let now = root.stat_of(&file).known()?;
        let now = now.map(|stat| (stat.st_ino, stat.st_mtime, stat.st_mtime_nsec));
        let mut seen = lock_ignoring_poison(&self.seen);
        if now == *seen {
            return Ok(None);
        }
        let is_ours = |segment: &SegmentName| segment.bears(&self.token);
        let mut is_left = false;
        dirs.shm.each_name(&mut |name| {
            is_left |=
                SegmentName::parse_for(&self.key.project, name).as_ref().is_some_and(is_ours);
        })?;
        if is_left {
            *seen = now;
            return Ok(None);
        }
        let Some((text, _)) = root.read_text(&file, METADATA_LIMIT).known()? else {
            return Ok(Some(Loss::Removed));
        };
        // Not before: after a failure the next check must read everything again.
        *seen = now;
        let ours = Mark::parse(&text).is_some_and(|mark| mark.token == self.token);
        Ok((!ours).then_some(Loss::Replaced))
    }

    /// Removes the project, unless another keeper holds it or another process has replaced it. If another process changes
    /// the project for longer than [`lock::LOCK_TIMEOUT`], returns without an error: the lock holder evaluates the project
    /// again. Any other failure is retried for the same time.
    ///
    /// # Errors
    /// Returns the last error. The project is `abandoned` then: `gc` removes it.
    pub(crate) fn release(self, dirs: &NodeDirs) -> Result<()> {
        drop(self.life);
        let begun = Instant::now();
        loop {
            match Self::try_release(dirs, &self.key, &self.token) {
                Err(error) if begun.elapsed() < lock::LOCK_TIMEOUT => {
                    let name = &self.key.project;
                    log::debug!(target: "cute_shm", "cannot remove '{name}' yet: {error}");
                    std::thread::sleep(RETRY_INTERVAL);
                }
                released => return released,
            }
        }
    }

    fn try_release(dirs: &NodeDirs, key: &Key, token: &Token) -> Result<()> {
        let store = match LedgerStore::begin_for(dirs, key, &mut lock::until_timeout()) {
            Err(error) if error.kind() == Kind::Busy => return Ok(()),
            store => store?,
        };
        let ours = store.current().is_some_and(|current| current.token == *token);
        match store.judge()? {
            Some(project) if ours && project.state == State::Abandoned => {
                store.remove(&project).map(drop)
            }
            _ => store.finish(),
        }
    }

    /// Makes the project persistent.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if this keeper no longer owns the project, and the errors of a change of the ledger.
    pub(crate) fn make_persistent(&self, dirs: &NodeDirs) -> Result<()> {
        let mut store = LedgerStore::begin_for(dirs, &self.key, &mut lock::until_timeout())?;
        if store.current().is_none_or(|current| current.token != self.token) {
            store.finish()?;
            let name = self.key.project.to_text();
            return Err(Error::new(
                Kind::NotFound,
                format!("project '{name}' was removed or replaced"),
            )
            .with_subject(name));
        }
        store.amend(|record| record.lifetime = Lifetime::Persistent)?;
        store.finish()
    }
}
