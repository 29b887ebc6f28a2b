//! Buffers whose size a file decides.

use crate::error::{ObjectError, ObjectResult};

/// Returns a buffer of zeros for this number of elements.
///
/// # Errors
/// Returns [`ObjectError::NoMemory`] if it cannot be allocated.
#[allow(clippy::slow_vector_initialization)] // the other ways abort when memory runs out
pub(crate) fn zeroed(elements: u64, size: usize) -> ObjectResult<Vec<u8>> {
    let bytes = usize::try_from(elements).ok().and_then(|n| n.checked_mul(size));
    let mut buffer = Vec::new();
    match bytes {
        Some(bytes) if buffer.try_reserve_exact(bytes).is_ok() => {
            buffer.resize(bytes, 0);
            Ok(buffer)
        }
        _ => {
            let reason = format!("no memory for {elements} elements of {size} bytes at once");
            Err(ObjectError::NoMemory(reason))
        }
    }
}
