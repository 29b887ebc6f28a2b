//! Tests of the command line. Each test has its own directories and environment, and compares the complete output.
//!
//! The tests contain the expected texts; `SNAPSHOTS=overwrite cargo test --test cli` rewrites them.

// The format of snapbox.
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
