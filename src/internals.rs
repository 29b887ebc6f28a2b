//! Internals for the integration tests and benches of this crate. They are not part of the API.

pub use crate::os::directory::{Access, Directory};
pub use crate::os::lookup::Lookup;
pub use crate::shm::format::ledger::{
    BatchJob, Keeper, Key, KeyFile, Ledger, Lifetime, Record, Selection,
};
pub use crate::shm::format::metadata::{Mark, Metadata};
pub use crate::shm::format::name::{ProjectName, SegmentName, Token};
pub use crate::shm::segment::new_segment::NewSegment;
pub use crate::shm::store::ledger_store::LedgerStore;
pub use crate::shm::store::lock::{ChangeLock, FailedLoad, LivenessLock};
pub use crate::shm::store::node_dirs::{NodeDirs, Paths};
pub use crate::shm::store::removal;
