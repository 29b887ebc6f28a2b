//! The verdict: the state that follows from the evidence, tested in a fixed order.

use std::ffi::OsStr;

use crate::error::{Kind, Result};
use crate::os::credentials;
use crate::os::host;
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyFile, Ledger, Lifetime};
use crate::shm::format::metadata::{Mark, Metadata};
use crate::shm::store::lock;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::Scan;
use crate::shm::store::state::evidence::{
    Read, collect_leftovers, collect_segments, read_metadata, unreadable_segment,
};
use crate::shm::store::state::{Project, State};

/// Judges the project `key`. A read that fails makes it `foreign`, with the reason: what cannot be read is
/// never changed, and does not stop the caller from handling other projects.
pub(crate) fn judge(dirs: &NodeDirs, scan: &Scan<'_>, key: &Key) -> Project {
    let mut project = judge_as(dirs, scan, key, Observer::Other);
    // Segments that vanish while we look may have been replaced: then there is other metadata by now.
    for _ in 0..3 {
        if project.missing.is_empty() || !was_replaced(dirs, &project) {
            break;
        }
        project = judge_as(dirs, scan, key, Observer::Other);
    }
    project
}

/// Whether the metadata file is another than the one that was judged.
fn was_replaced(dirs: &NodeDirs, project: &Project) -> bool {
    let now = match read_metadata(dirs, project) {
        Lookup::Present(Read::Good(file, _) | Read::Bad(file, _)) => Some(file.digest),
        Lookup::Absent | Lookup::Unreadable(_) => None,
    };
    now != project.file.as_ref().map(|file| file.digest)
}

/// As [`judge`], by the holder of the change lock: the lock is free then, but for itself.
pub(crate) fn judge_locked(dirs: &NodeDirs, scan: &Scan<'_>, key: &Key) -> Project {
    judge_as(dirs, scan, key, Observer::LockHolder)
}

fn judge_as(dirs: &NodeDirs, scan: &Scan<'_>, key: &Key, observer: Observer) -> Project {
    let mut project = Project::unjudged(key.clone());
    (project.state, project.why) = match find_verdict(dirs, scan, &mut project, observer) {
        Ok(verdict) => verdict,
        Err(error) => (State::Foreign, Some(error.to_string())),
    };
    project
}

/// The process that judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Observer {
    /// It holds the change lock of the project.
    LockHolder,
    /// It does not. If the change lock is held, another process is changing the project.
    Other,
}

type Verdict = (State, Option<String>);

/// What reading the ledger gave, beside the ledger itself.
enum LedgerState {
    /// It was read, or there is none.
    Known,
    /// It exists and cannot be read.
    Unseen(String),
    /// Its contents are damaged.
    Bad(String),
}

fn find_verdict(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    project: &mut Project,
    observer: Observer,
) -> Result<Verdict> {
    if credentials::host_uid(project.uid).is_none() {
        let why = "its owner has no id in this user namespace".to_owned();
        return Ok((State::Foreign, Some(why)));
    }
    let found = read_metadata(dirs, project).known()?;
    let ledger = read_ledger(dirs, project)?;
    let unseen = match &ledger {
        LedgerState::Unseen(why) => Some(why.as_str()),
        _ => None,
    };
    let verdict = match found {
        Some(Read::Bad(file, why)) => {
            project.file = Some(file);
            collect_leftovers(dirs, scan, project)?;
            (State::Corrupt, Some(why))
        }
        Some(Read::Good(file, metadata)) => {
            project.file = Some(file);
            project.metadata = Some(metadata);
            judge_with_metadata(dirs, scan, project, unseen, observer)?
        }
        None => match unseen {
            Some(why) => (State::Foreign, Some(why.to_owned())),
            None => judge_without_metadata(dirs, scan, project, observer)?,
        },
    };
    Ok(match ledger {
        LedgerState::Bad(why) if !matches!(verdict.0, State::Foreign | State::Elsewhere) => {
            judge_bad_ledger(scan, project, why)?
        }
        _ => verdict,
    })
}

fn read_ledger(dirs: &NodeDirs, project: &mut Project) -> Result<LedgerState> {
    Ok(match Ledger::read(&dirs.shm, &project.key, dirs.root.as_ref()) {
        Lookup::Absent => LedgerState::Known,
        Lookup::Present(ledger) => {
            project.ledger = Some(ledger);
            LedgerState::Known
        }
        Lookup::Unreadable(error) if error.kind() == Kind::Corrupt => {
            LedgerState::Bad(error.to_string())
        }
        Lookup::Unreadable(error) => {
            // A file of another user says nothing about this project: its owner has no ledger there.
            match is_squatted(dirs, &project.key, KeyFile::Ledger)? {
                true => LedgerState::Known,
                false => LedgerState::Unseen(format!("its ledger cannot be read: {error}")),
            }
        }
    })
}

/// Whether a file of another user has this name of the project. Such a file has no authority.
fn is_squatted(dirs: &NodeDirs, key: &Key, file: KeyFile) -> Result<bool> {
    let stat = dirs.shm.stat_of(&key.file(file)).known()?;
    Ok(stat.is_some_and(|stat| stat.st_uid != key.uid))
}

/// A damaged ledger beside nothing else is no project. Its owner cannot keep memory with it, so it is removed
/// like an interrupted load.
fn judge_bad_ledger(scan: &Scan<'_>, project: &Project, why: String) -> Result<Verdict> {
    let has_nothing =
        project.file.is_none() && scan.segments_of(&project.key.project, project.uid)?.is_empty();
    Ok((if has_nothing { State::Abandoned } else { State::Corrupt }, Some(why)))
}

fn judge_with_metadata(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    project: &mut Project,
    unseen: Option<&str>,
    observer: Observer,
) -> Result<Verdict> {
    let mark = project.metadata.as_ref().and_then(|metadata| metadata.mark.clone());
    if let Some(why) = mark.as_ref().and_then(|mark| is_elsewhere(dirs, mark)) {
        return Ok((State::Elsewhere, Some(why)));
    }
    if let (Some(why), Some(_)) = (unseen, &mark) {
        return judge_as_reader(dirs, project, why);
    }
    if let Some(verdict) = judge_activity(dirs, scan, project, observer)? {
        return Ok(verdict);
    }
    if let Some(verdict) = mark.as_ref().and_then(|mark| find_tampering(project, mark)) {
        return Ok(verdict);
    }
    Ok(judge_segments(dirs, project, mark.as_ref()))
}

/// A project whose ledger this user may not read is live if this user can read its metadata and every segment.
/// Whether it is held, and whether its keeper is alive, is not visible then.
fn judge_as_reader(dirs: &NodeDirs, project: &mut Project, why: &str) -> Result<Verdict> {
    if let Some(wrong) = collect_segments(dirs, project)? {
        return Ok((State::Corrupt, Some(wrong)));
    }
    let unreadable = match project.missing.is_empty() {
        true => unreadable_segment(dirs, project),
        false => Some(why.to_owned()),
    };
    Ok((if unreadable.is_some() { State::Foreign } else { State::Live }, unreadable))
}

/// Metadata whose mark names a load that the ledger does not know was put there by another process: the owner of
/// the root directory can do that. Only the metadata of programs without ledgers (Python) has no mark.
fn find_tampering(project: &Project, mark: &Mark) -> Option<Verdict> {
    if credentials::is_in_user_namespace()
        && project.ledger.is_none()
        && !project.present.is_empty()
    {
        let why = "its ledger cannot be found in this user namespace".to_owned();
        return Some((State::Foreign, Some(why)));
    }
    let ledger = project.ledger.as_ref()?;
    let current = ledger.current.as_ref()?;
    let is_known = [Some(current), ledger.next.as_ref()]
        .into_iter()
        .flatten()
        .any(|record| record.token == mark.token);
    (!is_known).then(|| {
        let why =
            format!("its metadata is of load '{}', which its ledger does not know", mark.token);
        (State::Corrupt, Some(why))
    })
}

/// The tests that apply with the metadata file and without it: forbidden segments, a held change lock, an interrupted
/// change, a keeper that exited.
fn judge_activity(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    project: &mut Project,
    observer: Observer,
) -> Result<Option<Verdict>> {
    let wrong = collect_segments(dirs, project)?;
    collect_leftovers(dirs, scan, project)?;
    if let Some(why) = wrong {
        return Ok(Some((State::Corrupt, Some(why))));
    }
    let has_file = project.file.is_some();
    let unfinished = has_file && is_unfinished(dirs, scan, project)?;
    let is_changing = match lock::is_changing(&dirs.shm, &project.key) {
        Lookup::Absent => false,
        Lookup::Present(is_changing) => is_changing,
        Lookup::Unreadable(error) => {
            // Under a lock file of another user there is none of the owner: no process changes the project.
            if !is_squatted(dirs, &project.key, KeyFile::Lock)? {
                return Err(error);
            }
            false
        }
    };
    if is_changing && observer == Observer::Other {
        project.changing = has_file;
        let whole = has_file && project.missing.is_empty();
        return Ok(Some((if whole { State::Live } else { busy_state(project) }, None)));
    }
    project.unfinished = unfinished;
    match interrupted(project) {
        Some(why) => Ok(Some((State::Abandoned, Some(why.to_owned())))),
        None => dead_keeper(dirs, project),
    }
}

/// The interrupted change that the ledger records.
fn interrupted(project: &Project) -> Option<&'static str> {
    let has_file = project.file.is_some();
    match &project.ledger {
        None if has_file => None,
        None => Some("a load was interrupted at its start"),
        Some(ledger) if ledger.removing.is_some() => Some("its removal was interrupted"),
        Some(ledger) if !has_file && ledger.current.is_none() => Some("its load was interrupted"),
        Some(_) => None,
    }
}

/// Whether an interrupted change left files. It is known only while no process changes the project.
fn is_unfinished(dirs: &NodeDirs, scan: &Scan<'_>, project: &Project) -> Result<bool> {
    if !project.leftovers.is_empty() || scan.has_temporary_files(&project.key) {
        return Ok(true);
    }
    let Some(ledger) = &project.ledger else {
        let lock = dirs.shm.stat_of(&project.key.file(KeyFile::Lock)).known()?;
        return Ok(lock.is_some_and(|stat| stat.st_uid == project.uid));
    };
    let metadata = project.metadata.as_ref();
    let replaced = metadata.is_some_and(|metadata| {
        ledger.current.is_some() && metadata.mark.is_none() && !metadata.leaves().is_empty()
    });
    Ok(ledger.next.is_some() || !ledger.retiring.is_empty() || replaced)
}

/// A held project is alive while its liveness lock is held.
fn dead_keeper(dirs: &NodeDirs, project: &Project) -> Result<Option<Verdict>> {
    let Some(record) = project.record() else { return Ok(None) };
    if record.lifetime != Lifetime::Held {
        return Ok(None);
    }
    // A lock file of another user in the place of the owner's proves nothing: not a dead keeper.
    Ok(match lock::is_alive(&dirs.shm, &project.key, &record.token).known()? {
        Some(true) => None,
        Some(false) | None => Some((
            State::Abandoned,
            Some(format!("its keeper, process {}, has exited", record.keeper.pid)),
        )),
    })
}

fn judge_segments(dirs: &NodeDirs, project: &Project, mark: Option<&Mark>) -> Verdict {
    if project.missing.is_empty() {
        return (State::Live, None);
    }
    let total = project.missing.len() + project.present.len();
    let missing = format!("{} of {total} segments are missing", project.missing.len());
    if !project.present.is_empty() {
        return (State::Broken, Some(missing));
    }
    let written = project.file.as_ref().map_or(i64::MAX, |file| file.mtime);
    match prove_stale(dirs, mark, written) {
        Some(proof) => (State::Stale, Some(format!("all segments are missing, {proof}"))),
        None => (State::Broken, Some(format!("{missing}, or in another directory"))),
    }
}

/// The proof that the segments were in this shm directory and are missing. Returns `None` without proof.
fn prove_stale(dirs: &NodeDirs, mark: Option<&Mark>, written: i64) -> Option<String> {
    let Some(mark) = mark else {
        let local = dirs.root.as_ref().is_some_and(host::is_local);
        return match host::is_shm_of_process_1(&dirs.shm) {
            Some(true) if local => Some("and they can only have been here".to_owned()),
            // A reboot is a proof too, if process 1 cannot be inspected.
            None if local
                && written < dirs.host.boot_time
                && dirs.shm.path() == OsStr::new("/dev/shm") =>
            {
                Some("the metadata is older than this boot".to_owned())
            }
            _ => None,
        };
    };
    if mark.boot != dirs.host.boot {
        return Some("loaded before this boot".to_owned());
    }
    (mark.shm == dirs.shm.id().to_string()).then(|| "removed by another process".to_owned())
}

fn judge_without_metadata(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    project: &mut Project,
    observer: Observer,
) -> Result<Verdict> {
    let copy = project.ledger.as_ref().and_then(|ledger| ledger.current.as_ref()?.metadata.clone());
    project.metadata = copy.as_deref().and_then(|text| Metadata::parse(text).ok());
    let has_next = project.ledger.as_ref().is_some_and(|ledger| ledger.next.is_some());
    if dirs.root.is_none() && has_next && scan.has_temporary_files(&project.key) {
        // The ledger that publication puts into place is prepared: the metadata may be published.
        let why = "its root cannot be opened, and its load may be complete".to_owned();
        return Ok((State::Foreign, Some(why)));
    }
    if let Some(verdict) = judge_activity(dirs, scan, project, observer)? {
        return Ok(verdict);
    }
    Ok(match (project.present.is_empty(), project.missing.is_empty()) {
        (_, true) => (State::Detached, Some("its metadata file is missing".to_owned())),
        (true, false) => {
            (State::Abandoned, Some("its metadata and all its segments are missing".to_owned()))
        }
        (false, false) => (
            State::Broken,
            Some("its metadata file and some of its segments are missing".to_owned()),
        ),
    })
}

fn busy_state(project: &Project) -> State {
    match &project.ledger {
        Some(ledger) if ledger.removing.is_some() => State::Removing,
        _ => State::Loading,
    }
}

/// Where else the marked segments are; `None` when it is here, or was before a reboot.
fn is_elsewhere(dirs: &NodeDirs, mark: &Mark) -> Option<String> {
    if mark.boot == dirs.host.boot {
        return (mark.shm != dirs.shm.id().to_string())
            .then(|| "loaded with another shm directory (a container?)".to_owned());
    }
    (mark.host != dirs.host.name).then(|| format!("loaded on host '{}'", mark.host))
}
