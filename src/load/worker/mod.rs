//! The threads that move the bytes: scheduling, reading, decoding, conversion, writing.

pub mod cast;
pub mod chunked;
pub mod convert;
pub mod decode_memory;
pub mod hyperslab;
pub mod progress;
pub mod read;
pub mod read_library;
pub mod scheduler;
pub mod stream;
pub mod thread;
pub mod transfer;
pub mod virtual_dataset;
pub mod write;
