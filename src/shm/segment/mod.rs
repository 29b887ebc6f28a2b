//! Segments: creation, mappings, allocation of pages, leases. Every mapping of shared memory is in this folder.

pub mod attached;
pub mod lease;
pub mod map;
pub mod new_segment;
pub mod pages;
pub(crate) mod plain;
pub mod published;
pub mod segment_writer;
pub mod uffd;
