//! The process that owns a load: it starts the loader, publishes the project, and holds it.

pub mod background;
pub mod child;
pub mod command;
pub mod held;
pub mod protocol;
pub mod supervise;
