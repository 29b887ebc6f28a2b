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

pub(crate) use all::{everything, judge_all, orphans, orphans_of};
pub(crate) use find::{find, find_own, key_of};
pub(crate) use judge::{judge, judge_locked};
pub(crate) use keys::{key_in_root, keys_of_root};
pub use project::State;
pub(crate) use project::{MetadataFile, Project, SegmentStat, digest};
