//! Held projects: the keeper waits until it is asked to exit or has lost the project, and removes the project.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::load::lifetime::background::Watched;
use crate::load::lifetime::command::reap;
use crate::os::signals::Caught;
use crate::os::signals::Signals;
use crate::os::threads::lock_ignoring_poison;
use crate::shm::format::ledger::{Key, Ledger, Lifetime};
use crate::shm::format::metadata::METADATA_LIMIT;
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{SegmentName, Token};
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::{self, LivenessLock};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::State;

/// How often a keeper checks whether it still owns the project, in milliseconds.
const POLL_INTERVAL: u16 = 400;

/// The time between two attempts to remove the project.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A held project. The process that owns this value removes the project on exit.
#[derive(Debug)]
pub struct HeldProject {
    key: Key,
    token: Token,
    life: Mutex<LivenessLock>,
    /// Inode and modification time of the metadata file at the last check.
    seen: Mutex<Option<(u64, i64, i64)>>,
}

/// The reason for which a keeper exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A signal.
    Signal(Caught),
    /// Another process removed the project.
    Removed,
    /// Another process replaced the project.
    Replaced,
    /// Another process made the project persistent: it needs no keeper.
    MadePersistent,
    /// The process that the project was held for has exited.
    Exited,
}

impl HeldProject {
    pub(crate) fn new(key: Key, token: Token, life: LivenessLock) -> Self {
        Self { key, token, life: Mutex::new(life), seen: Mutex::new(None) }
    }

    /// Waits until a signal arrives, the project is lost, or the process `until` has exited. A file that cannot be read
    /// does not mean that the project is lost: it is read again at the next check.
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
            // A shell that replaces itself with this program leaves its children to it, and process 1 gets all orphans.
            reap(None);
            if signals.wait(until.and_then(Watched::descriptor), POLL_INTERVAL)
                || until.is_some_and(Watched::has_ended)
            {
                return Ending::Exited;
            }
        }
    }

    /// Returns the reason if this keeper no longer owns the project.
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
    fn lost_to_python(&self, dirs: &NodeDirs) -> Result<Option<Ending>> {
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
            return Ok(Some(Ending::Removed));
        };
        // Not before: after a failure the next check must read everything again.
        *seen = now;
        let ours = Mark::parse(&text).is_some_and(|mark| mark.token == self.token);
        Ok((!ours).then_some(Ending::Replaced))
    }

    /// Removes the project, unless another keeper holds it or another process has replaced it. If another process changes
    /// the project for longer than [`lock::LOCK_TIMEOUT`], returns without an error: the lock holder evaluates the project
    /// again. Any other failure is retried for the same time.
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
