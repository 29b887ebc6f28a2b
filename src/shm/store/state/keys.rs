//! The keys of the projects of a root.

use std::collections::BTreeSet;
use std::io::Read as _;

use nix::fcntl::OFlag;

use crate::error::Result;
use crate::os::directory::Directory;
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, Ledger};
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{ProjectName, Token};
use crate::shm::store::listing::UNKNOWN_UID;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::{Scan, is_known};

/// Every wanted key that belongs to the root, sorted by name.
///
/// # Errors
/// Returns an I/O error if a directory cannot be listed.
pub(crate) fn keys_of_root(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<Key>> {
    let Some(root) = &dirs.root else { return Ok(Vec::new()) };
    let mut keys = BTreeSet::new();
    for project in scan.metadata()?.iter().filter(|project| wanted(project)) {
        let uid = match root.stat_of(&project.metadata_file()) {
            Lookup::Absent => continue,
            Lookup::Present(stat) => stat.st_uid,
            Lookup::Unreadable(_) => UNKNOWN_UID,
        };
        // An error about one project is the state of this project.
        let key = key_in_root(dirs, root, scan, project, uid);
        keys.insert(key.unwrap_or_else(|_| Key::new(project, root.id(), uid)));
    }
    let known = scan.keys(wanted)?.into_iter();
    keys.extend(known.filter(|key| *key == Key::new(&key.project, root.id(), key.uid)));
    Ok(keys.into_iter().collect())
}

/// The key of user `uid`'s project `name` in `root`. If the device number of the root changed since the load, the
/// ledger has a name with the old one: it is found by the load whose token the metadata bears.
///
/// # Errors
/// Returns an I/O error if a file cannot be inspected or the shm directory cannot be listed.
pub(crate) fn key_in_root(
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
