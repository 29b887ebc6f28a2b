//! Projects in shared memory: the format of their files, their segments, and the store that changes them.

pub(crate) mod format;
pub(crate) mod segment;
pub(crate) mod store;
