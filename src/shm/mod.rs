//! What lies on the node: names, segments, metadata, ledgers, locks, and what state they are in.

pub mod dtype;
pub mod metadata;
pub mod name;
