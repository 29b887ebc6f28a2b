//! Segments: creation, mappings, allocation of pages, leases. Every mapping of shared memory is in this folder.

pub(crate) mod attached;
pub(crate) mod lease;
pub(crate) mod map;
pub(crate) mod new_segment;
pub(crate) mod pages;
pub(crate) mod plain;
pub(crate) mod published;
pub(crate) mod segment_writer;
pub(crate) mod uffd;
