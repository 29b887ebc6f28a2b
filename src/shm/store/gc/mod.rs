//! `gc`: judges one project after the other and acts on it at once, so that memory is freed from the first
//! moment. Only provably dead projects are removed, unless the options ask for more.

mod act;
mod decide;
mod inventory;
mod other_roots;
pub(crate) mod squatters;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::decide::{decide, is_allowed};
use self::inventory::{Group, GroupId, Inventory};
use self::other_roots::Item;
use crate::error::{Error, Kind, Result};
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, Ledger};
use crate::shm::format::name::ProjectName;
use crate::shm::store::batch_jobs::Ended;
use crate::shm::store::lock::LOCK_TIMEOUT;
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::removal::Removed;
use crate::shm::store::scan::{Scan, Settled};
use crate::shm::store::state::{self, Project, State};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What was done with a project, as `gc` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    /// It was not changed.
    Skipped,
    /// It was removed, or its orphaned segments.
    Reaped,
    /// The files of an interrupted change were removed.
    Recovered,
    /// The ended jobs were taken off its list.
    JobDropped,
    /// Its metadata was restored.
    Repaired,
    /// A file that blocked a name was removed.
    Cleared,
    /// The time limit was reached before.
    NotReached,
    /// The action failed.
    Failed,
}

/// One line of the report.
#[derive(Debug, Serialize, Deserialize)]
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
    /// The reason.
    pub reason: String,
    /// The segments that were removed, or would be.
    pub removed: Vec<Removed>,
    /// Number of segments that the project has.
    pub segment_count: usize,
    /// Why the action failed.
    #[serde(skip)]
    pub error: Option<Error>,
    /// Whether the project was kept only because another process holds its change lock.
    pub is_busy: bool,
}

impl Outcome {
    /// What was done.
    pub fn reported(&self) -> Reported {
        if self.error.is_some() {
            return Reported::Failed;
        }
        match self.action {
            Action::Keep | Action::OtherUser | Action::OtherRoot => Reported::Skipped,
            Action::Reap | Action::ReapOrphans => Reported::Reaped,
            Action::Recover => Reported::Recovered,
            Action::DropJob => Reported::JobDropped,
            Action::Repair => Reported::Repaired,
            Action::Clear => Reported::Cleared,
            Action::NotReached => Reported::NotReached,
        }
    }

    /// A project that was not reached.
    fn late(id: &GroupId, root: Option<PathBuf>) -> Self {
        let kept = Self::kept(id, root, "the time limit was reached");
        Self { action: Action::NotReached, ..kept }
    }

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
    // Without --all-roots there is no other work: `gc` may wait for the root.
    let is_silent = options.all_roots && !other_roots::answers(paths);
    let opened = if is_silent { Err(other_roots::silent(paths)) } else { NodeDirs::open(paths) };
    let rootless = NodeDirs::without_root(paths)?;
    let (dirs, refused) = match opened {
        Ok(dirs) => (dirs, None),
        Err(error) if options.all_roots => (NodeDirs::without_root(paths)?, Some(error)),
        Err(error) => return Err(error),
    };
    let mut inventory = Inventory::read(&dirs)?;
    squatters::clear(&dirs, &mut inventory, options, report);
    let settled = inventory.settled(&dirs, |uid| is_allowed(uid, options));
    let scan = Scan::new(&dirs);
    // With the listing, the judge also finds temporary files of interrupted changes.
    scan.list()?;
    let silent = is_silent.then(|| paths.root.clone());
    let (dirs, rootless, scan) = (&dirs, &rootless, &scan);
    let collector = Collector { paths, dirs, rootless, silent, scan, settled, options, deadline };
    collector.run(inventory, report)?;
    refused.or_else(|| scan.unread()).map_or(Ok(()), Err)
}

struct Collector<'a> {
    paths: &'a Paths,
    dirs: &'a NodeDirs,
    /// The shm directory alone, for projects whose root is unknown or cannot be opened.
    rootless: &'a NodeDirs,
    /// The root in force, if it does not answer.
    silent: Option<PathBuf>,
    scan: &'a Scan<'a>,
    /// The projects whose files the survey lists completely.
    settled: HashMap<Key, Settled>,
    options: &'a Options,
    deadline: Option<Instant>,
}

/// A project of an ended job whose change lock was held.
struct Busy {
    key: Key,
    root: Root,
    outcome: Outcome,
}

/// The root of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    InForce,
    /// No ledger names it.
    Unknown,
    /// Named by the ledger. Only a child process opens it: its file system may not answer.
    Other(PathBuf),
}

impl Collector<'_> {
    fn run(&self, inventory: Inventory, report: &mut dyn FnMut(Outcome)) -> Result<()> {
        let (mut busy, mut later) = (Vec::new(), Vec::new());
        for (id, group) in inventory.into_queue() {
            if !is_allowed(id.1, self.options) {
                let root = self.is_of_root(&id, &group).then(|| self.root()).flatten();
                let kept = Outcome::kept(&id, root, format!("owned by user {}", id.1));
                report(Outcome { action: Action::OtherUser, ..kept });
            } else if self.is_late() {
                let root = self.is_of_root(&id, &group).then(|| self.root()).flatten();
                report(Outcome::late(&id, root));
            } else {
                later.extend(self.handle_group(&id, &group, &mut busy, report));
            }
        }
        self.try_again(busy, &mut |_, outcome| report(outcome));
        other_roots::handle(self, &later, report)
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn root(&self) -> Option<PathBuf> {
        self.dirs.root.as_ref().map(|root| root.path().to_owned())
    }

    /// The key of the group's project in the root in force.
    fn key_of_root(&self, id: &GroupId) -> Option<Key> {
        let root = self.dirs.root.as_ref()?;
        let key = state::key_in_root(self.dirs, root, self.scan, &id.0, id.1);
        Some(key.unwrap_or_else(|_| Key::new(&id.0, root.id(), id.1)))
    }

    fn is_of_root(&self, id: &GroupId, group: &Group) -> bool {
        let listed = |key: Key| group.hashes.contains_key(&key.hash);
        group.has_metadata || self.key_of_root(id).is_some_and(listed)
    }

    /// The root of a project that is not one of the root in force.
    fn root_of(&self, key: &Key) -> Root {
        match Ledger::read(&self.dirs.shm, key, None) {
            Lookup::Present(ledger) => Root::Other(ledger.root.into()),
            Lookup::Absent | Lookup::Unreadable(_) => Root::Unknown,
        }
    }

    /// Handles the projects of one name and owner, then the segments that none of them claims. Returns the part of
    /// the work that needs another root.
    fn handle_group(
        &self,
        id: &GroupId,
        group: &Group,
        busy: &mut Vec<Busy>,
        report: &mut dyn FnMut(Outcome),
    ) -> Option<Item> {
        let ours = self.key_of_root(id).filter(|_| self.is_of_root(id, group));
        let others =
            group.hashes.keys().filter(|hash| ours.as_ref().is_none_or(|key| key.hash != **hash));
        let others =
            others.map(|hash| Key { project: id.0.clone(), hash: hash.clone(), uid: id.1 });
        let mut item = Item::new(id.clone(), group.has_segments);
        let mut judged = Vec::new();
        for key in ours.iter().cloned().chain(others) {
            let root = match ours.as_ref() == Some(&key) {
                true => Root::InForce,
                false => self.root_of(&key),
            };
            match root {
                Root::Unknown | Root::Other(_) if !self.options.all_roots => {
                    let root = if let Root::Other(root) = root { Some(root) } else { None };
                    let reason = "it belongs to another root (--all-roots includes it)";
                    let kept = Outcome::kept(id, root, reason);
                    report(Outcome { action: Action::OtherRoot, ..kept });
                }
                Root::Other(root) => {
                    item.others.push((key, root));
                }
                root => {
                    let is_listed = group.hashes.contains_key(&key.hash);
                    self.handle_in(&key, &root, is_listed, &mut judged, busy, report);
                    item.handled.push((key, root));
                }
            }
        }
        let asks_python = group.has_segments && decide::asks_python_root(self.dirs, self.options);
        if asks_python || !item.others.is_empty() {
            return Some(item);
        }
        if group.has_segments {
            self.handle_orphans(id, &judged, report);
        }
        None
    }

    /// Handles one project. If its metadata was no regular file and was removed, its ledger is handled too.
    fn handle_in(
        &self,
        key: &Key,
        root: &Root,
        is_listed: bool,
        judged: &mut Vec<Project>,
        busy: &mut Vec<Busy>,
        report: &mut dyn FnMut(Outcome),
    ) {
        let (outcome, project) = self.handle_key(key, root);
        judged.push(project);
        let is_cleared = outcome.action == Action::Clear && outcome.error.is_none();
        if outcome.is_busy && self.options.ended.is_some() {
            busy.push(Busy { key: key.clone(), root: root.clone(), outcome });
            return;
        }
        report(outcome);
        if is_cleared && !self.options.dry_run && is_listed {
            let (outcome, project) = self.handle_key(key, root);
            judged.push(project);
            report(outcome);
        }
    }

    fn handle_key(&self, key: &Key, root: &Root) -> (Outcome, Project) {
        let (other, path) = match root {
            Root::InForce => (None, self.root()),
            Root::Unknown => (None, None),
            Root::Other(path) => (self.open_other(key, path), Some(path.clone())),
        };
        let dirs = match root {
            Root::InForce => self.dirs,
            Root::Unknown | Root::Other(_) => other.as_ref().unwrap_or(self.rootless),
        };
        let project = state::judge(dirs, self.scan, key);
        (self.handle(dirs, path, &project), project)
    }

    /// Judges again a project that needs no other root.
    fn judge_again(&self, key: &Key, root: &Root) -> Project {
        let dirs = if *root == Root::InForce { self.dirs } else { self.rootless };
        state::judge(dirs, self.scan, key)
    }

    fn handle_orphans(&self, id: &GroupId, judged: &[Project], report: &mut dyn FnMut(Outcome)) {
        let known: Vec<&Project> = judged.iter().collect();
        let owner = Some(id.1);
        match state::orphans_of(self.dirs, self.scan, &id.0, owner, &known) {
            Ok(found) => {
                for orphan in found {
                    report(self.handle(self.dirs, None, &orphan));
                }
            }
            Err(error) => report(Outcome::kept(id, None, error.to_string())),
        }
    }

    /// Decides about a judged project, and acts.
    fn handle(&self, dirs: &NodeDirs, root: Option<PathBuf>, project: &Project) -> Outcome {
        let (action, reason) = decide(dirs, project, self.options);
        let done = if self.options.dry_run {
            Ok(act::would_remove(dirs, project, action))
        } else {
            let listed = self.settled.get(&project.key).map(|settled| (self.scan, settled));
            act::carry_out(dirs, project, action, self.options, listed)
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
    /// another command waits for one lock. The epilog of a job runs only once. `report` receives the position of
    /// the project in `busy` and its outcome.
    fn try_again(&self, busy: Vec<Busy>, report: &mut dyn FnMut(usize, Outcome)) {
        let begun = Instant::now();
        let mut busy: Vec<_> = busy.into_iter().enumerate().collect();
        while !busy.is_empty() && begun.elapsed() < LOCK_TIMEOUT && !self.is_late() {
            std::thread::sleep(POLL_INTERVAL);
            let mut still = Vec::new();
            for (number, Busy { key, root, .. }) in busy {
                let (outcome, _) = self.handle_key(&key, &root);
                if outcome.is_busy {
                    still.push((number, Busy { key, root, outcome }));
                } else {
                    report(number, outcome);
                }
            }
            busy = still;
        }
        for (number, busy) in busy {
            report(number, busy.outcome);
        }
    }

    /// Opens the other root of a project; `None` if it is not the root of its ledger, or cannot be opened.
    fn open_other(&self, key: &Key, root: &Path) -> Option<NodeDirs> {
        let ledger = Ledger::read(&self.dirs.shm, key, None).known().ok()??;
        let paths = Paths { root: root.to_owned(), shm: self.paths.shm.clone() };
        let dirs = NodeDirs::open(&paths).ok()?;
        dirs.root.as_ref().is_some_and(|found| ledger.is_of_root(found)).then_some(dirs)
    }
}
