//! Assigns work to the workers. Datasets are assigned in the order of the file, one to each worker; at the end all
//! workers share the last ones. One worker at a time uses libhdf5, which allows one thread, while the others continue.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind};
use crate::load::plan::{Plan, Task};
use crate::load::reader_error::Unreadable;
use crate::load::worker::transfer::Transfer;
use crate::os::threads::lock_ignoring_poison;
use crate::shm::format::ledger::Note;

/// The most small datasets in one assignment.
const MAX_BATCH: usize = 32;

/// The tasks of the plan and their progress.
#[derive(Debug)]
pub(crate) struct Scheduler<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
    plan: &'a Plan,
    keep_going: bool,
    /// Tasks that may be read without libhdf5, in the order of the file.
    direct: Vec<usize>,
}

#[derive(Debug)]
struct State<'a> {
    /// The next of the direct tasks.
    next: usize,
    /// The number of workers that prepare a task or transfer small ones.
    preparing: usize,
    /// The transfers in progress, each with the number of its workers.
    active: Vec<(Arc<Transfer<'a>>, usize)>,
    /// The tasks for libhdf5.
    library: VecDeque<usize>,
    library_busy: bool,
    failed: Vec<(usize, Note)>,
    error: Option<Error>,
}

/// The next work of a worker.
#[derive(Debug)]
pub(crate) enum Assignment<'a> {
    /// Prepare these direct tasks, and transfer the small ones.
    Prepare(Range<usize>),
    /// Take work items of this transfer.
    Help(Arc<Transfer<'a>>),
    /// Read this task with libhdf5.
    Library(usize),
    /// All work is done, or the load has failed.
    End,
}

impl<'a> Scheduler<'a> {
    /// Schedules all tasks of a plan; `direct` selects those that can be read without libhdf5.
    pub(crate) fn new(plan: &'a Plan, keep_going: bool, direct: impl Fn(&Task) -> bool) -> Self {
        let (mut first, library): (Vec<usize>, Vec<usize>) =
            (0..plan.tasks.len()).partition(|&number| direct(&plan.tasks[number]));
        first.sort_by_key(|&number| {
            let task = &plan.tasks[number];
            let dataset = plan.dataset(task);
            (task.input, dataset.file(), dataset.raw_offset())
        });
        let state = State {
            next: 0,
            preparing: 0,
            active: Vec::new(),
            library: library.into(),
            library_busy: false,
            failed: Vec::new(),
            error: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { state, changed, plan, keep_going, direct: first }
    }

    /// Returns the direct tasks of an assignment.
    pub(crate) fn direct(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        self.direct.get(range).unwrap_or_default().iter().copied()
    }

    /// Returns the next assignment. Waits while other workers may create more work.
    pub(crate) fn assignment(&self, is_small: impl Fn(usize) -> bool) -> Assignment<'a> {
        let mut state = lock_ignoring_poison(&self.state);
        loop {
            if state.error.is_some() {
                return Assignment::End;
            }
            let prepared = state.next >= self.direct.len() && state.preparing == 0;
            if prepared
                && !state.library_busy
                && let Some(number) = state.library.pop_front()
            {
                state.library_busy = true;
                return Assignment::Library(number);
            }
            if state.next < self.direct.len() {
                return Assignment::Prepare(self.take(&mut state, is_small));
            }
            if let Some((transfer, workers)) =
                state.active.iter_mut().find(|(transfer, _)| transfer.has_more())
            {
                *workers += 1;
                return Assignment::Help(Arc::clone(transfer));
            }
            if prepared && state.active.is_empty() && !state.library_busy {
                return Assignment::End;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(
        &self,
        state: &mut MutexGuard<'_, State<'a>>,
        small: impl Fn(usize) -> bool,
    ) -> Range<usize> {
        let first = state.next;
        let rest = &self.direct[first..];
        let count = rest.iter().take(MAX_BATCH).take_while(|&&number| small(number)).count().max(1);
        state.next += count;
        state.preparing += 1;
        first..first + count
    }

    /// Reports that a worker has prepared its tasks.
    pub(crate) fn prepared(&self) {
        lock_ignoring_poison(&self.state).preparing -= 1;
        self.changed.notify_all();
    }

    /// Adds a transfer, which other workers may help with.
    pub(crate) fn begin(&self, transfer: Transfer<'a>) -> Arc<Transfer<'a>> {
        let transfer = Arc::new(transfer);
        lock_ignoring_poison(&self.state).active.push((Arc::clone(&transfer), 1));
        self.changed.notify_all();
        transfer
    }

    /// Reports that a worker has no more to do for a transfer. Returns the transfer to the last worker, which finishes
    /// it and calls [`Self::finished`].
    pub(crate) fn leave(&self, transfer: Arc<Transfer<'a>>) -> Option<Transfer<'a>> {
        let mut state = lock_ignoring_poison(&self.state);
        let place = state.active.iter().position(|(other, _)| Arc::ptr_eq(other, &transfer))?;
        state.active[place].1 -= 1;
        if state.active[place].1 > 0 {
            return None;
        }
        let shared = state.active.remove(place);
        state.preparing += 1;
        drop(shared);
        // Only workers have a reference, and this was the last one.
        Arc::into_inner(transfer)
    }

    /// Reports that the transfer that [`Self::leave`] returned is finished.
    pub(crate) fn finished(&self) {
        self.prepared();
    }

    /// Reports that an active transfer has more work items.
    pub(crate) fn announce(&self) {
        drop(lock_ignoring_poison(&self.state));
        self.changed.notify_all();
    }

    /// Adds a task for libhdf5.
    pub(crate) fn to_library(&self, number: usize) {
        lock_ignoring_poison(&self.state).library.push_back(number);
        self.changed.notify_all();
    }

    /// Reports that libhdf5 is free.
    pub(crate) fn library_done(&self) {
        lock_ignoring_poison(&self.state).library_busy = false;
        self.changed.notify_all();
    }

    /// Reports that a task failed. With `--keep-going` it is skipped if it is unreadable; any other error ends the load.
    pub(crate) fn fail(&self, number: usize, error: Error) {
        let mut state = lock_ignoring_poison(&self.state);
        let unreadable = Unreadable::of(&error).filter(|_| error.kind() != Kind::NoMemory);
        if let Some(unreadable) = unreadable.filter(|_| self.keep_going) {
            let path = self.plan.tasks[number].path.clone();
            let detail = error.detail().map(str::to_owned);
            let note = Note { detail, ..Note::new(path, unreadable.reason_with_file()) };
            state.failed.push((number, note));
        } else {
            let path = &self.plan.tasks[number].path;
            let error = match error.kind() {
                Kind::NoMemory if error.subject().is_none_or(|concerns| concerns != path) => {
                    error.within(&format!("cannot load '{path}'")).with_subject(path)
                }
                _ => error,
            };
            state.error.get_or_insert(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the load has failed.
    pub(crate) fn is_over(&self) -> bool {
        lock_ignoring_poison(&self.state).error.is_some()
    }

    /// Returns the tasks that failed, in the order of the plan.
    ///
    /// # Errors
    /// Returns the first error that ended the load.
    pub(crate) fn into_failed(self) -> crate::error::Result<Vec<(&'a Task, Note)>> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.error {
            return Err(error);
        }
        let mut failed = state.failed;
        failed.sort_by_key(|(number, _)| *number);
        Ok(failed.into_iter().map(|(number, note)| (&self.plan.tasks[number], note)).collect())
    }
}
