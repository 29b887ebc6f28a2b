//! Removal of a project: ledger, metadata, segments, ledger, lock file. After a kill between any two steps, the next
//! holder of the change lock, or `gc`, finishes the removal.

use std::collections::HashSet;
use std::ffi::OsStr;

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::os::directory::{Directory, FileId};
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyFile, Ledger};
use crate::shm::format::metadata::{METADATA_LIMIT, Metadata};
use crate::shm::format::name::SegmentName;
use crate::shm::format::temporary_name::Purpose;
use crate::shm::store::lock::ChangeLock;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::Scan;
use crate::shm::store::state::{Project, SegmentStat, State, digest};
use crate::shm::store::temporary;

/// A segment that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub name: SegmentName,
    /// The identity of its file, to find the processes that still have it mapped.
    pub file: FileId,
    /// Its memory in bytes.
    pub bytes: u64,
}

/// The segments that a removal removes.
pub fn segments_of(project: &Project, shm: &Directory) -> Vec<Removed> {
    let removed = |(name, stat): (&SegmentName, &SegmentStat)| Removed {
        name: name.clone(),
        file: FileId { dev: shm.id().dev, ino: stat.ino },
        bytes: stat.resident,
    };
    project.present.iter().chain(&project.leftovers).map(removed).collect()
}

/// Removes `project`, which the holder of `lock` has judged.
///
/// # Errors
/// Returns [`Kind::Permission`] if this process must not remove the project, [`Kind::Busy`] if the metadata was replaced
/// in the meantime, else the error of the system call.
pub fn remove(dirs: &NodeDirs, lock: ChangeLock, project: &Project) -> Result<Vec<Removed>> {
    ensure_removable(project, Owners::All)?;
    let removed = segments_of(project, &dirs.shm);
    let names = project.all_segments();
    let mut ledger = match (&project.ledger, &dirs.root) {
        (Some(ledger), _) => ledger.clone(),
        (None, Some(root)) => Ledger::new(root),
        (None, None) => Ledger::new(&dirs.shm),
    };
    ledger.removing = Some(names.iter().map(SegmentName::to_text).collect());
    match ledger.write(&dirs.shm, lock.key()) {
        // Removing is what makes room. A kill now would leave a project that is broken or abandoned.
        Err(error) if error.kind() == Kind::NoMemory => {}
        // Python accepts project names for which the temporary name of a ledger is too long.
        Err(error) if error.errno() == Some(libc::ENAMETOOLONG) => {}
        written => written?,
    }
    if let (Some(file), Some(root)) = (&project.file, &dirs.root) {
        let is_judged = |text: &str, id| id == file.id && digest(text) == file.digest;
        let taken = take_metadata(root, lock.key(), is_judged);
        if !matches!(taken, Ok(true)) {
            // The metadata still exists: the project is unchanged, and its ledger must be restored.
            restore(dirs, lock.key(), project.ledger.as_ref())?;
            taken?;
            let name = project.name();
            return Err(Error::new(
                Kind::Busy,
                format!("project '{name}' was replaced in the meantime"),
            )
            .with_subject(name.to_text()));
        }
    }
    remove_files(dirs, lock, &names)?;
    Ok(removed)
}

/// Removes a segment of user `uid`; returns false if it does not exist or belongs to another user. For orphans
/// the caller has proved that no process uses it.
///
/// # Errors
/// Returns an I/O error if the segment cannot be inspected or removed.
pub fn remove_segment(shm: &Directory, name: &SegmentName, uid: u32) -> Result<bool> {
    let removed = shm.remove_owned(name.as_os_str(), uid)?;
    if removed {
        log::debug!(target: "cute_shm", "removed segment {name}");
    }
    Ok(removed)
}

/// Finishes an interrupted removal. The ledger may name anything: files of another user stay.
///
/// # Errors
/// Returns an I/O error if a file cannot be read or removed.
pub fn finish(
    dirs: &NodeDirs,
    lock: ChangeLock,
    ledger: &Ledger,
    listed: Option<&Scan<'_>>,
) -> Result<()> {
    let project = lock.key().project.clone();
    let removing: HashSet<&str> = ledger.removing.iter().flatten().map(String::as_str).collect();
    let ours = |text: &str| {
        let Ok(metadata) = Metadata::parse(text) else { return false };
        metadata.leaves().iter().all(|array| removing.contains(array.segment.as_str()))
    };
    if let Some(root) = &dirs.root {
        remove_temporaries(root, lock.key(), listed, ours)?;
        take_metadata(root, lock.key(), |text, _| ours(text))?;
    }
    let names = removing.iter().map(OsStr::new);
    let names: Vec<_> = names.filter_map(|name| SegmentName::parse_for(&project, name)).collect();
    remove_files(dirs, lock, &names)
}

/// Whose projects may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Those of the effective user.
    Own,
    /// As root: those of all users.
    All,
}

impl Owners {
    /// Whether this process may remove the projects of user `uid`.
    pub(super) fn include(self, uid: u32) -> bool {
        let me = Uid::effective();
        uid == me.as_raw() || (self == Self::All && me.is_root())
    }
}

/// Fails if this process must not remove the project.
///
/// # Errors
/// Returns [`Kind::Permission`] if the project belongs to a user who is not among `owners`, or to another node, if it
/// cannot be judged, and if its metadata is not a regular file.
pub fn ensure_removable(project: &Project, owners: Owners) -> Result<()> {
    let name = project.name();
    let refused = |why: String, hint: &str| {
        Err(Error::new(Kind::Permission, format!("project '{name}' {why}"))
            .with_subject(name.to_text())
            .with_hint(hint))
    };
    if !owners.include(project.uid) {
        let why = format!("belongs to user {}", project.uid);
        return refused(why, "remove it as its owner, or as root with --all-users");
    }
    let because = project.why.as_deref().unwrap_or("its state is unknown");
    match project.state {
        State::Orphan => {
            let why = "consists of orphaned segments only".to_owned();
            refused(why, "'cute-shm gc --orphans' removes segments that no process uses")
        }
        State::Foreign => refused(
            format!("cannot be judged: {because}"),
            "remove it as its owner, outside of containers",
        ),
        State::Elsewhere => {
            let why = format!("does not belong to this node: {because}");
            refused(why, "run 'cute-shm unlink' where the project was loaded")
        }
        // A link, a FIFO or a file with two names was not read. Only its name may be removed.
        State::Corrupt if project.has_unreadable_file() => refused(
            format!("has metadata that is not a regular file: {because}"),
            "run 'cute-shm unlink' again, or inspect the file",
        ),
        _ => Ok(()),
    }
}

/// Removes the metadata file if `expected` accepts it. Returns false if it was replaced. On an error the file has its
/// name again. A file that is not text counts as empty, as it does for the judge.
fn take_metadata(
    root: &Directory,
    key: &Key,
    expected: impl Fn(&str, FileId) -> bool,
) -> Result<bool> {
    let name = key.project.metadata_file();
    if root.stat_of(&name).known()?.is_none_or(|stat| stat.st_uid != key.uid) {
        // It does not exist, or belongs to another user: there is nothing to remove.
        return Ok(true);
    }
    // Python's pattern for metadata does not match the new name, so no process reads the file in the meantime.
    let aside = match temporary::move_aside(root, key, &name) {
        Ok(aside) => aside,
        Err(error) if error.kind() == Kind::NotFound => return Ok(true),
        // Python accepts project names for which that name is too long. The file is compared in place then.
        Err(error) if error.errno() == Some(libc::ENAMETOOLONG) => {
            let expected = is_expected(root, key, &name, expected)?;
            return if expected { root.remove(&name) } else { Ok(false) };
        }
        Err(error) => return Err(error),
    };
    let removed = is_expected(root, key, &aside, expected)
        .and_then(|expected| if expected { root.remove(&aside) } else { Ok(false) });
    if !matches!(removed, Ok(true)) {
        root.rename_new(&aside, &name)?;
    }
    removed
}

fn is_expected(
    root: &Directory,
    key: &Key,
    aside: &OsStr,
    expected: impl Fn(&str, FileId) -> bool,
) -> Result<bool> {
    let text = match root.read_owned(aside, METADATA_LIMIT, key.uid) {
        Lookup::Unreadable(error) if error.kind() == Kind::Corrupt => None,
        found => found.known()?.map(|(text, _)| text),
    };
    let stat = root.stat_of(aside).known()?;
    Ok(stat.is_some_and(|stat| expected(text.as_deref().unwrap_or(""), FileId::of(&stat))))
}

/// Removes the temporary metadata files of an interrupted change. A removal that was killed may have left the
/// metadata aside: it gets its name back unless `ours` says that it was to be removed.
///
/// # Errors
/// Returns an I/O error if a file cannot be read, renamed or removed.
pub(crate) fn remove_temporaries(
    root: &Directory,
    key: &Key,
    listed: Option<&Scan<'_>>,
    ours: impl Fn(&str) -> bool,
) -> Result<()> {
    for (name, purpose) in temporary::in_root(root, key, listed)? {
        let text = match purpose {
            Purpose::Publication => None,
            Purpose::Removal => match root.read_owned(&name, METADATA_LIMIT, key.uid) {
                Lookup::Absent => continue,
                Lookup::Present((text, _)) => Some(text),
                Lookup::Unreadable(error) if error.kind() == Kind::Corrupt => Some(String::new()),
                Lookup::Unreadable(error) => return Err(error),
            },
        };
        if text.is_none_or(|text| ours(&text)) || is_obsolete(root, key, &name)? {
            root.remove_owned(&name, key.uid)?;
        }
    }
    Ok(())
}

/// Gives metadata that was taken aside its name back; true if newer metadata of the owner replaced it. Beside a
/// file of another user it stays aside, until that file is removed.
fn is_obsolete(root: &Directory, key: &Key, aside: &OsStr) -> Result<bool> {
    let name = key.project.metadata_file();
    if root.rename_new(aside, &name)? {
        return Ok(false);
    }
    Ok(root.stat_of(&name).known()?.is_some_and(|stat| stat.st_uid == key.uid))
}

fn restore(dirs: &NodeDirs, key: &Key, ledger: Option<&Ledger>) -> Result<()> {
    match ledger {
        Some(ledger) => ledger.write(&dirs.shm, key),
        None => dirs.shm.remove_owned(&key.file(KeyFile::Ledger), key.uid).map(drop),
    }
}

/// Removes segments, ledger and lock file, in this order: the ledger lists the remaining segments until none is left.
fn remove_files(dirs: &NodeDirs, lock: ChangeLock, names: &[SegmentName]) -> Result<()> {
    let uid = lock.key().uid;
    for name in names {
        remove_segment(&dirs.shm, name, uid)?;
    }
    dirs.shm.remove_owned(&lock.key().file(KeyFile::Ledger), uid)?;
    lock.remove_file(&dirs.shm)
}
