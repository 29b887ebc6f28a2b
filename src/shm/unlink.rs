//! Removing a whole project by its name: judged, locked, judged again, removed as its owner.

use super::change::Change;
use super::lock;
use super::name::ProjectName;
use super::owner::act_as;
use super::place::Place;
use super::removal::{self, Removed};
use super::state::{self, Project};
use super::survey::Survey;
use crate::Result;

/// What removing the project would take.
///
/// # Errors
/// As [`unlink`].
pub fn would_unlink(place: &Place, name: &ProjectName, all_users: bool) -> Result<Vec<Removed>> {
    let project = state::find(place, name)?;
    removal::allowed(&project, all_users)?;
    Ok(removal::segments_of(&project, &place.shm))
}

/// Removes the project: metadata, segments, ledger. With `all_users` root removes another's.
///
/// # Errors
/// [`crate::Kind::NotFound`] when there is none, [`crate::Kind::Permission`] for what is not ours, [`crate::Kind::Busy`]
/// when somebody is changing it for longer than [`lock::PATIENCE`].
pub fn unlink(place: &Place, name: &ProjectName, all_users: bool) -> Result<Vec<Removed>> {
    let judged = state::find(place, name)?;
    removal::allowed(&judged, all_users)?;
    act_as(judged.uid, || remove(place, &judged))
}

/// Removes a project that was judged without its lock: takes the lock and judges again.
fn remove(place: &Place, judged: &Project) -> Result<Vec<Removed>> {
    let change = Change::begin_for(place, &judged.key, judged.uid, &mut lock::patience())?;
    let survey = Survey::new(place);
    let project = state::judge_locked(place, &survey, &judged.key, judged.uid)?;
    change.remove(&project)
}
