//! The verdict: from what was found to a state, in the order of DESIGN section 2.

use std::ffi::OsStr;

use super::evidence::{Found, collect_leftovers, collect_segments, read_metadata};
use super::{Project, State};
use crate::shm::host;
use crate::shm::ledger::{File, Key, Ledger, Lifetime};
use crate::shm::lock;
use crate::shm::metadata::{Mark, Metadata};
use crate::shm::place::Place;
use crate::shm::survey::Survey;
use crate::{Kind, Result};

/// Judges the project `key` of user `uid`.
///
/// # Errors
/// As the system says; what can be told as a state is none.
pub fn judge(place: &Place, survey: &Survey<'_>, key: &Key, uid: u32) -> Result<Project> {
    let mut project = judge_as(place, survey, key, uid, false)?;
    // Segments that vanish while we look may have been replaced: then there is other metadata by now.
    for _ in 0..3 {
        if project.missing.is_empty() || !was_replaced(place, &project)? {
            break;
        }
        project = judge_as(place, survey, key, uid, false)?;
    }
    Ok(project)
}

/// Whether the metadata file is another than the one that was judged.
fn was_replaced(place: &Place, project: &Project) -> Result<bool> {
    let now = match read_metadata(place, project)? {
        Found::Good(file, _) | Found::Bad(file, _) => Some(file.text),
        Found::Absent | Found::Unreadable(_) => None,
    };
    Ok(now.as_ref() != project.file.as_ref().map(|file| &file.text))
}

/// As [`judge`], by the holder of the change lock: the lock is free then, but for itself.
///
/// # Errors
/// As [`judge`].
pub fn judge_locked(place: &Place, survey: &Survey<'_>, key: &Key, uid: u32) -> Result<Project> {
    judge_as(place, survey, key, uid, true)
}

fn judge_as(
    place: &Place,
    survey: &Survey<'_>,
    key: &Key,
    uid: u32,
    holder: bool,
) -> Result<Project> {
    let mut project = Project::unjudged(key.clone(), uid);
    let found = read_metadata(place, &project)?;
    let ledger = Ledger::read(&place.shm, key);
    let mut unseen = false;
    let mut bad_ledger = None;
    match ledger {
        Ok(ledger) => project.ledger = ledger.map(|(ledger, _)| ledger),
        Err(error) if error.kind() == Kind::Permission => unseen = true,
        Err(error) => bad_ledger = Some(error.to_string()),
    }
    let verdict = match found {
        Found::Unreadable(why) => (State::Foreign, Some(why)),
        Found::Bad(file, why) => {
            project.file = Some(file);
            collect_leftovers(place, survey, &mut project)?;
            (State::Corrupt, Some(why))
        }
        Found::Good(file, metadata) => {
            project.file = Some(file);
            project.metadata = Some(metadata);
            judge_with_metadata(place, survey, &mut project, unseen, holder)?
        }
        Found::Absent => judge_without_metadata(place, survey, &mut project, unseen, holder)?,
    };
    (project.state, project.why) = match bad_ledger {
        Some(why) if !matches!(verdict.0, State::Foreign | State::Elsewhere) => {
            (State::Corrupt, Some(why))
        }
        _ => verdict,
    };
    Ok(project)
}

type Verdict = (State, Option<String>);

fn judge_with_metadata(
    place: &Place,
    survey: &Survey<'_>,
    project: &mut Project,
    unseen: bool,
    holder: bool,
) -> Result<Verdict> {
    let mark = project.metadata.as_ref().and_then(|metadata| metadata.mark.clone());
    if unseen && mark.is_some() {
        return Ok((State::Foreign, Some("its ledger cannot be read".to_owned())));
    }
    if let Some(why) = mark.as_ref().and_then(|mark| is_elsewhere(place, mark)) {
        return Ok((State::Elsewhere, Some(why)));
    }
    match judge_activity(place, survey, project, holder)? {
        Some(verdict) => Ok(verdict),
        None => Ok(judge_segments(place, project, mark.as_ref())),
    }
}

/// What is the same with the metadata file and without it: segments that may not be, somebody at work,
/// somebody who left.
fn judge_activity(
    place: &Place,
    survey: &Survey<'_>,
    project: &mut Project,
    holder: bool,
) -> Result<Option<Verdict>> {
    let wrong = collect_segments(place, project)?;
    collect_leftovers(place, survey, project)?;
    if let Some(why) = wrong {
        return Ok(Some((State::Corrupt, Some(why))));
    }
    let has_file = project.file.is_some();
    let unfinished = has_file && is_unfinished(place, project)?;
    match lock::is_changing(&place.shm, &project.key)? {
        None => {
            return Ok(Some((State::Foreign, Some("its lock cannot be looked at".to_owned()))));
        }
        Some(true) if !holder => {
            project.changing = has_file;
            let whole = has_file && project.missing.is_empty();
            return Ok(Some((if whole { State::Live } else { busy_state(project) }, None)));
        }
        Some(_) => project.unfinished = unfinished,
    }
    match interrupted(project) {
        Some(why) => Ok(Some((State::Abandoned, Some(why.to_owned())))),
        None => dead_keeper(place, project),
    }
}

/// What was begun and given up, as the ledger tells it.
fn interrupted(project: &Project) -> Option<&'static str> {
    let has_file = project.file.is_some();
    match &project.ledger {
        None if has_file => None,
        None => Some("a load ended before it began"),
        Some(ledger) if ledger.removing.is_some() => Some("its removal was interrupted"),
        Some(ledger) if !has_file && ledger.current.is_none() => Some("its load was interrupted"),
        Some(_) => None,
    }
}

/// Whether a change that did not come to its end left something: told only while nobody is at it.
fn is_unfinished(place: &Place, project: &Project) -> Result<bool> {
    let is_there = |file| Ok(place.shm.stat_of(&project.key.file(file))?.is_some());
    if !project.leftovers.is_empty() || is_there(File::LedgerTemporary)? {
        return Ok(true);
    }
    let Some(ledger) = &project.ledger else { return is_there(File::Lock) };
    let metadata = project.metadata.as_ref();
    let replaced = metadata.is_some_and(|metadata| {
        let token = metadata.mark.as_ref().map(|mark| &mark.token);
        let current = ledger.current.as_ref().map(|current| &current.token);
        current.is_some() && token != current && !metadata.leaves().is_empty()
    });
    Ok(ledger.next.is_some() || !ledger.retiring.is_empty() || replaced)
}

/// A held project lives as long as its life lock is held.
fn dead_keeper(place: &Place, project: &Project) -> Result<Option<Verdict>> {
    let Some(record) = project.record() else { return Ok(None) };
    if record.lifetime != Lifetime::Held {
        return Ok(None);
    }
    Ok(match lock::is_kept(&place.shm, &project.key, &record.token)? {
        Some(true) => None,
        Some(false) => Some((
            State::Abandoned,
            Some(format!("its keeper, process {}, is gone", record.keeper.pid)),
        )),
        None => Some((State::Foreign, Some("its lock cannot be looked at".to_owned()))),
    })
}

fn judge_segments(place: &Place, project: &Project, mark: Option<&Mark>) -> Verdict {
    if project.missing.is_empty() {
        return (State::Live, None);
    }
    let total = project.missing.len() + project.present.len();
    let missing = format!("{} of {total} segments are gone", project.missing.len());
    if !project.present.is_empty() {
        return (State::Broken, Some(missing));
    }
    let written = project.file.as_ref().map_or(i64::MAX, |file| file.mtime);
    match prove_stale(place, mark, written) {
        Some(proof) => (State::Stale, Some(format!("all segments are gone, {proof}"))),
        None => (State::Broken, Some(format!("{missing}, or lie elsewhere"))),
    }
}

/// Why it is certain that the segments were in this shm directory and are gone; `None` when it is not.
fn prove_stale(place: &Place, mark: Option<&Mark>, written: i64) -> Option<String> {
    let Some(mark) = mark else {
        let local = place.root.as_ref().is_some_and(host::is_local);
        return match host::is_shm_of_process_1(&place.shm) {
            Some(true) if local => Some("and they can only have been here".to_owned()),
            // Whoever cannot look at process 1 still knows what a reboot does.
            None if local
                && written < place.host.boot_time
                && place.shm.path() == OsStr::new("/dev/shm") =>
            {
                Some("the metadata is older than this boot".to_owned())
            }
            _ => None,
        };
    };
    if mark.boot != place.host.boot {
        return Some("loaded before this boot".to_owned());
    }
    (mark.shm == place.shm.id().to_string()).then(|| "removed by somebody else".to_owned())
}

fn judge_without_metadata(
    place: &Place,
    survey: &Survey<'_>,
    project: &mut Project,
    unseen: bool,
    holder: bool,
) -> Result<Verdict> {
    if unseen {
        return Ok((State::Foreign, Some("its ledger cannot be read".to_owned())));
    }
    let copy = project.ledger.as_ref().and_then(|ledger| ledger.current.as_ref()?.metadata.clone());
    project.metadata = copy.as_deref().and_then(|text| Metadata::parse(text).ok());
    if let Some(verdict) = judge_activity(place, survey, project, holder)? {
        return Ok(verdict);
    }
    Ok(match (project.present.is_empty(), project.missing.is_empty()) {
        (_, true) => (State::Detached, Some("its metadata file is gone".to_owned())),
        (true, false) => {
            (State::Abandoned, Some("its metadata and all its segments are gone".to_owned()))
        }
        (false, false) => {
            (State::Broken, Some("its metadata file and some of its segments are gone".to_owned()))
        }
    })
}

fn busy_state(project: &Project) -> State {
    match &project.ledger {
        Some(ledger) if ledger.removing.is_some() => State::Removing,
        _ => State::Loading,
    }
}

/// Where else the marked segments are; `None` when it is here, or was before a reboot.
fn is_elsewhere(place: &Place, mark: &Mark) -> Option<String> {
    if mark.boot == place.host.boot {
        return (mark.shm != place.shm.id().to_string())
            .then(|| "loaded with another shm directory (a container?)".to_owned());
    }
    (mark.host != place.host.name).then(|| format!("loaded on host '{}'", mark.host))
}
