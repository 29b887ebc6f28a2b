//! The actions of `gc`. Each takes the change lock of its project without waiting, judges again, and acts with the
//! effective ids of the owner.

use crate::error::{Error, Kind, Result};
use crate::os::credentials::act_as;
use crate::os::directory::FileId;
use crate::shm::segment::lease::Lease;
use crate::shm::store::blocked;
use crate::shm::store::gc::decide::decide;
use crate::shm::store::gc::outcome::{Action, Options};
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal::{self, Removed};
use crate::shm::store::scan::{Scan, Settled};
use crate::shm::store::state::{self, Project};

/// Returns the segments that the action would remove.
pub(crate) fn would_remove(dirs: &NodeDirs, project: &Project, action: Action) -> Vec<Removed> {
    let mut all = removal::segments_of(project, &dirs.shm);
    match action {
        Action::Reap | Action::ReapOrphans => all,
        Action::Recover => {
            all.retain(|removed| project.leftovers.contains_key(&removed.name));
            all
        }
        _ => Vec::new(),
    }
}

/// Carries out the action and returns the removed segments.
///
/// # Errors
/// Returns [`Kind::Busy`] if another process holds the change lock or has changed the project, otherwise the
/// error of the first step that failed.
pub(crate) fn carry_out(
    dirs: &NodeDirs,
    project: &Project,
    action: Action,
    options: &Options,
    listed: Option<(&Scan<'_>, &Settled)>,
) -> Result<Vec<Removed>> {
    match action {
        Action::Keep | Action::OtherUser | Action::OtherRoot | Action::NotReached => Ok(Vec::new()),
        Action::ReapOrphans => act_as(project.uid, || remove_orphans(dirs, project)),
        Action::Clear => blocked::clear_metadata(dirs, project).map(|()| Vec::new()),
        _ => act_as(project.uid, || change(dirs, project, action, options, listed)),
    }
}

/// Removes each orphan under its lease, so that no process can attach in the meantime.
fn remove_orphans(dirs: &NodeDirs, project: &Project) -> Result<Vec<Removed>> {
    let mut removed = Vec::new();
    for (name, stat) in &project.leftovers {
        if let Some(_lease) = Lease::take(&dirs.shm, name)? {
            removal::remove_segment(&dirs.shm, name, project.uid)?;
            let file = FileId { dev: dirs.shm.id().dev, ino: stat.ino };
            removed.push(Removed { name: name.clone(), file, bytes: stat.resident });
        }
    }
    Ok(removed)
}

fn change(
    dirs: &NodeDirs,
    project: &Project,
    action: Action,
    options: &Options,
    listed: Option<(&Scan<'_>, &Settled)>,
) -> Result<Vec<Removed>> {
    // Taking the lock already removes the files of an interrupted change: they are counted before.
    let (leftovers, others): (Vec<_>, Vec<_>) = removal::segments_of(project, &dirs.shm)
        .into_iter()
        .partition(|removed| project.leftovers.contains_key(&removed.name));
    let key = &project.key;
    let Some(mut store) = LedgerStore::begin_listed(dirs, key, listed, &mut || Ok(false))? else {
        return Ok(others.into_iter().chain(leftovers).collect());
    };
    let fresh = Scan::new(dirs);
    let scan = listed.map_or(&fresh, |(scan, _)| scan);
    let scan = if store.is_listed() { scan } else { &fresh };
    let now = state::judge_locked(dirs, scan, key);
    match decide(dirs, &now, options).0 {
        Action::Reap => {
            store.remove(&now)?;
            return Ok(others.into_iter().chain(leftovers).collect());
        }
        Action::DropJob => {
            if let Some(ended) = &options.ended {
                store.amend(|record| {
                    let before = record.clone();
                    record.jobs.retain(|listed| !ended.covers(listed, &before));
                })?;
            }
        }
        Action::Repair => store.repair()?,
        _ if action == Action::Reap && now.ledger.is_some() => {
            let name = project.name().to_text();
            store.finish()?;
            let message = format!("project '{name}' was changed by another process");
            return Err(Error::new(Kind::Busy, message).with_subject(name));
        }
        _ => {}
    }
    store.finish()?;
    Ok(leftovers)
}
