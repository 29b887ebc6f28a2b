//! The start of every change: the lock, and the recovery of the remains of its last holder.

use super::node::{EMPTY, Ledger, Loads, Node, Slot};
use super::process::{Next, Process, Step};

impl Process {
    pub(super) fn lock(mut self, mut node: Node) -> Next {
        match (self.step, node.lock) {
            (Step::Open, Slot::Absent) => {
                self.opened = node.create_lock(self.id);
                (node, self.then(Step::ReadLedger))
            }
            // Its owner can release it at any time, so it is not a lock.
            (Step::Open, Slot::Squatted) => (node, self.then(Step::Ended)),
            (Step::Open, Slot::Owned(inode)) => {
                self.opened = inode;
                (node, self.then(Step::Lock))
            }
            (Step::Lock, _) => {
                let holder = &mut node.holders[usize::from(self.opened)];
                // The process waits (its step comes later), or its time limit passes.
                let step = if holder.is_some() { Step::Ended } else { Step::Check };
                holder.get_or_insert(self.id);
                (node, self.then(step))
            }
            _ if node.lock == Slot::Owned(self.opened) => (node, self.then(Step::ReadLedger)),
            _ => {
                node.holders[usize::from(self.opened)] = None;
                (node, self.then(Step::Open))
            }
        }
    }

    /// Completes interrupted changes of the ledger.
    pub(super) fn recover(mut self, mut node: Node) -> Next {
        match self.step {
            Step::ReadLedger => {
                node.prepared = false;
                let step = match node.ledger {
                    Slot::Squatted => Step::Unlock,
                    Slot::Absent => {
                        self.ledger = Ledger::default();
                        Step::FinishAside
                    }
                    Slot::Owned(ledger) => {
                        self.ledger = ledger;
                        self.todo = ledger.removing.unwrap_or(Loads::NONE);
                        Step::FinishAside
                    }
                };
                (node, self.then(step))
            }
            Step::FinishAside => {
                let step = match self.ledger.removing {
                    Some(_) => Step::FinishTake,
                    None => Step::ReadMetadata,
                };
                match node.aside.iter().next() {
                    Some(load) if self.todo.has(load) => node.aside.remove(load),
                    Some(load) => node.put_back(load),
                    None => {}
                }
                (node, self.then(step))
            }
            Step::FinishTake => match node.metadata {
                Slot::Owned(load) => {
                    node.metadata = Slot::Absent;
                    node.aside.insert(load);
                    (node, self.then(Step::FinishCompare(load)))
                }
                _ => (node, self.then(Step::FinishSegments)),
            },
            Step::FinishCompare(load) => {
                let load = node.now_aside(load);
                if self.todo.has(load) {
                    node.aside.remove(load);
                } else {
                    node.put_back(load);
                }
                (node, self.then(Step::FinishSegments))
            }
            Step::FinishSegments | Step::Retire if node.remove_segment(self.todo) => (node, self),
            Step::FinishSegments => (node, self.then(Step::FinishLedger)),
            Step::FinishLedger => {
                node.ledger = Slot::Absent;
                (node, self.then(Step::FinishLock))
            }
            Step::FinishLock => {
                node.lock = Slot::Absent;
                node.free_locks(self.id);
                // The removal removed the lock file: start again.
                (node, self.then(Step::Open))
            }
            Step::ReadMetadata => self.roll(node),
            Step::Retire => (node, self.then(Step::SaveRecovered)),
            _ => {
                self.ledger.replaces = Loads::NONE;
                node.ledger = Slot::Owned(self.ledger);
                (node, self.then(Step::Work))
            }
        }
    }

    /// Rolls a published load forward and an unpublished one back.
    pub(super) fn roll(mut self, mut node: Node) -> Next {
        let published = node.metadata.owned().filter(|load| *load != EMPTY);
        let ledger = &mut self.ledger;
        self.todo = std::mem::take(&mut ledger.retiring);
        if let Some(next) = ledger.next.take() {
            node.temporary.remove(next);
            if published == Some(next) {
                self.todo.insert(ledger.current);
                self.todo = self.todo.with(ledger.replaces);
                ledger.current = Some(next);
            } else {
                self.todo.insert(next);
                ledger.replaces = Loads::NONE;
            }
        } else {
            self.todo = self.todo.with(ledger.replaces);
        }
        if published.is_some() && ledger.current.is_some() && published != ledger.current {
            self.todo.insert(ledger.current.take());
        }
        // A published load is never removed, even if the ledger lists it.
        if let Some(published) = published {
            self.todo.remove(published);
        }
        (node, self.then(Step::Retire))
    }
}
