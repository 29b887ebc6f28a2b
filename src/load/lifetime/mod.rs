//! The lifetime of a loaded project: held until a signal, until a command ends, or by a keeper in the background.

pub(super) mod background;
pub(super) mod command;
pub(super) mod held;
