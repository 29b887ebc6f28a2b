//! The limits for the paths of a file, which links to groups can multiply.

use crate::error::{Cause, Error, Result};

/// The limit for paths, and for the groups and arrays behind them.
const MAX_PATHS: u64 = 2_000_000;

/// The limit for the bytes of all paths, and of the attributes that are repeated under each.
const MAX_BYTES: u64 = 512 << 20;

/// Counts paths against the limits.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    paths: u64,
    bytes: u64,
}

impl Budget {
    /// # Errors
    /// An error with [`Cause::Damage`] if there are more than the limit.
    pub(crate) fn add(&mut self, paths: u64, bytes: u64) -> Result<()> {
        self.paths = self.paths.saturating_add(paths);
        self.bytes = self.bytes.saturating_add(bytes);
        let what = match (self.paths > MAX_PATHS, self.bytes > MAX_BYTES) {
            (true, _) => format!("more than {MAX_PATHS} paths"),
            (_, true) => format!("paths and attributes of more than {} MiB", MAX_BYTES >> 20),
            _ => return Ok(()),
        };
        let text = format!("the file has {what}: its groups or datasets are linked many times");
        Err(Error::new(Cause::Damage, text))
    }
}
