//! An exhaustive search of every interleaving of the steps of a few processes, with a kill, a failed read and
//! squatters of another user at every possible step.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use super::node::{EMPTY, Ledger, Load, Loads, NEW, Node, OLD, Slot, WHOLE};
use super::process::{Process, Role, Step};

/// The faults of a run, and their maximum numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    pub kills: u8,
    pub failed_reads: u8,
    /// A failed read is treated as an absent file.
    pub unreadable_is_absent: bool,
    /// Files that another user creates under the fixed names, or removes again.
    pub squats: u8,
}

/// The initial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Nothing,
    Persistent,
    /// Held by a process with [`Role::Keeper`], which must be among the processes.
    Held,
    /// Shared by a Python program: no ledger, no lock file.
    Python,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    node: Node,
    processes: [Option<Process>; 3],
    faults: Faults,
}

/// Explores every order of steps. Returns the number of different states.
///
/// # Panics
/// Panics if a state violates an invariant of docs/protocol.md, and prints the steps that lead to it.
pub fn explore(before: Before, roles: &[Role], faults: Faults) -> usize {
    let mut processes = [None; 3];
    for (id, role) in (0..).zip(roles) {
        processes[usize::from(id)] = Some(Process::new(id, *role));
    }
    let held = roles.iter().any(|role| matches!(role, Role::Load { held: true, .. }));
    let start = State { node: node(before, held), processes, faults };
    let hash = |state: &State| BuildHasherDefault::<DefaultHasher>::new().hash_one(state);
    let mut seen = HashSet::from([hash(&start)]);
    // The path to the state that is expanded now, for the report of a violation.
    let mut path: Vec<String> = Vec::new();
    let mut stack = vec![(start, 0, String::from("start"))];
    while let Some((state, depth, label)) = stack.pop() {
        path.truncate(depth);
        path.push(label);
        if let Err(violation) = check(before, &state) {
            panic!("{before:?} {roles:?}: {violation}\n{state:#?}\n{}", path.join("\n"));
        }
        for (next, label) in state.successors() {
            if seen.insert(hash(&next)) {
                stack.push((next, depth + 1, label));
            }
        }
    }
    seen.len()
}

fn node(before: Before, held: bool) -> Node {
    let mut node = Node {
        metadata: Slot::Absent,
        temporary: Loads::NONE,
        aside: Loads::NONE,
        ledger: Slot::Absent,
        prepared: false,
        segments: [0; 3],
        lock: Slot::Absent,
        inode: 0,
        holders: [None; 4],
        held: if held { Loads::of(NEW) } else { Loads::NONE },
        alive: Loads::NONE,
        released: Loads::NONE,
        torn: Loads::NONE,
    };
    if before == Before::Nothing {
        return node;
    }
    node.metadata = Slot::Owned(OLD);
    node.segments[usize::from(OLD)] = WHOLE;
    if before != Before::Python {
        node.create_lock(0);
        node.holders = [None; 4];
        node.ledger = Slot::Owned(Ledger { current: Some(OLD), ..Ledger::default() });
    }
    if before == Before::Held {
        node.held.insert(OLD);
        node.alive.insert(OLD);
    }
    node
}

impl State {
    fn successors(&self) -> Vec<(Self, String)> {
        let mut found = Vec::new();
        for process in self.processes.iter().flatten().filter(|process| !process.has_ended()) {
            let label = |what: &str| format!("{:?} {what} {:?}", process.role, process.step);
            found.push((self.with(process.advance(self.node), self.faults), label("does")));
            if self.faults.failed_reads > 0 && process.is_reading() {
                let left = self.faults.failed_reads - 1;
                let faults = Faults { failed_reads: left, ..self.faults };
                let next = match self.faults.unreadable_is_absent {
                    true => process.after_read_taken_for_absent(self.node),
                    false => process.after_failed_read(self.node),
                };
                found.push((self.with(next, faults), label("cannot read at")));
            }
            if self.faults.kills > 0 {
                let faults = Faults { kills: self.faults.kills - 1, ..self.faults };
                found.push((
                    self.with(killed(self.node, *process), faults),
                    label("is killed before"),
                ));
            }
        }
        if self.faults.squats > 0 {
            let faults = Faults { squats: self.faults.squats - 1, ..self.faults };
            let squats =
                [squat_lock(self.node), squat_ledger(self.node), squat_metadata(self.node)];
            for node in squats.into_iter().flatten() {
                found.push((
                    Self { node, faults, ..*self },
                    "another user squats or leaves".to_owned(),
                ));
            }
        }
        found
    }

    fn with(&self, (node, process): (Node, Process), faults: Faults) -> Self {
        let mut next = Self { node, faults, ..*self };
        next.processes[usize::from(process.id)] = Some(process);
        next
    }
}

fn killed(mut node: Node, mut process: Process) -> (Node, Process) {
    node.free_locks(process.id);
    if let Some(kept) = process.kept() {
        node.alive.remove(kept);
        node.released.insert(kept);
    }
    process.step = Step::Ended;
    (node, process)
}

fn squat<T: Copy>(slot: Slot<T>) -> Option<Slot<T>> {
    match slot {
        Slot::Absent => Some(Slot::Squatted),
        Slot::Squatted => Some(Slot::Absent),
        Slot::Owned(_) => None,
    }
}

fn squat_lock(node: Node) -> Option<Node> {
    squat(node.lock).map(|lock| Node { lock, ..node })
}

fn squat_ledger(node: Node) -> Option<Node> {
    squat(node.ledger).map(|ledger| Node { ledger, ..node })
}

fn squat_metadata(node: Node) -> Option<Node> {
    squat(node.metadata).map(|metadata| Node { metadata, ..node })
}

/// Checks the invariants of a state. If every process has exited or only holds a project, also those of a node at rest.
fn check(before: Before, state: &State) -> Result<(), String> {
    let node = &state.node;
    if let Slot::Owned(load) = node.metadata
        && load != EMPTY
        && !node.torn.has(load)
        && node.segments[usize::from(load)] < WHOLE
    {
        return Err(format!("load {load} is visible and not whole"));
    }
    let resting = |process: &Process| process.has_ended() || process.step == Step::Hold;
    if state.processes.iter().flatten().all(resting) {
        check_at_rest(before, *node, &state.processes)?;
    }
    Ok(())
}

/// Checks that one `gc` (by root, if there are squatters) leaves one whole project or no file.
fn check_at_rest(
    before: Before,
    mut node: Node,
    processes: &[Option<Process>; 3],
) -> Result<(), String> {
    let roles: Vec<Role> = processes.iter().flatten().map(|process| process.role).collect();
    clear_squats(&mut node);
    collect_garbage(&mut node)?;
    let segments = |load: Load| node.segments[usize::from(load)];
    let published = node.metadata.owned();
    // Segments of Python programs carry no token: only `gc --orphans` removes them.
    let tokens: &[Load] = if before == Before::Python { &[NEW] } else { &[OLD, NEW] };
    for load in tokens.iter().copied().filter(|load| Some(*load) != published) {
        let current = node.ledger.owned().and_then(|ledger| ledger.current);
        // Python's `unlink` may remove the metadata of a load that it did not read.
        let detached =
            current == Some(load) && published.is_none() && roles.contains(&Role::PythonUnlink);
        let empty = published == Some(EMPTY) && current == Some(load);
        if segments(load) > 0 && !detached && !empty {
            return Err(format!("one gc leaves segments of load {load}: {node:#?}"));
        }
    }
    if !node.temporary.is_empty() || !node.aside.is_empty() || node.prepared {
        return Err(format!("one gc leaves temporary files: {node:#?}"));
    }
    if published.is_none() && node.ledger.owned().is_none() && node.lock != Slot::Absent {
        return Err(format!("one gc leaves a lock file: {node:#?}"));
    }
    if let Some(load) = published.filter(|load| tokens.contains(load)) {
        let whole = segments(load) == WHOLE || node.torn.has(load);
        let known = match node.ledger.owned() {
            Some(ledger) => ledger.current == Some(load) && ledger.is_at_rest(),
            None => load == OLD && before == Before::Python,
        };
        if !whole || !known {
            return Err(format!("the project is not whole after one gc: {node:#?}"));
        }
        if node.held.has(load) && !node.alive.has(load) {
            return Err(format!("one gc leaves a project whose keeper has ended: {node:#?}"));
        }
    }
    let kept =
        if roles.contains(&Role::PythonShare) && published == Some(EMPTY) { EMPTY } else { OLD };
    let existed = roles.contains(&Role::Keeper) || node.segments[usize::from(OLD)] > 0;
    if kept == OLD && existed && !node.released.has(OLD) && published != Some(OLD) {
        return Err(format!("the old project is lost: {node:#?}"));
    }
    Ok(())
}

fn clear_squats(node: &mut Node) {
    if node.lock == Slot::Squatted {
        node.lock = Slot::Absent;
    }
    if node.ledger == Slot::Squatted {
        node.ledger = Slot::Absent;
    }
    if node.metadata == Slot::Squatted {
        node.metadata = Slot::Absent;
    }
}

fn collect_garbage(node: &mut Node) -> Result<(), String> {
    let mut gc = Process::new(2, Role::Gc);
    for _ in 0..200 {
        if gc.has_ended() {
            return Ok(());
        }
        (*node, gc) = gc.advance(*node);
    }
    Err("gc does not end".to_owned())
}
