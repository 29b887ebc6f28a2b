//! Looking at one array in shared memory: parts of it, as numpy prints them, in numbers and pictures.
//! Everything is read like a file, so that whatever another process writes meanwhile is only shown.

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

pub use plot::{Canvas, plot};
pub use preview::preview;
pub use slice::View;
pub use snippet::snippet;
pub use stats::{Histogram, Stats, stats};
