//! The threads that move the bytes: scheduling, reading, decoding, conversion, writing.

pub mod chunked;
pub mod endpoints;
pub mod progress;
pub mod read;
pub mod read_error;
pub mod read_library;
pub mod scheduler;
pub mod stream;
pub mod thread;
pub mod transfer;
pub mod virtual_dataset;
pub mod work_item;
pub mod write;
