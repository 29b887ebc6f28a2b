//! The commands of the Python package `cute-shm` 1.2 by their old names: if the program is
//! called through a link named `cute-shm-hdf5`, `cute-shm-list` or `cute-shm-unlink`, it accepts their arguments
//! and prints their output, so that existing scripts work. docs/from-python.md lists the differences.

mod arguments;
mod commands;
mod human;
mod listing;
mod run;
mod syntax;
mod table;
mod wrap;

pub(crate) use self::run::{Old, run};
