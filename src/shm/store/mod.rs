//! The projects of a node: their locks, states and ledgers, and every change of them.

pub mod attachments;
pub mod batch_jobs;
pub mod blocked;
#[cfg(feature = "cli")]
pub mod gc;
pub mod held;
mod ledger_file;
pub mod ledger_store;
pub mod listing;
pub mod lock;
pub mod lookup;
pub mod node_dirs;
pub mod readable;
pub mod removal;
pub mod scan;
pub mod state;
pub mod temporary;
pub mod transaction;
pub mod unlink;
#[cfg(feature = "cli")]
pub mod unlink_all;
pub mod wait;
