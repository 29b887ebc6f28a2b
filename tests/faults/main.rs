//! Tests with faults: kills at every step, full memory, hostile files and users, and concurrent Python programs.
//! `CUTE_SHM_TEST_SIZE=full` selects the size for a release (docs/reliability.md), `CUTE_SHM_TEST_SEED` repeats a run,
//! and `CUTE_SHM_TEST_FIGURES` names a file for the results.

mod adversary;
mod authority;
#[path = "../common/binary.rs"]
mod binary;
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
