//! The segments of one project that `unlink` or `gc` removed.

use std::fmt::Write as _;

use serde::Serialize;

use crate::shm::format::name::ProjectName;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::removal::Removed;
use crate::text;

/// A removed project.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) project: String,
    /// Number of removed segments.
    pub(crate) segment_count: usize,
    /// Memory that was freed.
    pub(crate) freed_bytes: u64,
    /// Memory that is freed when the processes that map it exit.
    pub(crate) mapped_bytes: u64,
    /// These processes.
    pub(crate) mapped_pids: Vec<u32>,
}

impl Entry {
    /// The entry of a project whose segments `removed` were removed.
    pub(crate) fn new(project: &ProjectName, removed: &[Removed], attached: &Attachments) -> Self {
        let total: u64 = removed.iter().map(|segment| segment.bytes).sum();
        let (mapped_bytes, pids) = attached.to_removed(removed);
        Self {
            project: project.to_text(),
            segment_count: removed.len(),
            freed_bytes: total - mapped_bytes,
            mapped_bytes,
            mapped_pids: pids.into_iter().collect(),
        }
    }

    /// The end of a sentence: number of segments and freed memory.
    pub(crate) fn sentence(&self, dry: bool) -> String {
        let segments = text::count(self.segment_count as u64, "segment");
        let freed = if dry { "would be freed" } else { "freed" };
        let mut out = format!("{segments}, {} {freed}", text::size(self.freed_bytes));
        if self.mapped_bytes > 0 {
            let pids: Vec<String> = self.mapped_pids.iter().map(u32::to_string).collect();
            let pids = pids.join(", ");
            let mapped = text::size(self.mapped_bytes);
            let processes = if self.mapped_pids.len() == 1 { "process" } else { "processes" };
            let exit = if self.mapped_pids.len() == 1 { "exits" } else { "exit" };
            let _ = write!(out, ", {mapped} when {processes} {pids} {exit}");
        }
        out
    }
}
