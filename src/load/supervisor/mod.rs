//! The process that owns a load: it runs the loader in a child process, and holds the project.

pub(super) mod background;
pub(super) mod child;
pub(super) mod command;
pub(super) mod held;
pub(super) mod loader_exit;
pub(super) mod supervise;
