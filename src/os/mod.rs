//! The interfaces of the kernel, one file each: directories, locks, signals, credentials, memory, threads.

#[cfg(feature = "hdf5")]
pub(crate) mod child;
pub(crate) mod credentials;
pub(crate) mod descriptors;
pub(crate) mod directory;
pub(crate) mod flock;
pub(crate) mod host;
pub(crate) mod limits;
pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod numa;
pub(crate) mod page_cache;
pub(crate) mod page_size;
pub(crate) mod process_stat;
#[cfg(feature = "cli")]
pub(crate) mod signals;
pub(crate) mod threads;
pub(crate) mod watched_process;
pub(crate) mod writeback;
