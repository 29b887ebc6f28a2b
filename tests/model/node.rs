//! The files and locks of one project on one node, as values without bytes, so that every order of steps can be
//! explored.

use std::fmt;

/// A load of the project. Each has its own token.
pub type Load = u8;
/// The load that is published at the beginning.
pub const OLD: Load = 0;
/// The load that `load-hdf5` runs.
pub const NEW: Load = 1;
/// The project that a Python program shares under the same name.
pub const PYTHON: Load = 2;
/// Metadata that a Python program has truncated and not yet written.
pub const EMPTY: Load = 3;

/// Number of segments of a whole load: two, so that a half-removed load is a separate state.
pub const WHOLE: u8 = 2;

/// A set of loads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Loads(u8);

impl Loads {
    pub const NONE: Self = Self(0);

    pub fn of(load: Load) -> Self {
        Self(1 << load)
    }

    pub fn has(self, load: Load) -> bool {
        self.0 & (1 << load) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn insert(&mut self, load: impl Into<Option<Load>>) {
        if let Some(load) = load.into() {
            *self = self.with(Self::of(load));
        }
    }

    pub fn remove(&mut self, load: Load) {
        *self = self.without(Self::of(load));
    }

    pub fn iter(self) -> impl Iterator<Item = Load> {
        (0..=EMPTY).filter(move |load| self.has(*load))
    }
}

impl fmt::Debug for Loads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A file with a fixed name in a world-writable directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot<T> {
    Absent,
    /// The file of the project's owner.
    Owned(T),
    /// A file that another user created under that name. The sticky bit keeps the owner from removing it.
    Squatted,
}

impl<T: Copy> Slot<T> {
    pub fn owned(self) -> Option<T> {
        match self {
            Self::Owned(value) => Some(value),
            Self::Absent | Self::Squatted => None,
        }
    }
}

/// The ledger, without fields that no decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ledger {
    pub current: Option<Load>,
    pub next: Option<Load>,
    pub retiring: Loads,
    /// Loads whose segments a removal has listed.
    pub removing: Option<Loads>,
    /// Loads of another program that the next or the current load replaces.
    pub replaces: Loads,
}

impl Ledger {
    /// Every load whose segments the ledger owns.
    pub fn loads(self) -> Loads {
        let mut loads = self.retiring;
        loads.insert(self.current);
        loads.insert(self.next);
        loads
    }

    pub fn is_at_rest(self) -> bool {
        self.next.is_none()
            && self.retiring.is_empty()
            && self.removing.is_none()
            && self.replaces.is_empty()
    }
}

/// Everything on the node that belongs to the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    pub metadata: Slot<Load>,
    /// Metadata before publication, under a random name.
    pub temporary: Loads,
    /// Metadata during a removal, under a random name.
    pub aside: Loads,
    pub ledger: Slot<Ledger>,
    /// Whether a next version of the ledger exists under a random name.
    pub prepared: bool,
    /// Segments of each load.
    pub segments: [u8; 3],
    /// The lock file, by its inode.
    pub lock: Slot<u8>,
    /// The inode that the next lock file gets.
    pub inode: u8,
    /// The process that holds the change lock on each inode.
    pub holders: [Option<u8>; 4],
    /// Loads of held projects.
    pub held: Loads,
    /// Loads whose liveness lock is held.
    pub alive: Loads,
    /// Loads that a permitted process has removed or replaced, or whose keeper has exited.
    pub released: Loads,
    /// Loads whose segments Python's `unlink`, which takes no lock, has begun to remove.
    pub torn: Loads,
}

impl Node {
    /// Creates the lock file, locked by `process`.
    pub fn create_lock(&mut self, process: u8) -> u8 {
        let inode = self.inode;
        self.inode = (inode + 1) % 4;
        self.lock = Slot::Owned(inode);
        self.holders[usize::from(inode)] = Some(process);
        inode
    }

    /// Whether a process holds the change lock of the file that is at the path.
    pub fn is_changing(&self) -> bool {
        self.lock.owned().is_some_and(|inode| self.holders[usize::from(inode)].is_some())
    }

    /// Releases the locks of a process, as the kernel does at its exit.
    pub fn free_locks(&mut self, process: u8) {
        for holder in &mut self.holders {
            if *holder == Some(process) {
                *holder = None;
            }
        }
    }

    /// Removes one segment of one of these loads. Returns false if there is none.
    pub fn remove_segment(&mut self, loads: Loads) -> bool {
        for load in loads.iter().filter(|load| *load != EMPTY) {
            let left = &mut self.segments[usize::from(load)];
            if *left > 0 {
                *left -= 1;
                return true;
            }
        }
        false
    }

    /// Returns the content of the metadata aside. A Python program that truncated it may have written it since.
    pub fn now_aside(&self, load: Load) -> Load {
        if load == EMPTY && !self.aside.has(EMPTY) { PYTHON } else { load }
    }

    /// Renames the metadata back. Newer metadata makes it obsolete; beside a squatter it remains aside.
    pub fn put_back(&mut self, load: Load) {
        match self.metadata {
            Slot::Absent => {
                self.metadata = Slot::Owned(load);
                self.aside.remove(load);
            }
            Slot::Owned(_) => self.aside.remove(load),
            Slot::Squatted => {}
        }
    }
}
