//! Observers of a load: progress, warnings and steps.

use crate::load::planned::Planned;
use crate::shm::format::ledger::Note;

/// Receives the progress of a load.
///
/// # Examples
/// ```
/// use cute_shm::{Node, Note, Observer, Planned};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// #[derive(Default)]
/// struct Bar {
///     done: u64,
///     total: u64,
/// }
/// impl Observer for Bar {
///     fn planned(&mut self, plan: &Planned) {
///         self.total = plan.bytes();
///     }
///     fn advanced(&mut self, bytes: u64) {
///         self.done += bytes;
///         print!("\r{} of {} bytes", self.done, self.total);
///     }
///     fn warn(&mut self, note: &Note) {
///         eprintln!("left out: {}: {}", note.path, note.reason);
///     }
/// }
/// # let path = temp.path().join("train.h5");
/// # let file = hdf5::File::create(&path).unwrap();
/// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
/// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
/// # file.close().unwrap();
/// let mut bar = Bar::default();
/// node.load_hdf5("train", &path).observer(&mut bar).hold()?.remove()?;
/// assert_eq!(bar.total, 20);
/// # Ok::<(), cute_shm::Error>(())
/// ```
pub trait Observer {
    /// The planner inspects this object, or a worker begins to read this dataset.
    fn at(&mut self, path: &str) {
        let _ = path;
    }
    /// The plan is complete.
    fn planned(&mut self, plan: &Planned) {
        let _ = plan;
    }
    /// This many more bytes are in shared memory.
    fn advanced(&mut self, bytes: u64) {
        let _ = bytes;
    }
    /// An object was skipped.
    fn warn(&mut self, note: &Note) {
        let _ = note;
    }
    /// A virtual dataset has the fill value in place of an absent source.
    fn filled(&mut self, note: &Note) {
        self.warn(note);
    }
    /// A step of the load is complete: for debug logs.
    fn step(&mut self, step: &str) {
        let _ = step;
    }
}

/// An observer that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silent;

impl Observer for Silent {}
