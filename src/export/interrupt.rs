//! The callback for interrupts.

use crate::error::Result;

/// Called again and again during an export. An error from it cancels the export.
pub(crate) type CheckInterrupt<'a> = &'a mut dyn FnMut() -> Result<()>;
