//! The decision for one judged project: which action `gc` takes, and for which reason.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::error::Result;
use crate::os::credentials::act_as;
use crate::os::directory::Directory;
use crate::shm::format::ledger::Lifetime;
use crate::shm::segment::lease::Lease;
use crate::shm::store::batch_jobs::Ended;
use crate::shm::store::gc::outcome::{Action, Options};
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::state::{Project, State};

/// Whether this process may remove files of user `uid`, and was asked to.
pub(crate) fn is_allowed(uid: u32, options: &Options) -> bool {
    let me = Uid::effective();
    let asked = options.user.is_none_or(|user| user == uid);
    let permitted =
        uid == me.as_raw() || (me.is_root() && (options.all_users || options.user == Some(uid)));
    asked && permitted
}

/// Decides what happens to a project that [`is_allowed`].
pub(crate) fn decide(dirs: &NodeDirs, project: &Project, options: &Options) -> (Action, String) {
    let why = || project.why.clone().unwrap_or_else(|| project.state.to_string());
    let keep = |reason: String| (Action::Keep, reason);
    if let Some(ended) = &options.ended
        && let Some(decision) = decide_for_job(project, ended)
    {
        return decision;
    }
    match project.state {
        State::Stale | State::Abandoned => (Action::Reap, why()),
        State::Corrupt if options.broken && project.has_unreadable_file() => (Action::Clear, why()),
        State::Corrupt if options.broken && is_root_of_another_user(dirs, project) => {
            keep(format!("{}; the owner of the root can cause this (unlink removes it)", why()))
        }
        State::Broken | State::Corrupt if options.broken => (Action::Reap, why()),
        State::Broken | State::Corrupt => keep(format!("{} (--broken removes it)", why())),
        State::Detached if options.repair && dirs.root.is_none() => {
            keep(format!("{}, and its root cannot be opened", why()))
        }
        State::Detached if options.repair => (Action::Repair, why()),
        State::Detached => {
            let reason = format!("{} (--repair restores it, --older-than removes it)", why());
            decide_old(dirs, project, options, reason)
        }
        State::Orphan if options.orphans => decide_orphan(dirs, project, options),
        State::Orphan => keep(format!("{} (--orphans removes unused ones)", why())),
        State::Live if project.changing => keep(BUSY.to_owned()),
        State::Live if project.unfinished => {
            (Action::Recover, "an interrupted change left files".to_owned())
        }
        State::Live => decide_old(dirs, project, options, "the project is live".to_owned()),
        State::Foreign | State::Elsewhere => keep(why()),
        State::Loading | State::Removing => keep(BUSY.to_owned()),
    }
}

/// Whether a user who is neither root nor the owner of the project owns the root, and so can put other metadata
/// there.
fn is_root_of_another_user(dirs: &NodeDirs, project: &Project) -> bool {
    dirs.root.as_ref().is_some_and(|root| ![0, project.uid].contains(&root.stat().st_uid))
}

/// The reason for a project whose change lock is held.
pub(crate) const BUSY: &str = "another process is changing the project";

/// Takes the ended jobs off a project that lists any, and removes it if no job is left. A held change lock
/// does not matter here: the action itself reports it.
fn decide_for_job(project: &Project, ended: &Ended) -> Option<(Action, String)> {
    if matches!(project.state, State::Foreign | State::Elsewhere) {
        return None;
    }
    let record = project.record()?;
    let left = record.jobs.iter().filter(|listed| !ended.covers(listed, record)).count();
    if left == record.jobs.len() {
        return None;
    }
    Some(match left {
        0 => (Action::Reap, ended.sentence()),
        _ => (Action::DropJob, format!("{}; jobs left: {left}", ended.sentence())),
    })
}

fn decide_orphan(dirs: &NodeDirs, project: &Project, options: &Options) -> (Action, String) {
    let root = dirs.root.as_ref().map(Directory::path);
    let metadata = project.name().metadata_file();
    if let Some(other) = claimed_by((dirs.shm.path(), root), &Paths::default(), &metadata) {
        let shown = other.display();
        let why = format!("the metadata '{shown}' may claim them; run gc with that root");
        return (Action::Keep, why);
    }
    let youngest = project.leftovers.values().map(|segment| segment.mtime).max().unwrap_or(0);
    let age = jiff::Timestamp::now().as_second() - youngest;
    if age < options.min_age {
        let limit = options.min_age;
        return (Action::Keep, format!("orphaned for {age} s, less than --min-age ({limit} s)"));
    }
    match is_used(dirs, project) {
        Ok(false) => {
            (Action::ReapOrphans, "no project claims these segments, no process uses them".into())
        }
        Ok(true) => (Action::Keep, "a process has one of these segments open".to_owned()),
        Err(error) => (Action::Keep, error.to_string()),
    }
}

/// Whether a decision about orphaned segments looks into the root of the Python package, which is not the root in
/// force.
pub(crate) fn asks_python_root(dirs: &NodeDirs, options: &Options) -> bool {
    let python = Paths::default();
    let root = dirs.root.as_ref().map(Directory::path);
    options.orphans && dirs.shm.path() == python.shm && root != Some(&*python.root)
}

/// The metadata file of that name in the root of the Python package, if `gc` acts on another root: Python
/// writes no ledger, so only this file shows that the segments belong to a project. A file that cannot be
/// checked may exist.
fn claimed_by(
    (shm, root): (&Path, Option<&Path>),
    python: &Paths,
    metadata: &OsStr,
) -> Option<PathBuf> {
    if shm != python.shm || root == Some(&*python.root) {
        return None;
    }
    let file = python.root.join(metadata);
    match file.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        _ => Some(file),
    }
}

/// Removes a live or detached project only if it is persistent, older than `--older-than`, and not in use.
/// Otherwise keeps it for the reason `kept`.
fn decide_old(
    dirs: &NodeDirs,
    project: &Project,
    options: &Options,
    kept: String,
) -> (Action, String) {
    let created = || project.record()?.created.parse::<jiff::Timestamp>().ok();
    let (Some(limit), Some(record), Some(created)) =
        (options.older_than, project.record(), created())
    else {
        return (Action::Keep, kept);
    };
    let age = jiff::Timestamp::now().as_second() - created.as_second();
    if record.lifetime != Lifetime::Persistent || age < limit {
        return (Action::Keep, kept);
    }
    match is_used(dirs, project) {
        Ok(false) => (Action::Reap, format!("{age} s old and not in use")),
        Ok(true) => (Action::Keep, format!("{age} s old, but a process has a segment open")),
        Err(error) => (Action::Keep, error.to_string()),
    }
}

/// Whether a process has a segment of the project open or mapped.
fn is_used(dirs: &NodeDirs, project: &Project) -> Result<bool> {
    act_as(project.uid, || {
        for name in project.present.keys().chain(project.leftovers.keys()) {
            if dirs.shm.stat_of(name.as_os_str()).known()?.is_some()
                && Lease::take(&dirs.shm, name)?.is_none()
            {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_of_another_root_are_kept_if_python_metadata_may_claim_them() {
        let temp = tempfile::tempdir().unwrap();
        let (root, shm) = (temp.path().join("root"), temp.path().join("shm"));
        let python = Paths { root: root.clone(), shm: shm.clone() };
        let claims = |shm: &Path, root: Option<&Path>, name: &str| {
            claimed_by((shm, root), &python, name.as_ref()).is_some()
        };
        assert!(!claims(&shm, None, "cute-shm.p.toml"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("cute-shm.p.toml"), "").unwrap();
        assert!(claims(&shm, None, "cute-shm.p.toml"));
        assert!(claims(&shm, Some(temp.path()), "cute-shm.p.toml"));
        assert!(!claims(&shm, Some(temp.path()), "cute-shm.q.toml"));
        // Its own root is judged by what the metadata says, and another shm directory is not Python's.
        assert!(!claims(&shm, Some(&root), "cute-shm.p.toml"));
        assert!(!claims(temp.path(), None, "cute-shm.p.toml"));
    }
}
