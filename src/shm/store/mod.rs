//! The projects of a node: their locks, states and ledgers, and every change of them.

pub(crate) mod attachments;
pub(crate) mod batch_jobs;
pub(crate) mod blocked;
#[cfg(feature = "cli")]
pub(crate) mod gc;
pub(crate) mod held;
mod ledger_file;
pub(crate) mod ledger_store;
pub(crate) mod listing;
pub(crate) mod lock;
pub(crate) mod lookup;
pub(crate) mod node_dirs;
pub(crate) mod readable;
pub mod removal;
pub(crate) mod scan;
pub(crate) mod state;
pub(crate) mod temporary;
pub(crate) mod transaction;
pub(crate) mod unlink;
#[cfg(feature = "cli")]
pub(crate) mod unlink_all;
pub(crate) mod wait;
