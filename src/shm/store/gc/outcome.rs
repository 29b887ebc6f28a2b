//! The options of `gc`, its actions, and the outcome for each project.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inventory::GroupId;
use crate::error::Error;
use crate::shm::format::name::ProjectName;
use crate::shm::store::batch_jobs::Ended;
use crate::shm::store::removal::Removed;
use crate::shm::store::state::State;

/// What `gc` removes besides provably dead projects, and how.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is an option of the command line.
pub(crate) struct Options {
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
pub(crate) enum Action {
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

/// The result for a project in the report of `gc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reported {
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
pub(crate) struct Outcome {
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
    /// Returns the result that `gc` reports.
    pub(crate) fn reported(&self) -> Reported {
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
    pub(super) fn late(id: &GroupId, root: Option<PathBuf>) -> Self {
        let kept = Self::kept(id, root, "the time limit was reached");
        Self { action: Action::NotReached, ..kept }
    }

    pub(super) fn kept(id: &GroupId, root: Option<PathBuf>, reason: impl Into<String>) -> Self {
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
