//! All projects of a root, and the segments that no project claims.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::os::lookup::Lookup;
use crate::os::threads;
use crate::shm::format::ledger::{Key, KeyFile, Ledger};
use crate::shm::format::name::{ProjectName, SegmentName, Token};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::Scan;
use crate::shm::store::state::{Project, SegmentStat, State, judge, keys_of_root};

/// The minimum number of projects for a thread.
const MIN_SHARE: usize = 8;

/// Judges every project of the root: those with metadata, and those that have only a ledger or a lock file.
///
/// # Errors
/// Returns an I/O error if a directory cannot be listed. A project that cannot be read is judged as such.
pub(crate) fn judge_all(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<Project>> {
    let keys = keys_of_root(dirs, scan, wanted)?;
    Ok(threads::each(&keys, MIN_SHARE, |key| {
        let mut project = judge(dirs, scan, key);
        project.drop_texts();
        project
    }))
}

/// Judges every project of the root, and what nothing claims, sorted by name. The error, if there is one, is about
/// files that were not read because too many exist.
///
/// # Errors
/// As [`judge_all`].
pub(crate) fn everything(
    dirs: &NodeDirs,
    wanted: impl Fn(&ProjectName) -> bool + Copy,
) -> Result<(Vec<Project>, Option<Error>)> {
    let scan = Scan::new(dirs);
    let mut projects = judge_all(dirs, &scan, wanted)?;
    let orphans = orphans(dirs, &scan, &projects, wanted)?;
    projects.extend(orphans);
    projects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((projects, scan.unread()))
}

/// Segments that no metadata of this root and no ledger claims, by project and owner.
///
/// # Errors
/// Returns the error of the system call.
pub(crate) fn orphans(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    judged: &[Project],
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<Project>> {
    let mut by_name: HashMap<&ProjectName, Vec<&Project>> = HashMap::new();
    for project in judged {
        by_name.entry(project.name()).or_default().push(project);
    }
    let mut found = Vec::new();
    for name in scan.segments()?.keys().filter(|name| wanted(name)) {
        let known = by_name.get(name).map_or(&[][..], Vec::as_slice);
        found.extend(orphans_of(dirs, scan, name, None, known)?);
    }
    Ok(found)
}

/// The segments of one project name that no ledger and none of `known`, the judged projects of that name, claims:
/// one project for each owner. With `owner`, only the segments of this user.
///
/// A claim counts only for segments of its own user: the file of one user neither keeps nor releases the segments
/// of another.
///
/// # Errors
/// Returns an I/O error if the shm directory cannot be read.
pub(crate) fn orphans_of(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    name: &ProjectName,
    owner: Option<u32>,
    known: &[&Project],
) -> Result<Vec<Project>> {
    let mut found: IndexMap<u32, Project> = IndexMap::new();
    let mut others: HashMap<u32, Vec<Token>> = HashMap::new();
    for segment in scan.segments()?.get(name).into_iter().flatten() {
        // Collected segments belong to the owner of their project.
        if known.iter().any(|project| project.has(segment)) {
            continue;
        }
        let Lookup::Present(stat) = dirs.shm.stat_of(segment.as_os_str()) else { continue };
        let uid = stat.st_uid;
        if owner.is_some_and(|owner| owner != uid) {
            continue;
        }
        let mut of_owner = known.iter().filter(|project| project.uid == uid);
        if of_owner.any(|project| may_have_any(project) || has_token_of(project, segment)) {
            continue;
        }
        // Read only for an owner that has a segment of which nothing is known yet.
        let others = match others.entry(uid) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(entry) => entry.insert(other_tokens(dirs, scan, name, uid, known)?),
        };
        if others.iter().any(|token| segment.bears(token)) {
            continue;
        }
        let key = Key { project: name.clone(), hash: String::new(), uid };
        let orphan = found.entry(uid).or_insert_with(|| Project {
            state: State::Orphan,
            why: Some("no metadata and no ledger claims these segments".to_owned()),
            ..Project::unjudged(key)
        });
        orphan.leftovers.insert(segment.clone(), SegmentStat::of(&stat));
    }
    Ok(found.into_values().collect())
}

fn has_token_of(project: &Project, segment: &SegmentName) -> bool {
    let tokens = project.ledger.as_ref().map(Ledger::tokens).unwrap_or_default();
    tokens.into_iter().any(|token| segment.bears(token))
}

/// A project of which not all is known may have any segment of its name.
fn may_have_any(project: &Project) -> bool {
    matches!(project.state, State::Foreign | State::Elsewhere | State::Corrupt)
}

/// The loads that ledgers of this name and user own, except those of judged projects: ledgers of other roots.
fn other_tokens(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    name: &ProjectName,
    uid: u32,
    judged: &[&Project],
) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    for key in scan.keys_named(name, uid)? {
        if judged.iter().any(|project| project.key == key) {
            continue;
        }
        match Ledger::read(&dirs.shm, &key, None) {
            Lookup::Absent => {}
            Lookup::Present(ledger) => tokens.extend(ledger.tokens().into_iter().cloned()),
            // Not a ledger of this user.
            Lookup::Unreadable(_) if is_foreign(dirs, &key)? => {}
            // A ledger that cannot be read may claim any segment of its project and owner.
            Lookup::Unreadable(_) => {
                tokens.extend(scan.segments_of(name, uid)?.iter().map(SegmentName::token));
            }
        }
    }
    Ok(tokens)
}

fn is_foreign(dirs: &NodeDirs, key: &Key) -> Result<bool> {
    let stat = dirs.shm.stat_of(&key.file(KeyFile::Ledger)).known()?;
    Ok(stat.is_none_or(|stat| stat.st_uid != key.uid))
}
