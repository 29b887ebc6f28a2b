//! Loads HDF5 files into shared memory. A supervisor owns the load and the project; a loader parses and reads the
//! files, in a child process or in a thread.

mod cast;
mod convert;
mod decode_memory;
mod driver;
mod ensure;
#[cfg(all(feature = "cli", any(test, fuzzing)))]
pub(crate) mod fuzz;
mod in_process;
mod input_path;
#[cfg(feature = "cli")]
mod lifetime;
mod loader;
mod observer;
mod origin;
mod outcome;
mod plan;
mod planned;
mod protocol;
mod read_ahead;
mod reader_error;
mod request;
#[cfg(feature = "cli")]
mod supervisor;
#[cfg(test)]
mod tests;
mod worker;

pub use hdf5_reader::External;
pub(crate) use in_process::load_in_process;
pub(crate) use input_path::{check_readable, named};
#[cfg(feature = "cli")]
pub(crate) use lifetime::background::{Background, Ready, Side, inherit};
#[cfg(feature = "cli")]
pub(crate) use lifetime::command::run as run_command;
#[cfg(feature = "cli")]
pub(crate) use lifetime::held::{Ending, wait};
pub use observer::Observer;
pub(crate) use observer::Silent;
pub(crate) use outcome::Outcome;
pub use planned::{Planned, PlannedArray};
pub(crate) use request::{Existing, Input, Request, default_external};
#[cfg(feature = "cli")]
pub(crate) use supervisor::supervise::{dry_run, load_in_child};
