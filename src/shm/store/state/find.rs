//! The project that a name means, found without a listing if possible.

use nix::unistd::Uid;

use crate::error::{Error, Kind, Result};
use crate::shm::format::ledger::Key;
use crate::shm::format::name::ProjectName;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::{Scan, is_known};
use crate::shm::store::state::{Project, judge, key_in_root, keys_of_root, orphans};

/// Returns the judged project of this name, or its orphaned segments if nothing else exists.
///
/// # Errors
/// Returns [`Kind::NotFound`] if nothing exists.
pub(crate) fn find(dirs: &NodeDirs, name: &ProjectName) -> Result<Project> {
    let scan = Scan::new(dirs);
    match key_of(dirs, &scan, name)? {
        Some(key) => Ok(judge(dirs, &scan, &key)),
        None => find_orphans(dirs, &scan, name),
    }
}

/// As [`find`], but the caller's own project comes first: metadata of another user must not keep the caller from
/// removing its own project of the same name.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_own(dirs: &NodeDirs, name: &ProjectName) -> Result<Project> {
    if let Some(root) = &dirs.root {
        let scan = Scan::new(dirs);
        let key = key_in_root(dirs, root, &scan, name, Uid::effective().as_raw())?;
        if is_known(&dirs.shm, &key)? {
            return Ok(judge(dirs, &scan, &key));
        }
    }
    find(dirs, name)
}

fn find_orphans(dirs: &NodeDirs, scan: &Scan<'_>, name: &ProjectName) -> Result<Project> {
    let orphans = orphans(dirs, scan, &[], |orphan| orphan == name)?;
    if let Some(orphan) = orphans.into_iter().next() {
        return Ok(orphan);
    }
    let shown = name.to_text();
    Err(Error::new(Kind::NotFound, format!("there is no project '{shown}'"))
        .with_subject(shown)
        .with_hint("'cute-shm list -s' shows the projects of this node"))
}

/// The key that `name` means to this user: that of the owner of the metadata, else of this user, else any.
///
/// # Errors
/// Returns the error of the system call.
pub(crate) fn key_of(dirs: &NodeDirs, scan: &Scan<'_>, name: &ProjectName) -> Result<Option<Key>> {
    let Some(root) = &dirs.root else { return Ok(None) };
    if let Some(stat) = root.stat_of(&name.metadata_file()).known()? {
        return key_in_root(dirs, root, scan, name, stat.st_uid).map(Some);
    }
    let mine = Key::new(name, root.id(), Uid::effective().as_raw());
    if is_known(&dirs.shm, &mine)? {
        return Ok(Some(mine));
    }
    Ok(keys_of_root(dirs, scan, |project| project == name)?.into_iter().next())
}
