//! The element types of numpy arrays: their class, size and byte order, and the text of `str(numpy.dtype)`.
#![deny(unreachable_pub)]

mod dtype;
mod half;

pub use self::dtype::{Class, Dtype};
pub use self::half::{double_to_half, half_to_single};
