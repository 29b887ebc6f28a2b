//! Removes a whole project by its name: judges it, takes its lock, judges it again, and removes it as its owner.

use crate::error::{Kind, Result};
use crate::os::credentials::act_as;
use crate::shm::format::name::ProjectName;
use crate::shm::store::blocked;
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal::{self, Owners, Removed};
use crate::shm::store::scan::Scan;
use crate::shm::store::state::{self, Project};

/// Returns the segments that [`unlink`] would remove.
///
/// # Errors
/// As [`unlink`].
pub(crate) fn would_unlink(
    dirs: &NodeDirs,
    name: &ProjectName,
    owners: Owners,
) -> Result<Vec<Removed>> {
    let project = state::find_own(dirs, name)?;
    if !is_unreadable_file(&project, owners) {
        removal::ensure_removable(&project, owners)?;
    }
    Ok(removal::segments_of(&project, &dirs.shm))
}

/// Removes the project: metadata, segments, ledger. With [`Owners::All`], root removes the project of another user.
///
/// # Errors
/// Returns [`Kind::NotFound`] if there is no such project, [`Kind::Permission`] for a project of another user, and
/// [`Kind::Busy`] if another process changes it for longer than [`lock::LOCK_TIMEOUT`].
pub(crate) fn unlink(dirs: &NodeDirs, name: &ProjectName, owners: Owners) -> Result<Vec<Removed>> {
    let mut judged = state::find_own(dirs, name)?;
    if is_unreadable_file(&judged, owners) {
        blocked::clear_metadata(dirs, &judged)?;
        judged = match state::find_own(dirs, name) {
            Err(error) if error.kind() == Kind::NotFound => return Ok(Vec::new()),
            judged => judged?,
        };
    }
    removal::ensure_removable(&judged, owners)?;
    act_as(judged.uid, || remove(dirs, &judged))
}

/// Whether the metadata is not a regular file with one name, and may be removed. It has no content to compare, and
/// only its name is removed.
fn is_unreadable_file(project: &Project, owners: Owners) -> bool {
    project.has_unreadable_file() && owners.include(project.uid)
}

/// Removes a project that was judged without its lock: takes the lock and judges again.
fn remove(dirs: &NodeDirs, judged: &Project) -> Result<Vec<Removed>> {
    let store = LedgerStore::begin_for(dirs, &judged.key, &mut lock::until_timeout())?;
    let scan = Scan::new(dirs);
    let project = state::judge_locked(dirs, &scan, &judged.key);
    store.remove(&project)
}
