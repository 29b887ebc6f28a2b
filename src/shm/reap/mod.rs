//! `gc`: judges one project after the other and acts on it at once, so that memory is freed from the first
//! moment. Only provably dead projects are removed, unless the options ask for more.

mod act;
mod decide;
mod inventory;
pub(super) mod squatters;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::decide::{decide, is_allowed};
use self::inventory::{Group, GroupId, Inventory};
use super::directory::Directory;
use super::jobs::Ended;
use super::ledger::{Key, Ledger};
use super::lock::PATIENCE;
use super::name::ProjectName;
use super::place::{Paths, Place};
use super::presence::Lookup;
use super::removal::Removed;
use super::state::{self, Project, State};
use super::survey::{Settled, Survey};
use crate::{Error, Kind, Result};

/// Interval between two attempts to take the locks of projects of ended jobs.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What `gc` removes besides provably dead projects, and how.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is an option of the command line.
pub struct Options {
    /// Broken and corrupt projects too.
    pub broken: bool,
    /// Orphaned segments that no process uses.
    pub orphans: bool,
    /// Minimum age of orphans in seconds.
    pub min_age: i64,
    /// Jobs that are taken off every project's list; projects without a job left are removed.
    pub ended: Option<Ended>,
    /// Only projects of this user.
    pub user: Option<u32>,
    /// Persistent projects that are older than this many seconds and not in use.
    pub older_than: Option<i64>,
    /// Restore the metadata of detached projects.
    pub repair: bool,
    /// As root: projects of all users.
    pub all_users: bool,
    /// Projects of every root that a ledger in the shm directory names.
    pub all_roots: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Report the remaining projects as not reached after this time.
    pub time_limit: Option<Duration>,
}

/// What happens to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is not changed.
    Keep,
    /// It is removed.
    Reap,
    /// Its orphaned segments are removed.
    ReapOrphans,
    /// The files of an interrupted change are removed; the project remains.
    Recover,
    /// The ended jobs are taken off its list; other jobs remain.
    DropJob,
    /// Its metadata is restored.
    Repair,
    /// A file that blocks the name of another user's file is removed.
    Clear,
    /// It is not judged: it belongs to another user.
    OtherUser,
    /// It is not judged: it belongs to another root.
    OtherRoot,
    /// It is not judged: the time limit was reached.
    NotReached,
}

/// One line of the report.
#[derive(Debug)]
pub struct Outcome {
    /// The name of the project.
    pub name: ProjectName,
    /// The owner.
    pub uid: u32,
    /// The root of the project; `None` for orphans, and if no ledger names it.
    pub root: Option<PathBuf>,
    /// The state before the action; `None` if the project was not judged.
    pub state: Option<State>,
    /// What happened; with [`Self::error`], what failed.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// The segments that were removed, or would be.
    pub removed: Vec<Removed>,
    /// Number of segments that the project has.
    pub segment_count: usize,
    /// Why the action failed.
    pub error: Option<Error>,
    /// Whether the project was kept only because another process holds its change lock.
    pub is_busy: bool,
}

impl Outcome {
    fn kept(id: &GroupId, root: Option<PathBuf>, reason: impl Into<String>) -> Self {
        Self {
            name: id.0.clone(),
            uid: id.1,
            root,
            state: None,
            action: Action::Keep,
            reason: reason.into(),
            removed: Vec::new(),
            segment_count: 0,
            error: None,
            is_busy: false,
        }
    }
}

/// Judges every project and acts on it; `report` receives one outcome for each. A failure with one project is
/// its outcome and does not end the run.
///
/// # Errors
/// Returns an error if a directory cannot be opened or listed. With [`Options::all_roots`], a root in force that
/// cannot be opened is an error too, after all other projects are done.
pub fn run(paths: &Paths, options: &Options, report: &mut dyn FnMut(Outcome)) -> Result<()> {
    let deadline = options.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    let (place, refused) = match Place::open(paths) {
        Ok(place) => (place, None),
        Err(error) if options.all_roots => (Place::without_root(paths)?, Some(error)),
        Err(error) => return Err(error),
    };
    let mut inventory = Inventory::read(&place)?;
    squatters::clear(&place, &mut inventory, options, report);
    let settled = inventory.settled(&place, |uid| is_allowed(uid, options));
    let survey = Survey::new(&place);
    // With the listing, the judge also finds temporary files of interrupted changes.
    survey.list()?;
    let (place, survey) = (&place, &survey);
    let collector = Collector { paths, place, survey, settled, options, deadline };
    collector.run(inventory, report);
    refused.map_or(Ok(()), Err)
}

struct Collector<'a> {
    paths: &'a Paths,
    place: &'a Place,
    survey: &'a Survey<'a>,
    /// The projects whose files the survey lists completely.
    settled: HashMap<Key, Settled>,
    options: &'a Options,
    deadline: Option<Instant>,
}

/// A project of an ended job whose change lock was held.
struct Busy {
    id: GroupId,
    key: Key,
    outcome: Outcome,
}

impl Collector<'_> {
    fn run(&self, inventory: Inventory, report: &mut dyn FnMut(Outcome)) {
        let mut busy = Vec::new();
        for (id, group) in inventory.into_queue() {
            if !is_allowed(id.1, self.options) {
                let root = self.is_of_root(&id, &group).then(|| self.root()).flatten();
                let kept = Outcome::kept(&id, root, format!("owned by user {}", id.1));
                report(Outcome { action: Action::OtherUser, ..kept });
            } else if self.is_late() {
                let root = self.is_of_root(&id, &group).then(|| self.root()).flatten();
                let late = Outcome::kept(&id, root, "the time limit was reached");
                report(Outcome { action: Action::NotReached, ..late });
            } else {
                self.handle_group(&id, &group, &mut busy, report);
            }
        }
        self.try_again(busy, report);
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn root(&self) -> Option<PathBuf> {
        self.place.root.as_ref().map(|root| root.path().to_owned())
    }

    /// The key of the group's project in the root in force.
    fn key_of_root(&self, id: &GroupId) -> Option<Key> {
        let root = self.place.root.as_ref()?;
        let key = state::key_in_root(self.place, root, self.survey, &id.0, id.1);
        Some(key.unwrap_or_else(|_| Key::new(&id.0, root.id(), id.1)))
    }

    fn is_of_root(&self, id: &GroupId, group: &Group) -> bool {
        let listed = |key: Key| group.hashes.contains_key(&key.hash);
        group.has_metadata || self.key_of_root(id).is_some_and(listed)
    }

    /// Handles the projects of one name and owner, then the segments that none of them claims.
    fn handle_group(
        &self,
        id: &GroupId,
        group: &Group,
        busy: &mut Vec<Busy>,
        report: &mut dyn FnMut(Outcome),
    ) {
        let ours = self.key_of_root(id).filter(|_| self.is_of_root(id, group));
        let others =
            group.hashes.keys().filter(|hash| ours.as_ref().is_none_or(|key| key.hash != **hash));
        let others =
            others.map(|hash| Key { project: id.0.clone(), hash: hash.clone(), uid: id.1 });
        let mut judged = Vec::new();
        let mut all_judged = true;
        for key in ours.iter().cloned().chain(others) {
            if !self.options.all_roots && ours.as_ref() != Some(&key) {
                let ledger = Ledger::read(&self.place.shm, &key, None).known().ok().flatten();
                let root = ledger.map(|ledger| PathBuf::from(ledger.root));
                let reason = "it belongs to another root (--all-roots includes it)";
                let kept = Outcome::kept(id, root, reason);
                report(Outcome { action: Action::OtherRoot, ..kept });
                continue;
            }
            let (outcome, project) = self.handle_key(id, &key);
            all_judged &= project.is_some();
            judged.extend(project);
            // The metadata was no file that could be read: the ledger beside it is judged alone.
            let cleared = outcome.action == Action::Clear && outcome.error.is_none();
            if outcome.is_busy && self.options.ended.is_some() {
                busy.push(Busy { id: id.clone(), key, outcome });
                continue;
            }
            report(outcome);
            if cleared && !self.options.dry_run && group.hashes.contains_key(&key.hash) {
                let (outcome, project) = self.handle_key(id, &key);
                judged.extend(project);
                report(outcome);
            }
        }
        if group.has_segments && all_judged {
            self.handle_orphans(id, &judged, report);
        }
    }

    fn handle_key(&self, id: &GroupId, key: &Key) -> (Outcome, Option<Project>) {
        let (other, root) = match self.key_of_root(id) {
            Some(ours) if ours == *key => (None, self.root()),
            _ => match self.other_root(key) {
                Ok((place, root)) => (Some(place), root),
                Err(error) => return (Outcome::kept(id, None, error.to_string()), None),
            },
        };
        let place = other.as_ref().unwrap_or(self.place);
        let project = state::judge(place, self.survey, key);
        (self.handle(place, root, &project), Some(project))
    }

    fn handle_orphans(&self, id: &GroupId, judged: &[Project], report: &mut dyn FnMut(Outcome)) {
        let known: Vec<&Project> = judged.iter().collect();
        let owner = Some(id.1);
        match state::orphans_of(self.place, self.survey, &id.0, owner, &known) {
            Ok(found) => {
                for orphan in found {
                    report(self.handle(self.place, None, &orphan));
                }
            }
            Err(error) => report(Outcome::kept(id, None, error.to_string())),
        }
    }

    /// Decides about a judged project, and acts.
    fn handle(&self, place: &Place, root: Option<PathBuf>, project: &Project) -> Outcome {
        let (action, reason) = decide(place, project, self.options);
        let done = if self.options.dry_run {
            Ok(act::would_remove(place, project, action))
        } else {
            let listed = self.settled.get(&project.key).map(|settled| (self.survey, settled));
            act::carry_out(place, project, action, self.options, listed)
        };
        let id = (project.name().clone(), project.uid);
        let outcome = Outcome {
            state: Some(project.state),
            action,
            segment_count: project.present.len(),
            ..Outcome::kept(&id, root, reason)
        };
        match done {
            Ok(removed) => Outcome { removed, ..outcome },
            Err(error) if error.kind() == Kind::Busy => {
                let reason = error.to_string();
                Outcome { action: Action::Keep, reason, is_busy: true, ..outcome }
            }
            Err(error) => Outcome { error: Some(error), ..outcome },
        }
    }

    /// Tries the projects of ended jobs again whose change lock was held, all of them together for as long as
    /// another command waits for one lock. The epilog of a job runs only once.
    fn try_again(&self, mut busy: Vec<Busy>, report: &mut dyn FnMut(Outcome)) {
        let begun = Instant::now();
        while !busy.is_empty() && begun.elapsed() < PATIENCE && !self.is_late() {
            std::thread::sleep(POLL_INTERVAL);
            let mut still = Vec::new();
            for Busy { id, key, .. } in busy {
                let (outcome, _) = self.handle_key(&id, &key);
                if outcome.is_busy && self.options.ended.is_some() {
                    still.push(Busy { id, key, outcome });
                } else {
                    report(outcome);
                }
            }
            busy = still;
        }
        for busy in busy {
            report(busy.outcome);
        }
    }

    /// The place of a ledger that belongs to another root, and the path of that root. The place is without a
    /// root if there is no such directory any more.
    fn other_root(&self, key: &Key) -> Result<(Place, Option<PathBuf>)> {
        let nowhere = |root| Ok((Place::without_root(self.paths)?, root));
        let Lookup::Present(ledger) = Ledger::read(&self.place.shm, key, None) else {
            return nowhere(None);
        };
        let root = PathBuf::from(&ledger.root);
        let is_same = |found: &Directory| ledger.is_of_root(found);
        match Place::open(&Paths { root: root.clone(), shm: self.paths.shm.clone() }) {
            Ok(place) if place.root.as_ref().is_some_and(is_same) => Ok((place, Some(root))),
            _ => nowhere(Some(root)),
        }
    }
}
