//! What lies on the node: names, segments, metadata, ledgers, locks, and what state they are in.

pub mod attached;
pub mod budget;
mod canonical;
pub mod change;
pub mod copier;
pub mod descriptors;
pub mod directory;
pub mod dtype;
pub mod extras;
pub mod flock;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod host;
pub mod jobs;
pub mod lease;
pub mod ledger;
pub mod lock;
pub mod lookup;
pub mod map;
pub mod metadata;
pub mod name;
pub mod owner;
pub mod place;
pub mod presence;
pub mod published;
pub mod readable;
pub mod reap;
pub mod removal;
pub mod rows;
pub mod segment;
pub mod shared;
pub mod state;
pub mod survey;
pub mod temporary;
pub(crate) mod threads;
pub mod unlink;
pub mod wait;
