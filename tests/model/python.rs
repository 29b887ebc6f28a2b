//! The steps of a Python program, which takes no locks.

use super::node::{EMPTY, Loads, Node, PYTHON, Slot, WHOLE};
use super::process::{Next, Process, Role, Step};

impl Process {
    pub(super) fn python(self, mut node: Node) -> Next {
        let step = match (self.step, self.role) {
            (Step::PythonLook, Role::PythonShare) if node.metadata == Slot::Absent => {
                Step::PythonFirst
            }
            (Step::PythonLook, Role::PythonUnlink) => match node.metadata.owned() {
                Some(load) if load != EMPTY => {
                    node.released.insert(load);
                    node.torn.insert(load);
                    Step::PythonTear(load)
                }
                _ => Step::Ended,
            },
            (Step::PythonFirst, _) => {
                node.segments[usize::from(PYTHON)] = 1;
                Step::PythonLast
            }
            (Step::PythonLast, _) => {
                node.segments[usize::from(PYTHON)] = WHOLE;
                Step::PythonTruncate
            }
            (Step::PythonTruncate, _) if node.metadata != Slot::Squatted => {
                node.released.insert(node.metadata.owned());
                node.metadata = Slot::Owned(EMPTY);
                Step::PythonWrite
            }
            (Step::PythonWrite, _) => {
                if node.metadata == Slot::Owned(EMPTY) {
                    node.metadata = Slot::Owned(PYTHON);
                } else if node.aside.has(EMPTY) {
                    node.aside.remove(EMPTY);
                    node.aside.insert(PYTHON);
                }
                Step::Ended
            }
            (Step::PythonTear(load), _) if node.remove_segment(Loads::of(load)) => {
                Step::PythonTear(load)
            }
            (Step::PythonTear(_), _) => Step::PythonRemove,
            (Step::PythonRemove, _) => {
                if let Slot::Owned(load) = node.metadata {
                    node.released.insert(load);
                    node.torn.insert(load);
                    node.metadata = Slot::Absent;
                }
                Step::Ended
            }
            _ => Step::Ended,
        };
        (node, self.then(step))
    }
}
