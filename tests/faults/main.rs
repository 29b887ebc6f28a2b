//! What happens on a shared node, on purpose: kills at every step, full memory, hostile files and users,
//! the Python package in between. `CUTE_SHM_TEST_SIZE=full` makes it a release's size (docs/reliability.md);
//! `CUTE_SHM_TEST_SEED` repeats a run, `CUTE_SHM_TEST_FIGURES` names a file for the figures.

mod adversary;
mod authority;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod corrupt;
mod elsewhere;
mod errors;
mod fallbacks;
mod hostile;
mod hung;
mod keeper;
mod kill;
mod lifetimes;
mod memory;
mod parsers;
mod precision;
mod process;
mod python;
mod readers;
mod seccomp;
mod steps;
mod storm;
mod support;
mod tracer;
mod users;
