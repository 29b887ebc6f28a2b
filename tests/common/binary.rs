//! The command under test.

/// Its path.
pub const BINARY: &str = env!("CARGO_BIN_EXE_cute-shm");
