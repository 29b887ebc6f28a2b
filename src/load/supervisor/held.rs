//! Holding a project: its keeper waits until it is asked to end, or until the project is not its own
//! any more, and cleans up.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::load::supervisor::background::Watched;
use crate::load::supervisor::command::reap;
use crate::os::signals::Caught;
use crate::os::signals::Signals;
use crate::shm::format::ledger::{Key, Ledger, Lifetime};
use crate::shm::format::metadata::METADATA_LIMIT;
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{SegmentName, Token};
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::{self, LivenessLock};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::State;

/// How often a keeper looks whether the project is still its own, in milliseconds.
const LOOK: u16 = 400;

/// How long a release that failed waits before the next attempt.
const RETRY: Duration = Duration::from_millis(50);

/// A project that this process answers for.
#[derive(Debug)]
pub struct HeldProject {
    key: Key,
    token: Token,
    life: Mutex<LivenessLock>,
    /// The metadata file when it was last looked at: inode and time.
    seen: Mutex<Option<(u64, i64, i64)>>,
}

/// Why a keeper ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// This signal asked for it.
    Signal(Caught),
    /// Somebody removed the project.
    Removed,
    /// Somebody put another in its place.
    Replaced,
    /// Somebody made it persistent: it stays without a keeper.
    MadePersistent,
    /// The process that it was held for has ended.
    Exited,
}

impl HeldProject {
    pub(crate) fn new(key: Key, token: Token, life: LivenessLock) -> Self {
        Self { key, token, life: Mutex::new(life), seen: Mutex::new(None) }
    }

    /// Waits until a signal comes, the project is gone, or the process `until` has ended. A file that cannot
    /// be read is not a lost project: it is read again at the next turn.
    pub fn wait(&self, dirs: &NodeDirs, signals: &Signals, until: Option<&Watched>) -> Ending {
        let mut failed = false;
        loop {
            if let Some(caught) = signals.take() {
                return Ending::Signal(caught);
            }
            match self.lost(dirs) {
                Ok(Some(ending)) => return ending,
                Ok(None) => failed = false,
                Err(error) if !failed => {
                    let name = &self.key.project;
                    log::warn!(target: "cute_shm", "cannot check project '{name}': {error}");
                    failed = true;
                }
                Err(_) => {}
            }
            // A shell that replaces itself with this program leaves its children to it, and to process 1 come all orphans.
            reap(None);
            if signals.wait(until.and_then(Watched::descriptor), LOOK)
                || until.is_some_and(Watched::has_ended)
            {
                return Ending::Exited;
            }
        }
    }

    /// Whether the project is not this keeper's any more.
    fn lost(&self, dirs: &NodeDirs) -> Result<Option<Ending>> {
        let current = match Ledger::read(&dirs.shm, &self.key, dirs.root.as_ref()).known()? {
            Some(ledger) if ledger.removing.is_none() => ledger.current,
            _ => None,
        };
        Ok(match current {
            None => Some(Ending::Removed),
            Some(current) if current.token != self.token => Some(Ending::Replaced),
            Some(current) if current.lifetime == Lifetime::Persistent => {
                Some(Ending::MadePersistent)
            }
            Some(_) => {
                self.renew_life_lock(dirs)?;
                self.lost_to_python(dirs)?
            }
        })
    }

    /// Takes the life lock again if its file was removed: on a removed file no other process sees it. While that
    /// is not possible (another process changes the project, or another user's file has the name), the keeper
    /// tries again at its next look.
    fn renew_life_lock(&self, dirs: &NodeDirs) -> Result<()> {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
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
        // Without a life lock the project would be judged abandoned: the change is dropped as it is.
        Ok(())
    }

    /// The Python package knows nothing of ledgers: it takes segments and metadata away, or puts its own there.
    fn lost_to_python(&self, dirs: &NodeDirs) -> Result<Option<Ending>> {
        let file = self.key.project.metadata_file();
        let root = dirs.root()?;
        let now = root.stat_of(&file).known()?;
        let now = now.map(|stat| (stat.st_ino, stat.st_mtime, stat.st_mtime_nsec));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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
            return Ok(Some(Ending::Removed));
        };
        // Only now: after a failure the next look has to read everything again.
        *seen = now;
        let ours = Mark::parse(&text).is_some_and(|mark| mark.token == self.token);
        Ok((!ours).then_some(Ending::Replaced))
    }

    /// Removes the project, unless somebody else answers for it or has replaced it. When somebody is
    /// changing it for longer than [`lock::LOCK_TIMEOUT`], this keeper leaves: whoever holds the lock judges the
    /// project again. Any other failure is tried again for as long.
    ///
    /// # Errors
    /// Returns the last error. The project is `abandoned` then: `gc` removes it.
    pub fn release(self, dirs: &NodeDirs) -> Result<()> {
        drop(self.life);
        let begun = Instant::now();
        loop {
            match Self::try_release(dirs, &self.key, &self.token) {
                Err(error) if begun.elapsed() < lock::LOCK_TIMEOUT => {
                    let name = &self.key.project;
                    log::debug!(target: "cute_shm", "cannot remove '{name}' yet: {error}");
                    std::thread::sleep(RETRY);
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

    /// Lets the project live without a keeper.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not this keeper's any more; else as the system says.
    pub fn make_persistent(&self, dirs: &NodeDirs) -> Result<()> {
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
