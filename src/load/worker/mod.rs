//! The threads that move the bytes: scheduling, reading, decoding, conversion, writing.

pub(crate) mod chunked;
pub(crate) mod endpoints;
pub(crate) mod progress;
pub(crate) mod read;
pub(crate) mod read_error;
pub(crate) mod read_library;
pub(crate) mod scheduler;
pub(crate) mod stream;
pub(crate) mod thread;
pub(crate) mod transfer;
pub(crate) mod virtual_dataset;
pub(crate) mod work_item;
pub(crate) mod write;
