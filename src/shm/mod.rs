//! Projects in shared memory: the format of their files, their segments, and the store that changes them.

pub mod format;
pub mod segment;
pub mod store;
