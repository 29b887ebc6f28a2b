//! Tests of the library: temporary roots and shm directories, no Python. tests/attach runs these tests with
//! fewer features.

mod attach;
#[path = "../common/mod.rs"]
mod common;
mod events;
mod guards;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "ndarray")]
mod ndarrays;
mod robust;
mod share;

use common::sandbox::Sandbox;
use cute_shm::Node;

/// The directories of one test, and a node in them.
struct Scene {
    sandbox: Sandbox,
    node: Node,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::in_memory(None);
        let node = Node::new(sandbox.root(), sandbox.shm());
        Self { sandbox, node }
    }

    /// Returns the number of files in the shm directory.
    fn files(&self) -> usize {
        self.sandbox.in_shm().len()
    }
}
