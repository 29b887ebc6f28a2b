//! The interfaces of the kernel, one file each: directories, locks, signals, credentials, memory, threads.

#[cfg(feature = "hdf5")]
pub mod child;
pub mod credentials;
pub mod descriptors;
pub mod directory;
pub mod flock;
pub mod host;
pub mod limits;
pub mod lookup;
pub mod memory;
pub(crate) mod mounts;
pub mod numa;
pub(crate) mod page_cache;
pub(crate) mod page_size;
pub(crate) mod process_stat;
#[cfg(feature = "cli")]
pub mod signals;
pub mod threads;
pub mod watched_process;
pub(crate) mod writeback;
