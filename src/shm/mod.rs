//! What lies on the node: names, segments, metadata, ledgers, locks, and what state they are in.

pub mod budget;
pub mod change;
pub mod directory;
pub mod dtype;
pub mod host;
pub mod ledger;
pub mod lock;
pub mod metadata;
pub mod name;
pub mod place;
pub mod removal;
pub mod segment;
pub mod state;
pub mod survey;
