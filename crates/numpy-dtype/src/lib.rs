//! The element types of numpy arrays: their class, size and byte order, and the text of `str(numpy.dtype)`.

mod dtype;

pub use self::dtype::{Class, Dtype};
