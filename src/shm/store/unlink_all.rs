//! Removes the project of any user, and for root every file that blocks its name.

use nix::unistd::Uid;

use crate::error::{Kind, Result};
use crate::shm::format::name::ProjectName;
use crate::shm::store::gc::squatters;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal::{Owners, Removed};
use crate::shm::store::unlink::{unlink, would_unlink};

/// Removes the project, or returns the segments that would be removed.
///
/// # Errors
/// As [`unlink`].
pub(crate) fn unlink_all(
    dirs: &NodeDirs,
    name: &ProjectName,
    dry_run: bool,
) -> Result<Vec<Removed>> {
    let cleared = match Uid::effective().is_root() {
        true => squatters::clear_name(dirs, name, dry_run)?,
        false => 0,
    };
    let removed = match dry_run {
        true => would_unlink(dirs, name, Owners::All),
        false => unlink(dirs, name, Owners::All),
    };
    match removed {
        Err(error) if error.kind() == Kind::NotFound && cleared > 0 => Ok(Vec::new()),
        removed => removed,
    }
}
