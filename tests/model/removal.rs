//! The steps of a removal, and the end of every change.

use super::node::{EMPTY, Ledger, NEW, Node, Slot};
use super::process::{Next, Process, Role, Step, is_dead};

impl Process {
    pub(super) fn begin_removal(&mut self) -> Step {
        self.todo = self.ledger.loads();
        self.todo.insert(self.judged.filter(|load| *load != EMPTY));
        self.before = self.ledger;
        self.ledger.removing = Some(self.todo);
        Step::SaveRemoving
    }

    pub(super) fn remove(mut self, mut node: Node) -> Next {
        let step = match self.step {
            Step::SaveRemoving if node.ledger == Slot::Squatted => Step::Unlock,
            Step::SaveRemoving => {
                node.ledger = Slot::Owned(self.ledger);
                Step::TakeMetadata
            }
            Step::TakeMetadata => match (self.judged, node.metadata) {
                (Some(_), Slot::Owned(load)) => {
                    node.metadata = Slot::Absent;
                    node.aside.insert(load);
                    Step::Compare(load)
                }
                _ => Step::RemoveSegments,
            },
            Step::Compare(load) if Some(node.now_aside(load)) == self.judged => {
                Step::RemoveMetadata(load)
            }
            Step::Compare(load) => {
                node.put_back(node.now_aside(load));
                Step::RestoreLedger
            }
            Step::RestoreLedger => {
                self.ledger = self.before;
                if self.ledger == Ledger::default() {
                    node.ledger = Slot::Absent;
                } else {
                    node.ledger = Slot::Owned(self.ledger);
                }
                Step::Unlock
            }
            Step::RemoveMetadata(load) => {
                node.aside.remove(node.now_aside(load));
                Step::RemoveSegments
            }
            Step::RemoveSegments if node.remove_segment(self.todo) => Step::RemoveSegments,
            Step::RemoveSegments => Step::RemoveLedger,
            Step::RemoveLedger => {
                if node.ledger != Slot::Squatted {
                    node.ledger = Slot::Absent;
                }
                Step::RemoveLock
            }
            _ => {
                node.lock = Slot::Absent;
                node.free_locks(self.id);
                self.after_the_lock()
            }
        };
        (node, self.then(step))
    }

    /// The holder of the lock evaluates the project before it releases it: a keeper may have exited in the meantime.
    pub(super) fn end(mut self, mut node: Node) -> Next {
        if self.step == Step::Evaluate {
            let step = if self.ledger.current.is_none() && self.ledger.is_at_rest() {
                Step::RemoveLedger
            } else if is_dead(&node) {
                self.judged = node.metadata.owned();
                self.begin_removal()
            } else {
                Step::Unlock
            };
            return (node, self.then(step));
        }
        node.free_locks(self.id);
        let step = self.after_the_lock();
        (node, self.then(step))
    }

    pub(super) fn after_the_lock(&self) -> Step {
        match self.role {
            Role::Load { held: true, .. } if !self.leaving && self.ledger.current == Some(NEW) => {
                Step::Hold
            }
            _ => Step::Ended,
        }
    }
}
