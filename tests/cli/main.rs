//! The command line, tested from outside: every test has directories and an environment of its own, and
//! looks at all that the program says.
//!
//! Expected texts stand in the tests; `SNAPSHOTS=overwrite cargo test --test cli` writes them anew.

// That is how snapbox writes them.
#![allow(clippy::needless_raw_string_hashes)]

#[path = "../common/binary.rs"]
mod binary;
#[path = "../common/mod.rs"]
mod common;
mod completions;
mod doctor;
mod ensure;
mod errors;
mod exit_codes;
mod external;
mod gc;
mod held;
mod help;
mod hooks;
mod json;
mod lifetime;
mod list;
mod load_hdf5;
mod man;
mod names;
mod output;
mod program;
mod rows;
mod show;
mod signals;
mod states;
mod terminal;
mod unlink;
mod wait;
