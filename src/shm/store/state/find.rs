//! The project that a name means, found without a listing if possible.

use std::io::Read as _;

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use crate::error::{Error, Kind, Result};
use crate::os::directory::Directory;
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, Ledger};
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{ProjectName, Token};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::{Scan, is_known};
use crate::shm::store::state::{Project, judge, keys_of_root, orphans};

/// Returns the judged project of this name, or its orphaned segments if nothing else exists.
///
/// # Errors
/// Returns [`Kind::NotFound`] if nothing exists.
pub fn find(dirs: &NodeDirs, name: &ProjectName) -> Result<Project> {
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
pub fn find_own(dirs: &NodeDirs, name: &ProjectName) -> Result<Project> {
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
pub fn key_of(dirs: &NodeDirs, scan: &Scan<'_>, name: &ProjectName) -> Result<Option<Key>> {
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

/// The key of user `uid`'s project `name` in `root`. If the device number of the root changed since the load, the
/// ledger has a name with the old one: it is found by the load whose token the metadata bears.
///
/// # Errors
/// Returns an I/O error if a file cannot be inspected or the shm directory cannot be listed.
pub fn key_in_root(
    dirs: &NodeDirs,
    root: &Directory,
    scan: &Scan<'_>,
    name: &ProjectName,
    uid: u32,
) -> Result<Key> {
    let key = Key::new(name, root.id(), uid);
    if is_known(&dirs.shm, &key)? {
        return Ok(key);
    }
    let Some(token) = marked_load(dirs, root, &key) else { return Ok(key) };
    let bears = |ledger: &Ledger| {
        [&ledger.current, &ledger.next].into_iter().flatten().any(|record| record.token == token)
    };
    let found = scan.keys_named(name, uid)?.into_iter().find(|other| {
        let ledger = Ledger::read(&dirs.shm, other, Some(root));
        matches!(ledger, Lookup::Present(ledger) if bears(&ledger))
    });
    Ok(found.unwrap_or(key))
}

/// The load in the header comment of the metadata, if it was published here in this boot.
fn marked_load(dirs: &NodeDirs, root: &Directory, key: &Key) -> Option<Token> {
    /// A mark is one line with a host name of at most 64 bytes.
    const LINE: u64 = 512;
    let file = key.project.metadata_file();
    let opened = root.open_owned(&file, OFlag::O_RDONLY, key.uid);
    let Lookup::Present((file, _)) = opened else { return None };
    let mut line = Vec::new();
    file.take(LINE).read_to_end(&mut line).ok()?;
    let mark = Mark::parse(&String::from_utf8_lossy(&line))?;
    let is_here = mark.boot == dirs.host.boot && mark.shm == dirs.shm.id().to_string();
    is_here.then_some(mark.token)
}
