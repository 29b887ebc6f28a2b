//! The callback for progress and interrupts.

use crate::error::Result;

/// Called with the number of bytes written since the last call. An error from it cancels the export.
pub(crate) type Advance<'a> = &'a mut dyn FnMut(u64) -> Result<()>;
