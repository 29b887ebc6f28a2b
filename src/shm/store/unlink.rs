//! Removes a whole project by its name: judges it, takes its lock, judges it again, and removes it as its owner.

use nix::unistd::Uid;

use crate::error::{Kind, Result};
use crate::os::credentials::act_as;
use crate::shm::format::name::ProjectName;
use crate::shm::store::gc::squatters;
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
pub fn would_unlink(dirs: &NodeDirs, name: &ProjectName, owners: Owners) -> Result<Vec<Removed>> {
    let project = match state::find_own(dirs, name) {
        Err(error) if error.kind() == Kind::NotFound => {
            return match clear_name(dirs, name, owners, true)? {
                0 => Err(error),
                _ => Ok(Vec::new()),
            };
        }
        found => found?,
    };
    if !is_unreadable_file(&project, owners) {
        removal::ensure_removable(&project, owners)?;
    }
    Ok(removal::segments_of(&project, &dirs.shm))
}

/// Removes the project: metadata, segments, ledger. With [`Owners::All`], root removes the project of another user,
/// and every file that blocks the name.
///
/// # Errors
/// Returns [`Kind::NotFound`] if there is no such project, [`Kind::Permission`] for a project of another user, and
/// [`Kind::Busy`] if another process changes it for longer than [`lock::LOCK_TIMEOUT`].
pub fn unlink(dirs: &NodeDirs, name: &ProjectName, owners: Owners) -> Result<Vec<Removed>> {
    let mut cleared = clear_name(dirs, name, owners, false)?;
    let mut judged = state::find_own(dirs, name);
    if let Ok(project) = &judged
        && is_unreadable_file(project, owners)
    {
        squatters::clear_metadata(dirs, project)?;
        cleared += 1;
        judged = state::find_own(dirs, name);
    }
    let judged = match judged {
        Err(error) if error.kind() == Kind::NotFound && cleared > 0 => return Ok(Vec::new()),
        judged => judged?,
    };
    removal::ensure_removable(&judged, owners)?;
    act_as(judged.uid, || remove(dirs, &judged))
}

/// Removes the files that block the name, for root with [`Owners::All`]. Returns their number.
fn clear_name(dirs: &NodeDirs, name: &ProjectName, owners: Owners, dry_run: bool) -> Result<usize> {
    if owners == Owners::All && Uid::effective().is_root() {
        return squatters::clear_name(dirs, name, dry_run);
    }
    Ok(0)
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
