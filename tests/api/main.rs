//! The library as a program uses it: temporary roots and shm directories, no Python.

mod attach;
mod events;
mod guards;
mod hdf5;
mod robust;
mod share;

use cute_shm::Node;

/// Directories of one test, in memory.
struct Scene {
    temp: tempfile::TempDir,
    node: Node,
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
        std::fs::create_dir(temp.path().join("shm")).expect("a directory");
        let node = Node::new(temp.path().join("root"), temp.path().join("shm"));
        Self { temp, node }
    }

    /// What lies in the shm directory.
    fn files(&self) -> usize {
        std::fs::read_dir(self.node.shm_dir()).expect("a directory").count()
    }
}
