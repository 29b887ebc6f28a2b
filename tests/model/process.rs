//! The processes that change a project. Each is a list of steps; a step is one system call or one decision.

use super::node::{EMPTY, Ledger, Load, Loads, NEW, Node, OLD, Slot};

/// The task of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Load {
        overwrite: bool,
        held: bool,
    },
    /// The keeper of the project that is held at the beginning.
    Keeper,
    Unlink,
    Gc,
    PythonShare,
    PythonUnlink,
}

/// The next step of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    // Every change begins with these.
    Look,
    Open,
    Lock,
    Check,
    ReadLedger,
    FinishAside,
    FinishTake,
    FinishCompare(Load),
    FinishSegments,
    FinishLedger,
    FinishLock,
    ReadMetadata,
    Retire,
    SaveRecovered,
    Work,
    // A load.
    SaveNext,
    TakeLife,
    FirstSegment,
    LastSegment,
    WriteTemporary,
    Prepare,
    Commit,
    PutLedger,
    RetireReplaced,
    ClearRetiring,
    Hold,
    GiveUpTemporary,
    GiveUpSegments,
    GiveUpLedger,
    // A removal.
    SaveRemoving,
    TakeMetadata,
    Compare(Load),
    RestoreLedger,
    RemoveMetadata(Load),
    RemoveSegments,
    RemoveLedger,
    RemoveLock,
    // The end of a change.
    Evaluate,
    Unlock,
    // Python, which takes no locks.
    PythonLook,
    PythonFirst,
    PythonLast,
    PythonTruncate,
    PythonWrite,
    PythonTear(Load),
    PythonRemove,
    Ended,
}

/// One process, with what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    pub id: u8,
    pub role: Role,
    pub step: Step,
    /// The inode of the lock file that it has open.
    pub(super) opened: u8,
    /// The next version of the ledger.
    pub(super) ledger: Ledger,
    /// The ledger before a removal.
    pub(super) before: Ledger,
    /// The metadata that was evaluated.
    pub(super) judged: Option<Load>,
    /// Loads whose segments it removes.
    pub(super) todo: Loads,
    /// A keeper that was asked to exit.
    pub(super) leaving: bool,
}

/// The result of a step of a process.
pub type Next = (Node, Process);

impl Process {
    pub fn new(id: u8, role: Role) -> Self {
        let step = match role {
            Role::Load { .. } => Step::Open,
            Role::Keeper => Step::Hold,
            Role::Unlink | Role::Gc => Step::Look,
            Role::PythonShare | Role::PythonUnlink => Step::PythonLook,
        };
        let ledger = Ledger::default();
        Self {
            id,
            role,
            step,
            opened: 0,
            ledger,
            before: ledger,
            judged: None,
            todo: Loads::NONE,
            leaving: false,
        }
    }

    pub fn has_ended(&self) -> bool {
        self.step == Step::Ended
    }

    /// Whether the next step reads a file that may be unreadable.
    pub fn is_reading(&self) -> bool {
        matches!(
            self.step,
            Step::Look
                | Step::Open
                | Step::Check
                | Step::ReadLedger
                | Step::FinishAside
                | Step::FinishCompare(_)
                | Step::ReadMetadata
                | Step::Work
                | Step::Compare(_)
                | Step::Evaluate
        )
    }

    /// Returns the load that this process keeps alive.
    pub fn kept(&self) -> Option<Load> {
        match self.role {
            Role::Load { held: true, .. } => Some(NEW),
            Role::Keeper => Some(OLD),
            _ => None,
        }
    }

    /// Returns the process after it treats unreadable metadata as absent: a fault that the search must find.
    pub fn after_read_taken_for_absent(self, node: Node) -> Next {
        match self.step {
            Step::ReadMetadata => {
                let metadata = node.metadata;
                let (node, process) = self.roll(Node { metadata: Slot::Absent, ..node });
                (Node { metadata, ..node }, process)
            }
            _ => self.after_failed_read(node),
        }
    }

    pub(super) fn then(mut self, step: Step) -> Self {
        self.step = step;
        self
    }

    /// Returns the process after a failed read: an unreadable file is not changed.
    pub fn after_failed_read(self, mut node: Node) -> Next {
        match self.step {
            Step::Look | Step::Open => (node, self.then(Step::Ended)),
            Step::Compare(load) => {
                node.put_back(node.now_aside(load));
                (node, self.then(Step::RestoreLedger))
            }
            Step::FinishCompare(load) => {
                node.put_back(node.now_aside(load));
                (node, self.then(Step::Unlock))
            }
            _ => (node, self.then(Step::Unlock)),
        }
    }

    /// Returns the node and the process after the next step.
    pub fn advance(self, node: Node) -> Next {
        match self.step {
            Step::Look => self.look(node),
            Step::Open | Step::Lock | Step::Check => self.lock(node),
            Step::ReadLedger
            | Step::FinishAside
            | Step::FinishTake
            | Step::FinishCompare(_)
            | Step::FinishSegments
            | Step::FinishLedger
            | Step::FinishLock
            | Step::ReadMetadata
            | Step::Retire
            | Step::SaveRecovered => self.recover(node),
            Step::Work => self.work(node),
            Step::Hold => self.hold(node),
            Step::SaveRemoving
            | Step::TakeMetadata
            | Step::Compare(_)
            | Step::RestoreLedger
            | Step::RemoveMetadata(_)
            | Step::RemoveSegments
            | Step::RemoveLedger
            | Step::RemoveLock => self.remove(node),
            Step::Evaluate | Step::Unlock => self.end(node),
            Step::PythonLook
            | Step::PythonFirst
            | Step::PythonLast
            | Step::PythonTruncate
            | Step::PythonWrite
            | Step::PythonTear(_)
            | Step::PythonRemove => self.python(node),
            Step::Ended => (node, self),
            _ => self.load(node),
        }
    }

    /// `gc` and `unlink` evaluate a project before they lock it: most projects need no change.
    fn look(self, node: Node) -> Next {
        let needed = match self.role {
            Role::Unlink => node.metadata.owned().is_some() || node.ledger.owned().is_some(),
            _ => !node.is_changing() && (is_dead(&node) || is_unfinished(&node)),
        };
        (node, self.then(if needed { Step::Open } else { Step::Ended }))
    }

    /// Returns the first step of the task, once the process has the lock and the ledger is at rest.
    fn work(mut self, mut node: Node) -> Next {
        self.judged = node.metadata.owned();
        self.before = self.ledger;
        let squatted = node.metadata == Slot::Squatted;
        match self.role {
            Role::Load { .. } | Role::Keeper if self.leaving => {
                let mine = self.kept().is_some() && self.ledger.current == self.kept();
                let step =
                    if mine && is_dead(&node) { self.begin_removal() } else { Step::Evaluate };
                (node, self.then(step))
            }
            Role::Load { overwrite, .. } => {
                let absent = self.judged.is_none() || is_dead(&node);
                if squatted || !(overwrite || absent) {
                    return (node, self.then(Step::Evaluate));
                }
                if absent {
                    node.released.insert(self.judged);
                }
                self.ledger.next = Some(NEW);
                self.ledger.replaces = Loads::NONE;
                // A Python program created loads that are not in the ledger.
                let loads = self.ledger.loads();
                self.ledger
                    .replaces
                    .insert(self.judged.filter(|load| *load != EMPTY && !loads.has(*load)));
                (node, self.then(Step::SaveNext))
            }
            Role::Unlink if self.judged.is_some() || self.ledger.current.is_some() => {
                node.released = node.released.with(self.ledger.loads());
                node.released.insert(self.judged);
                let step = self.begin_removal();
                (node, self.then(step))
            }
            Role::Gc if is_dead(&node) => {
                let step = self.begin_removal();
                (node, self.then(step))
            }
            _ => (node, self.then(Step::Evaluate)),
        }
    }
}

/// Whether the project is provably dead: `gc` removes it without options.
pub(super) fn is_dead(node: &Node) -> bool {
    let gone = |load: Load| load != EMPTY && node.segments[usize::from(load)] == 0;
    let Some(ledger) = node.ledger.owned() else {
        return node.metadata.owned().is_some_and(gone);
    };
    let left = |load: Load| node.held.has(load) && !node.alive.has(load);
    ledger.removing.is_some()
        || match (node.metadata.owned(), ledger.current) {
            (Some(published), Some(current)) if published == current => {
                left(current) || gone(current)
            }
            (Some(published), _) => gone(published),
            (None, Some(current)) => left(current) || gone(current),
            (None, None) => false,
        }
}

/// Whether files of an interrupted change remain.
fn is_unfinished(node: &Node) -> bool {
    let rest = !node.temporary.is_empty() || !node.aside.is_empty() || node.prepared;
    rest || match node.ledger.owned() {
        None => node.lock.owned().is_some(),
        Some(ledger) => {
            let published = node.metadata.owned().filter(|load| *load != EMPTY);
            let replaced = published.is_some() && published != ledger.current;
            !ledger.is_at_rest() || replaced || (ledger.current.is_none() && published.is_none())
        }
    }
}
