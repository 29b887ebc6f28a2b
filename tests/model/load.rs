//! The steps of a load and of the keeper of a held project.

use super::node::{Loads, NEW, Node, Slot, WHOLE};
use super::process::{Next, Process, Role, Step};

impl Process {
    pub(super) fn load(mut self, mut node: Node) -> Next {
        let held = matches!(self.role, Role::Load { held: true, .. });
        let step = match self.step {
            Step::SaveNext if node.ledger == Slot::Squatted => Step::Unlock,
            Step::SaveNext => {
                node.ledger = Slot::Owned(self.ledger);
                if held { Step::TakeLife } else { Step::FirstSegment }
            }
            Step::TakeLife => {
                node.alive.insert(NEW);
                Step::FirstSegment
            }
            Step::FirstSegment => {
                node.segments[usize::from(NEW)] = 1;
                Step::LastSegment
            }
            Step::LastSegment => {
                node.segments[usize::from(NEW)] = WHOLE;
                Step::WriteTemporary
            }
            Step::WriteTemporary => {
                node.temporary.insert(NEW);
                Step::Prepare
            }
            Step::Prepare => {
                node.prepared = true;
                Step::Commit
            }
            Step::Commit => return self.commit(node),
            Step::PutLedger => {
                node.ledger = Slot::Owned(self.ledger);
                node.prepared = false;
                self.todo = self.ledger.retiring.with(self.ledger.replaces);
                Step::RetireReplaced
            }
            Step::RetireReplaced if node.remove_segment(self.todo) => Step::RetireReplaced,
            Step::RetireReplaced => Step::ClearRetiring,
            Step::ClearRetiring => {
                self.ledger.retiring = Loads::NONE;
                self.ledger.replaces = Loads::NONE;
                node.ledger = Slot::Owned(self.ledger);
                Step::Evaluate
            }
            Step::GiveUpTemporary => {
                node.temporary.remove(NEW);
                node.prepared = false;
                node.alive.remove(NEW);
                self.todo = Loads::of(NEW);
                Step::GiveUpSegments
            }
            Step::GiveUpSegments if node.remove_segment(self.todo) => Step::GiveUpSegments,
            Step::GiveUpSegments => Step::GiveUpLedger,
            _ => {
                self.ledger.next = None;
                self.ledger.replaces = Loads::NONE;
                if self.ledger.current.is_some() {
                    node.ledger = Slot::Owned(self.ledger);
                    Step::Evaluate
                } else {
                    Step::RemoveLedger
                }
            }
        };
        (node, self.then(step))
    }

    /// The commit point: the metadata gets its name.
    pub(super) fn commit(mut self, mut node: Node) -> Next {
        let replace = self.judged.is_some();
        let committed = match node.metadata {
            Slot::Squatted => false,
            Slot::Owned(_) => replace,
            Slot::Absent => true,
        };
        if !committed {
            return (node, self.then(Step::GiveUpTemporary));
        }
        node.released.insert(node.metadata.owned());
        node.metadata = Slot::Owned(NEW);
        node.temporary.remove(NEW);
        self.ledger.next = None;
        self.ledger.retiring.insert(self.ledger.current);
        self.ledger.current = Some(NEW);
        (node, self.then(Step::PutLedger))
    }

    /// A keeper waits, until it is asked to exit or the project is no longer its own.
    pub(super) fn hold(mut self, mut node: Node) -> Next {
        let kept = self.kept().unwrap_or(NEW);
        let lost = match node.ledger {
            Slot::Owned(ledger) => ledger.current != Some(kept) || ledger.removing.is_some(),
            Slot::Absent => true,
            Slot::Squatted => false,
        };
        node.alive.remove(kept);
        node.released.insert(kept);
        if lost {
            return (node, self.then(Step::Ended));
        }
        self.leaving = true;
        (node, self.then(Step::Open))
    }
}
