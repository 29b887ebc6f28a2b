//! The library for Rust programs: what the Python package `cute_shm` offers, without its warnings.
//! Everything here is re-exported at the crate's root; docs/api.md lists it.

