//! One file per subcommand: its arguments, whose doc comments are the help, and a short `run`.

mod common;
pub(crate) mod completions;
mod described;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod gc;
pub(crate) mod help;
pub(crate) mod list;
pub(crate) mod load_hdf5;
pub(crate) mod man;
mod parse;
mod removed;
#[cfg(test)]
mod schema;
pub(crate) mod show;
pub(crate) mod unlink;
pub(crate) mod wait;

pub(crate) use self::common::Nothing;
