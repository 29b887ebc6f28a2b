//! The one way in which a project is removed: ledger, metadata, segments, ledger, lock file. A kill
//! between any two steps leaves what the next holder of the change lock, or gc, finishes.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use nix::unistd::Uid;

use super::directory::{Directory, FileId};
use super::ledger::{File, Key, Ledger};
use super::lock::ChangeLock;
use super::metadata::Metadata;
use super::name::{ProjectName, SegmentName};
use super::place::Place;
use super::state::{METADATA_LIMIT, Project, SegmentStat, State};
use crate::{Error, Kind, Result};

/// A segment that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub name: SegmentName,
    /// Which file it was, to find who still has it mapped.
    pub file: FileId,
    /// Memory that it took.
    pub bytes: u64,
}

/// What a removal takes with it.
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
/// [`Kind::Permission`] for what is not ours to remove, [`Kind::Busy`] when the metadata was replaced
/// meanwhile; else as the system says.
pub fn remove(place: &Place, lock: ChangeLock, project: &Project) -> Result<Vec<Removed>> {
    allowed(project, true)?;
    let removed = segments_of(project, &place.shm);
    let names = project.all_segments();
    let mut ledger = match (&project.ledger, &place.root) {
        (Some(ledger), _) => ledger.clone(),
        (None, Some(root)) => Ledger::new(root),
        (None, None) => Ledger::new(&place.shm),
    };
    ledger.removing = Some(names.iter().map(SegmentName::to_text).collect());
    match ledger.write(&place.shm, lock.key()) {
        // Removing is what makes room. A kill now would leave a project that is broken or abandoned.
        Err(error) if error.kind() == Kind::NoMemory => {}
        written => written?,
    }
    if let (Some(file), Some(root)) = (&project.file, &place.root)
        && !take_metadata(root, lock.key(), project.uid, |text, id| {
            id == file.id && text == file.text
        })?
    {
        restore(place, lock.key(), project.ledger.as_ref())?;
        let name = project.name();
        return Err(Error::new(Kind::Busy, format!("project '{name}' was replaced meanwhile"))
            .about(name.to_text()));
    }
    remove_files(place, lock, &names)?;
    Ok(removed)
}

/// Removes orphans: segments only, there is nothing else. The caller has proved that nobody has them.
///
/// # Errors
/// As the system says.
pub fn remove_segment(shm: &Directory, name: &SegmentName) -> Result<bool> {
    let removed = shm.remove(name.as_os_str())?;
    if removed {
        log::debug!(target: "cute_shm", "removed segment {name}");
    }
    Ok(removed)
}

/// Finishes an interrupted removal of user `uid`, whose ledger may say anything: what belongs to another
/// user stays.
///
/// # Errors
/// As the system says.
pub fn finish(place: &Place, lock: ChangeLock, ledger: &Ledger, uid: u32) -> Result<()> {
    let project = lock.key().project.clone();
    let removing: HashSet<&str> = ledger.removing.iter().flatten().map(String::as_str).collect();
    let ours = |text: &str| {
        let Ok(metadata) = Metadata::parse(text) else { return false };
        metadata.leaves().iter().all(|array| removing.contains(array.segment.as_str()))
    };
    if let Some(root) = &place.root {
        put_back_unless(root, lock.key(), ours)?;
        take_metadata(root, lock.key(), uid, |text, _| ours(text))?;
    }
    let mut names = Vec::new();
    for name in
        removing.iter().filter_map(|name| SegmentName::parse_for(&project, OsStr::new(name)))
    {
        if place.shm.stat_of(name.as_os_str())?.is_some_and(|stat| stat.st_uid == uid) {
            names.push(name);
        }
    }
    remove_files(place, lock, &names)
}

/// Whether a project may be removed at all. With `all_users` root removes what belongs to others.
///
/// # Errors
/// [`Kind::Permission`] for what is not ours, or cannot be trusted.
pub fn allowed(project: &Project, all_users: bool) -> Result<()> {
    let name = project.name();
    let refused = |why: String, hint: &str| {
        Err(Error::new(Kind::Permission, format!("project '{name}' {why}"))
            .about(name.to_text())
            .with_hint(hint))
    };
    let me = Uid::effective();
    if project.uid != me.as_raw() && !(me.is_root() && all_users) {
        let why = format!("belongs to user {}", project.uid);
        return refused(why, "its owner can remove it; root can with --all-users");
    }
    let because = project.why.as_deref().unwrap_or("it is not ours");
    match project.state {
        State::Orphan => {
            let why = "is but segments that nothing claims".to_owned();
            refused(why, "'cute-shm gc --orphans' reaps what nobody has")
        }
        State::Foreign => refused(
            format!("cannot be judged: {because}"),
            "its owner, on its own node, can remove it",
        ),
        State::Elsewhere => {
            refused(format!("is not of this node: {because}"), "remove it where it was loaded")
        }
        // A link, a FIFO or a file with two names was not read: nobody knows what it is.
        State::Corrupt if project.file.as_ref().is_some_and(|file| !file.trusted) => refused(
            format!("has metadata that cannot be trusted: {because}"),
            "look at that file by hand",
        ),
        _ => Ok(()),
    }
}

/// Takes the metadata file away if it is what `expected` says; false when it is another by now. What is
/// no text is an empty one here, as it is for the judge.
fn take_metadata(
    root: &Directory,
    key: &Key,
    uid: u32,
    expected: impl Fn(&str, FileId) -> bool,
) -> Result<bool> {
    let (name, aside) = (key.project.metadata_file(), aside(key));
    if root.stat_of(&name)?.is_some_and(|stat| stat.st_uid != uid) {
        // Another user's by now: there is none of ours.
        return Ok(true);
    }
    // A name that Python's pattern for metadata does not match, so that nobody reads it meanwhile.
    match root.rename(&name, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == Kind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    }
    let text = match root.read_text(&aside, METADATA_LIMIT) {
        Ok(found) => found.map(|(text, _)| text),
        Err(error) if error.kind() == Kind::Corrupt => None,
        Err(error) => return Err(error),
    };
    let stat = root.stat_of(&aside)?;
    let as_judged =
        stat.is_some_and(|stat| expected(text.as_deref().unwrap_or(""), FileId::of(&stat)));
    if as_judged {
        return root.remove(&aside).map(|_| true);
    }
    root.rename_new(&aside, &name)?;
    Ok(false)
}

/// A removal that was killed may have left the metadata aside.
fn put_back_unless(root: &Directory, key: &Key, ours: impl Fn(&str) -> bool) -> Result<()> {
    let aside = aside(key);
    match root.read_text(&aside, METADATA_LIMIT) {
        Ok(None) => Ok(()),
        Ok(Some((text, _))) if ours(&text) => root.remove(&aside).map(drop),
        _ => root.rename_new(&aside, &key.project.metadata_file()).map(drop),
    }
}

fn aside(key: &Key) -> OsString {
    hidden(&key.project, &key.hash, "aside")
}

/// A name in the root that neither Python nor we take for metadata.
pub(super) fn hidden(project: &ProjectName, middle: &str, end: &str) -> OsString {
    let mut name = OsString::from(".");
    name.push(project.file(&format!(".{middle}.{end}")));
    name
}

fn restore(place: &Place, key: &Key, ledger: Option<&Ledger>) -> Result<()> {
    match ledger {
        Some(ledger) => ledger.write(&place.shm, key),
        None => place.shm.remove(&key.file(File::Ledger)).map(drop),
    }
}

/// Segments, ledger, lock file: in this order, so that the ledger tells what is left until nothing is.
fn remove_files(place: &Place, lock: ChangeLock, names: &[SegmentName]) -> Result<()> {
    for name in names {
        remove_segment(&place.shm, name)?;
    }
    place.shm.remove(&lock.key().file(File::LedgerTemporary))?;
    place.shm.remove(&lock.key().file(File::Ledger))?;
    lock.remove_file(&place.shm)
}
