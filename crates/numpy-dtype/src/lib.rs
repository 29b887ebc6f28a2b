//! The element types of numpy arrays: their class, size and byte order, and the text of `str(numpy.dtype)`.
#![deny(unreachable_pub)]

mod dtype;

pub use self::dtype::{Class, Dtype};
