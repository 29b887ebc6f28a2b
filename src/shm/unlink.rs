//! Removing a whole project by its name: judged, locked, judged again, removed as its owner.

use super::change::Change;
use super::name::ProjectName;
use super::owner::act_as;
use super::place::Place;
use super::removal::{self, Removed};
use super::state::{self, Project};
use super::survey::Survey;
use crate::{Error, Kind, Result};

/// How often somebody else at work on the project is waited for, 20 ms each.
const PATIENCE: u32 = 100;

/// The judged project of this name; its orphans when there is nothing else of it.
///
/// # Errors
/// [`Kind::NotFound`] when there is nothing of it.
pub fn find(place: &Place, survey: &Survey, name: &ProjectName) -> Result<Project> {
    if let Some((key, uid)) = state::find(place, survey, name)? {
        return state::judge(place, survey, &key, uid);
    }
    let orphans = state::orphans(place, survey, &[])?;
    if let Some(orphan) = orphans.into_iter().find(|orphan| orphan.name() == name) {
        return Ok(orphan);
    }
    let shown = name.to_text();
    Err(Error::new(Kind::NotFound, format!("there is no project '{shown}'"))
        .about(shown)
        .with_hint("'cute-shm list -s' shows the projects of this node"))
}

/// What removing the project would take.
///
/// # Errors
/// As [`unlink`].
pub fn would_unlink(place: &Place, name: &ProjectName, all_users: bool) -> Result<Vec<Removed>> {
    let project = find(place, &Survey::take(place)?, name)?;
    removal::allowed(&project, all_users)?;
    Ok(removal::segments_of(&project, &place.shm))
}

/// Removes the project: metadata, segments, ledger. With `all_users` root removes another's.
///
/// # Errors
/// [`Kind::NotFound`] when there is none, [`Kind::Permission`] for what is not ours, [`Kind::Busy`]
/// when somebody is changing it for longer than two seconds.
pub fn unlink(place: &Place, name: &ProjectName, all_users: bool) -> Result<Vec<Removed>> {
    let judged = find(place, &Survey::take(place)?, name)?;
    removal::allowed(&judged, all_users)?;
    act_as(judged.uid, || remove(place, &judged))
}

/// Removes a project that was judged without its lock: takes the lock and judges again.
fn remove(place: &Place, judged: &Project) -> Result<Vec<Removed>> {
    let mut patience = PATIENCE;
    let change = Change::begin_for(place, &judged.key, judged.uid, &mut || {
        patience -= 1;
        Ok(patience > 0)
    })?;
    let survey = Survey::take(place)?;
    let project = state::judge_locked(place, &survey, &judged.key, judged.uid)?;
    change.remove(&project)
}
