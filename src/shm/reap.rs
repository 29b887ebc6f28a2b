//! What `gc` does: a plan of actions from the states of all projects, and its execution. Nothing is
//! reaped that is not provably dead, unless it was asked for.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::change::Change;
use super::directory::{Directory, FileId};
use super::jobs::Ended;
use super::lease::Lease;
use super::ledger::{Key, Ledger, Lifetime};
use super::lock;
use super::owner::act_as;
use super::place::{Paths, Place};
use super::removal::{self, Removed};
use super::state::{self, Project, State};
use super::survey::Survey;
use crate::{Error, Kind, Result};

/// What to reap beside what is provably dead.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Broken and corrupt projects too.
    pub broken: bool,
    /// Segments that nobody has and nothing claims.
    pub orphans: bool,
    /// How old, in seconds, the youngest orphan of a project must be.
    pub min_age: i64,
    /// Take these jobs off every project's list, and reap those with no job left.
    pub ended: Option<Ended>,
    /// Only what belongs to this user.
    pub user: Option<u32>,
    /// Persistent projects that are older than so many seconds and that nobody has.
    pub older_than: Option<i64>,
    /// Restore the metadata of detached projects.
    pub repair: bool,
    /// As root: other users' things too.
    pub all_users: bool,
}

/// What is to be done with one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Keep,
    /// Remove it whole.
    Reap,
    /// Remove segments that nothing claims.
    ReapOrphans,
    /// Remove what an interrupted change left; the project itself stays.
    Recover,
    /// Take the job off its list; others remain.
    DropJob,
    /// Restore its metadata.
    Repair,
}

/// One line of the plan.
#[derive(Debug)]
pub struct Item {
    /// The project as it was judged.
    pub project: Project,
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: String,
    root: Option<PathBuf>,
}

/// A plan, and the place it is for.
#[derive(Debug)]
pub struct Plan {
    /// Every project of every root that has something in the shm directory.
    pub items: Vec<Item>,
    paths: Paths,
}

impl Plan {
    /// Judges everything and decides.
    ///
    /// # Errors
    /// As the system says.
    pub fn make(paths: &Paths, options: &Options) -> Result<Self> {
        let place = Place::open(paths)?;
        let survey = Survey::new(&place);
        let mut judged = state::judge_all(&place, &survey, |_| true)?;
        let root = place.root.as_ref().map(|root| root.path().to_owned());
        let orphans = state::orphans(&place, &survey, &judged, |_| true)?;
        let mut items: Vec<Item> = Vec::new();
        judged.extend(orphans);
        let known: HashSet<Key> = judged.iter().map(|project| project.key.clone()).collect();
        for project in judged {
            items.push(Self::item(&place, project, options, root.clone())?);
        }
        for (key, uid) in survey.owners(|_| true)? {
            if known.contains(&key) {
                continue;
            }
            let other = other_root(paths, &place, &key)?;
            let project = state::judge(&other, &survey, &key, uid)?;
            let root = other.root.as_ref().map(|root| root.path().to_owned());
            items.push(Self::item(&other, project, options, root)?);
        }
        items.sort_by(|a, b| a.project.key.cmp(&b.project.key));
        Ok(Self { items, paths: paths.clone() })
    }

    fn item(
        place: &Place,
        project: Project,
        options: &Options,
        root: Option<PathBuf>,
    ) -> Result<Item> {
        let (action, reason) = decide(place, &project, options)?;
        Ok(Item { project, action, reason, root })
    }

    /// Carries out one item of the plan, after judging it again under its change lock.
    ///
    /// # Errors
    /// As the system says; [`Kind::Busy`] when somebody else is at it for longer than [`lock::PATIENCE`].
    pub fn carry_out(&self, item: &Item, options: &Options) -> Result<Vec<Removed>> {
        let shm = self.paths.shm.clone();
        let paths = Paths { root: item.root.clone().unwrap_or_else(|| "/nonexistent".into()), shm };
        let place = Place::open(&paths)?;
        act_as(item.project.uid, || match item.action {
            Action::Keep => Ok(Vec::new()),
            Action::ReapOrphans => reap_orphans(&place, item),
            _ => change(&place, item, options),
        })
    }
}

/// The place of a ledger that is of another root than ours; without a root when that is gone.
fn other_root(paths: &Paths, place: &Place, key: &Key) -> Result<Place> {
    let nowhere = Paths { root: "/nonexistent".into(), shm: paths.shm.clone() };
    let Ok(Some((ledger, _))) = Ledger::read(&place.shm, key) else { return Place::open(&nowhere) };
    let there = Paths { root: ledger.root.clone().into(), shm: paths.shm.clone() };
    match Place::open(&there) {
        Ok(place) if place.root.as_ref().is_some_and(|r| r.id().to_string() == ledger.root_id) => {
            Ok(place)
        }
        _ => Place::open(&nowhere),
    }
}

fn decide(place: &Place, project: &Project, options: &Options) -> Result<(Action, String)> {
    let why = || project.why.clone().unwrap_or_else(|| project.state.to_string());
    let keep = |reason: &str| Ok((Action::Keep, reason.to_owned()));
    let mine = Uid::effective();
    if options.user.is_some_and(|user| user != project.uid) {
        return keep("it belongs to another user than asked for");
    }
    let allowed = project.uid == mine.as_raw()
        || (mine.is_root() && (options.all_users || options.user == Some(project.uid)));
    if !allowed {
        return keep("it belongs to another user");
    }
    if let Some(ended) = &options.ended
        && let Some(decision) = decide_for_job(project, ended)
    {
        return Ok(decision);
    }
    match project.state {
        State::Stale | State::Abandoned => Ok((Action::Reap, why())),
        State::Broken | State::Corrupt if options.broken => Ok((Action::Reap, why())),
        State::Broken | State::Corrupt => keep(&format!("{} (--broken reaps it)", why())),
        State::Detached if options.repair && place.root.is_none() => {
            keep(&format!("{}, and its root cannot be seen from here", why()))
        }
        State::Detached if options.repair => Ok((Action::Repair, why())),
        State::Detached => {
            let reason = format!("{} (--repair restores it, --older-than reaps it)", why());
            decide_old(place, project, options, reason)
        }
        State::Orphan if options.orphans => Ok(decide_orphan(place, project, options)),
        State::Orphan => keep(&format!("{} (--orphans reaps what nobody has)", why())),
        State::Live if project.changing => keep("somebody changes it just now"),
        State::Live if project.unfinished => {
            Ok((Action::Recover, "an interrupted change left something".to_owned()))
        }
        State::Live => decide_old(place, project, options, "it is live".to_owned()),
        State::Foreign | State::Elsewhere => keep(&why()),
        State::Loading | State::Removing => keep("somebody is at it"),
    }
}

/// A project that lists the job loses it; with no other left it goes. Also when somebody is at it just now:
/// for most epilogs this is the only time to do it, and the lock is waited for.
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
        _ => (Action::DropJob, format!("{}, {left} more use it", ended.sentence())),
    })
}

fn decide_orphan(place: &Place, project: &Project, options: &Options) -> (Action, String) {
    let root = place.root.as_ref().map(Directory::path);
    let metadata = project.name().metadata_file();
    if let Some(other) = claimed_by((place.shm.path(), root), &Paths::default(), &metadata) {
        let shown = other.display();
        let why = format!("'{shown}' may claim it: gc with that root judges it");
        return (Action::Keep, why);
    }
    let youngest = project.leftovers.values().map(|segment| segment.mtime).max().unwrap_or(0);
    let age = jiff::Timestamp::now().as_second() - youngest;
    if age < options.min_age {
        return (Action::Keep, format!("an orphan of {age} s: younger than {} s", options.min_age));
    }
    match is_used(place, project) {
        Ok(false) => (Action::ReapOrphans, "nothing claims it and nobody has it".to_owned()),
        Ok(true) => (Action::Keep, "an orphan that a process has open".to_owned()),
        // What somebody planted under such a name must not keep gc from its work.
        Err(error) => (Action::Keep, error.to_string()),
    }
}

/// The metadata of that name in the root that the Python package has, where another root is looked at: it
/// writes no ledger, so nothing else tells of its projects. What cannot be looked at may be there.
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

/// A project that is there, live or without its metadata, goes only on demand: when it is persistent, old,
/// and nobody has it. Else it is kept for the reason `kept`.
fn decide_old(
    place: &Place,
    project: &Project,
    options: &Options,
    kept: String,
) -> Result<(Action, String)> {
    let (Some(limit), Some(record)) = (options.older_than, project.record()) else {
        return Ok((Action::Keep, kept));
    };
    let Ok(created) = record.created.parse::<jiff::Timestamp>() else {
        return Ok((Action::Keep, kept));
    };
    let age = jiff::Timestamp::now().as_second() - created.as_second();
    if record.lifetime != Lifetime::Persistent || age < limit {
        return Ok((Action::Keep, kept));
    }
    if is_used(place, project)? {
        return Ok((Action::Keep, format!("it is {age} s old, but a process has it open")));
    }
    Ok((Action::Reap, format!("it is {age} s old and nobody has it")))
}

fn is_used(place: &Place, project: &Project) -> Result<bool> {
    act_as(project.uid, || {
        for name in project.present.keys().chain(project.leftovers.keys()) {
            if place.shm.stat_of(name.as_os_str())?.is_some()
                && Lease::take(&place.shm, name)?.is_none()
            {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Removes each orphan under its lease: nobody can have attached meanwhile.
fn reap_orphans(place: &Place, item: &Item) -> Result<Vec<Removed>> {
    let mut removed = Vec::new();
    for (name, stat) in &item.project.leftovers {
        if let Some(_lease) = Lease::take(&place.shm, name)? {
            removal::remove_segment(&place.shm, name)?;
            let file = FileId { dev: place.shm.id().dev, ino: stat.ino };
            removed.push(Removed { name: name.clone(), file, bytes: stat.resident });
        }
    }
    Ok(removed)
}

fn change(place: &Place, item: &Item, options: &Options) -> Result<Vec<Removed>> {
    let project = &item.project;
    // What an interrupted change left is removed as soon as its lock is taken: it is counted before.
    let (leftovers, others): (Vec<_>, Vec<_>) = removal::segments_of(project, &place.shm)
        .into_iter()
        .partition(|removed| project.leftovers.contains_key(&removed.name));
    let mut change = Change::begin_for(place, &project.key, project.uid, &mut lock::patience())?;
    let survey = Survey::new(place);
    let now = state::judge_locked(place, &survey, &project.key, project.uid)?;
    let (action, _) = decide(place, &now, options)?;
    match action {
        Action::Reap => {
            change.remove(&now)?;
            return Ok(others.into_iter().chain(leftovers).collect());
        }
        Action::DropJob => {
            if let Some(ended) = &options.ended {
                change.amend(|record| {
                    let before = record.clone();
                    record.jobs.retain(|listed| !ended.covers(listed, &before));
                })?;
            }
        }
        Action::Repair => change.repair()?,
        _ if item.action == Action::Reap && now.ledger.is_some() => {
            let name = project.name().to_text();
            change.finish()?;
            return Err(
                Error::new(Kind::Busy, format!("project '{name}' changed meanwhile")).about(name)
            );
        }
        _ => {}
    }
    change.finish()?;
    Ok(leftovers)
}

impl Item {
    /// What carrying it out would remove.
    ///
    /// # Errors
    /// When the shm directory cannot be opened.
    pub fn would_remove(&self, paths: &Paths) -> Result<Vec<Removed>> {
        let place = Place::open(paths)?;
        let all = removal::segments_of(&self.project, &place.shm);
        Ok(match self.action {
            Action::Reap | Action::ReapOrphans => all,
            Action::Recover => {
                let left = |removed: &Removed| self.project.leftovers.contains_key(&removed.name);
                all.into_iter().filter(left).collect()
            }
            Action::Keep | Action::DropJob | Action::Repair => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_shares_is_no_orphan_of_another_root() {
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
