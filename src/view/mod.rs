//! Views of one array in shared memory: slices, previews as numpy prints them, statistics and plots. The bytes
//! are read like a file, so concurrent writes of other processes are safe.

mod floats;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod kernels;
mod plot;
mod preview;
mod slice;
mod snippet;
mod stats;
mod values;

pub(crate) use plot::{Canvas, plot};
pub(crate) use preview::preview;
pub(crate) use slice::View;
pub(crate) use snippet::snippet;
pub(crate) use stats::{Stats, stats};
