//! The process that owns a load and runs the loader in a child process.

mod child;
mod loader_exit;
pub(super) mod supervise;
