//! Judges the projects of the inventory and acts on them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::act;
use super::decide::{self, decide, is_allowed};
use super::inventory::{Group, GroupId, Inventory};
use super::outcome::{Action, Options, Outcome};
use crate::error::Kind;
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, Ledger};
use crate::shm::store::lock::LOCK_TIMEOUT;
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::scan::{Scan, Settled};
use crate::shm::store::state::{self, Project};

/// Interval between two attempts to take the locks of projects of ended jobs.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The part of a group's work that needs another root.
pub(super) struct Item {
    pub id: GroupId,
    pub has_segments: bool,
    /// Projects that need no other root, and are handled.
    pub handled: Vec<(Key, Root)>,
    /// Projects with the roots that their ledgers name.
    pub others: Vec<(Key, PathBuf)>,
}

impl Item {
    pub(crate) fn new(id: GroupId, has_segments: bool) -> Self {
        Self { id, has_segments, handled: Vec::new(), others: Vec::new() }
    }
}

pub(super) struct Collector<'a> {
    pub(super) paths: &'a Paths,
    pub(super) dirs: &'a NodeDirs,
    /// The shm directory alone, for projects whose root is unknown or cannot be opened.
    pub(super) rootless: &'a NodeDirs,
    /// The configured root, if its file system does not respond.
    pub(super) silent: Option<PathBuf>,
    pub(super) scan: &'a Scan<'a>,
    /// The projects whose files the scan lists completely.
    pub(super) settled: HashMap<Key, Settled>,
    pub(super) options: &'a Options,
    pub(super) deadline: Option<Instant>,
}

/// A project of an ended job whose change lock was held.
pub(super) struct Busy {
    pub(super) key: Key,
    pub(super) root: Root,
    pub(super) outcome: Outcome,
}

/// The root of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    InForce,
    /// No ledger names it.
    Unknown,
    /// Named by the ledger. Only a child process opens it: its file system may not answer.
    Other(PathBuf),
}

impl Collector<'_> {
    pub(super) fn run(&self, inventory: Inventory, report: &mut dyn FnMut(Outcome)) -> Vec<Item> {
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
        later
    }

    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(super) fn root(&self) -> Option<PathBuf> {
        self.dirs.root.as_ref().map(|root| root.path().to_owned())
    }

    /// The key of the group's project in the root in force; `None` if the group has no project there.
    fn key_of_root(&self, id: &GroupId, group: &Group) -> Option<Key> {
        let root = self.dirs.root.as_ref()?;
        let key = state::key_in_root(self.dirs, root, self.scan, &id.0, id.1)
            .unwrap_or_else(|_| Key::new(&id.0, root.id(), id.1));
        (group.has_metadata || group.hashes.contains_key(&key.hash)).then_some(key)
    }

    pub(super) fn is_of_root(&self, id: &GroupId, group: &Group) -> bool {
        group.has_metadata || self.key_of_root(id, group).is_some()
    }

    /// The root of a project that is not one of the root in force.
    pub(super) fn root_of(&self, key: &Key) -> Root {
        match Ledger::read(&self.dirs.shm, key, None) {
            Lookup::Present(ledger) => Root::Other(ledger.root.into()),
            Lookup::Absent | Lookup::Unreadable(_) => Root::Unknown,
        }
    }

    /// Handles the projects of one name and owner, then the segments that none of them claims. Returns the part of
    /// the work that needs another root.
    pub(super) fn handle_group(
        &self,
        id: &GroupId,
        group: &Group,
        busy: &mut Vec<Busy>,
        report: &mut dyn FnMut(Outcome),
    ) -> Option<Item> {
        let ours = self.key_of_root(id, group);
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
    pub(super) fn handle_in(
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

    pub(super) fn handle_key(&self, key: &Key, root: &Root) -> (Outcome, Project) {
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
    pub(super) fn judge_again(&self, key: &Key, root: &Root) -> Project {
        let dirs = if *root == Root::InForce { self.dirs } else { self.rootless };
        state::judge(dirs, self.scan, key)
    }

    pub(super) fn handle_orphans(
        &self,
        id: &GroupId,
        judged: &[Project],
        report: &mut dyn FnMut(Outcome),
    ) {
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
    pub(super) fn handle(
        &self,
        dirs: &NodeDirs,
        root: Option<PathBuf>,
        project: &Project,
    ) -> Outcome {
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
    pub(super) fn try_again(&self, busy: Vec<Busy>, report: &mut dyn FnMut(usize, Outcome)) {
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
    pub(super) fn open_other(&self, key: &Key, root: &Path) -> Option<NodeDirs> {
        let ledger = Ledger::read(&self.dirs.shm, key, None).known().ok()??;
        let paths = Paths { root: root.to_owned(), shm: self.paths.shm.clone() };
        let dirs = NodeDirs::open(&paths).ok()?;
        dirs.root.as_ref().is_some_and(|found| ledger.is_of_root(found)).then_some(dirs)
    }
}
