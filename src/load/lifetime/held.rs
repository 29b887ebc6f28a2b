//! The wait of a keeper that holds a project: until it is asked to exit, or has lost the project.

use crate::load::lifetime::command::reap;
use crate::os::signals::{Caught, Signals};
use crate::os::watched_process::WatchedProcess;
use crate::shm::store::held::{HeldProject, Loss};
use crate::shm::store::node_dirs::NodeDirs;

/// How often a keeper checks whether it still owns the project, in milliseconds.
const POLL_INTERVAL: u16 = 400;

/// The reason for which a keeper exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A signal.
    Signal(Caught),
    /// The project is no longer the keeper's.
    Lost(Loss),
    /// The process that the project was held for has exited.
    Exited,
}

/// Waits until a signal arrives, the project is lost, or the process `until` has exited. A file that cannot be read
/// does not mean that the project is lost: it is read again at the next check.
pub(crate) fn wait(
    held: &HeldProject,
    dirs: &NodeDirs,
    signals: &Signals,
    until: Option<&WatchedProcess>,
) -> Ending {
    let mut failed = false;
    loop {
        if let Some(caught) = signals.take() {
            return Ending::Signal(caught);
        }
        match held.lost(dirs) {
            Ok(Some(loss)) => return Ending::Lost(loss),
            Ok(None) => failed = false,
            Err(error) if !failed => {
                let name = held.project();
                log::warn!(target: "cute_shm", "cannot check project '{name}': {error}");
                failed = true;
            }
            Err(_) => {}
        }
        // A shell that replaces itself with this program leaves its children to it, and process 1 gets all orphans.
        reap(None);
        if signals.wait(until.and_then(WatchedProcess::descriptor), POLL_INTERVAL)
            || until.is_some_and(WatchedProcess::has_ended)
        {
            return Ending::Exited;
        }
    }
}
