//! The state of a project, judged in one place for all commands. No decision depends on a pid, and "cannot be read" is
//! never "dead".

mod all;
mod evidence;
mod find;
mod judge;
mod keys;
#[cfg(feature = "hdf5")]
mod origin;
mod project;

pub use all::{everything, judge_all, orphans, orphans_of};
pub use find::{find, find_own, key_of};
pub use judge::{judge, judge_locked};
pub use keys::{key_in_root, keys_of_root};
pub use project::{MetadataFile, Project, SegmentStat, State, digest};
