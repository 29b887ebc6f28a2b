//! Holding a project: its keeper waits until it is asked to end, or until the project is not its own
//! any more, and cleans up.

use nix::sys::signal::Signal;

use super::Signals;
use crate::shm::change::Change;
use crate::shm::ledger::{Key, Ledger};
use crate::shm::lock::LifeLock;
use crate::shm::name::{ProjectName, Token};
use crate::shm::place::Place;
use crate::shm::state::State;
use crate::{Kind, Result};

/// How often a keeper looks whether the project is still its own, in milliseconds.
const LOOK: u16 = 400;

/// A project that this process answers for.
#[derive(Debug)]
pub struct Held {
    project: ProjectName,
    token: Token,
    life: LifeLock,
}

/// Why a keeper ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// This signal asked for it.
    Signal(Signal),
    /// Somebody removed the project.
    Removed,
    /// Somebody put another in its place.
    Replaced,
}

impl Held {
    pub(super) fn new(project: &ProjectName, token: Token, life: LifeLock) -> Self {
        Self { project: project.clone(), token, life }
    }

    /// Waits until a signal comes or the project is gone.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait(&self, place: &Place, signals: &Signals) -> Result<Ending> {
        loop {
            if let Some(signal) = signals.take() {
                return Ok(Ending::Signal(signal));
            }
            if let Some(ending) = self.lost(place)? {
                return Ok(ending);
            }
            signals.wait(None, LOOK)?;
        }
    }

    /// Whether the project is not this keeper's any more.
    fn lost(&self, place: &Place) -> Result<Option<Ending>> {
        let key = self.key(place)?;
        let current = match Ledger::read(&place.shm, &key)? {
            Some((ledger, _)) if ledger.removing.is_none() => ledger.current,
            _ => None,
        };
        Ok(match current {
            None => Some(Ending::Removed),
            Some(current) if current.token != self.token => Some(Ending::Replaced),
            Some(_) => None,
        })
    }

    /// Removes the project, unless somebody else answers for it or has replaced it. When somebody is
    /// changing it just now, this keeper leaves: whoever holds the lock judges the project again.
    ///
    /// # Errors
    /// As the system says.
    pub fn release(self, place: &Place) -> Result<()> {
        let key = self.key(place)?;
        let uid = nix::unistd::Uid::effective().as_raw();
        drop(self.life);
        let change = match Change::begin_for(place, &key, uid, &mut || Ok(false)) {
            Err(error) if error.kind() == Kind::Busy => return Ok(()),
            change => change?,
        };
        let ours = change.current().is_some_and(|current| current.token == self.token);
        match change.judge()? {
            Some(project) if ours && project.state == State::Abandoned => {
                change.remove(&project).map(drop)
            }
            _ => change.finish(),
        }
    }

    fn key(&self, place: &Place) -> Result<Key> {
        let uid = nix::unistd::Uid::effective().as_raw();
        Ok(Key::new(&self.project, place.root()?.id(), uid))
    }
}
