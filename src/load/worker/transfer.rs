//! The transfer of one dataset, divided into work items that any worker can take, in the order of the file.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::load::plan::Task;
use crate::load::worker::endpoints::Endpoints;
use crate::load::worker::read_error::ReadError;
use crate::load::worker::virtual_dataset::VirtualTransfer;
use crate::load::worker::work_item::WorkItem;
use crate::os::threads::lock_ignoring_poison;

/// A dataset that several workers transfer.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    /// The number of the task in the plan.
    pub number: usize,
    /// The task.
    pub task: &'a Task,
    /// The file and the segments.
    pub ends: Endpoints<'a>,
    next: AtomicUsize,
    /// The sources of a virtual dataset, which has no work items of its own.
    pub sources: Option<VirtualTransfer<'a>>,
    given_up: AtomicBool,
    error: Mutex<Option<ReadError>>,
}

impl<'a> Transfer<'a> {
    /// Returns a transfer of which no work item is done.
    pub(crate) fn new((number, task): (usize, &'a Task), ends: Endpoints<'a>) -> Self {
        let (next, given_up) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { number, task, ends, next, sources: None, given_up, error: Mutex::new(None) }
    }

    /// Returns the transfer of a virtual dataset, which has sources instead of work items.
    pub(crate) fn virtual_dataset(
        task: (usize, &'a Task),
        ends: Endpoints<'a>,
        sources: VirtualTransfer<'a>,
    ) -> Self {
        Self { sources: Some(sources), ..Self::new(task, ends) }
    }

    /// Takes the next work item.
    pub(crate) fn claim(&self) -> Option<WorkItem<'_>> {
        if self.is_given_up() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.ends.source.len()).then(|| self.ends.source.item(number))
    }

    /// Whether there are work items that no worker has taken.
    pub(crate) fn has_more(&self) -> bool {
        if let Some(sources) = &self.sources {
            return sources.has_more();
        }
        !self.is_given_up() && self.next.load(Ordering::Relaxed) < self.ends.source.len()
    }

    /// Ends the transfer without a result. Damage overrides every other reason.
    pub(crate) fn give_up(&self, reason: ReadError) {
        let mut error = lock_ignoring_poison(&self.error);
        if error.is_none() || matches!(reason, ReadError::Damaged(_)) {
            *error = Some(reason);
        }
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether it ended without a result.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Takes the reason why it has no result.
    pub(crate) fn error(&self) -> Option<ReadError> {
        lock_ignoring_poison(&self.error).take()
    }
}
