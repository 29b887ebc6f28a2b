//! The `cute-shm` command: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cute_shm::cli::run(std::env::args_os())
}
