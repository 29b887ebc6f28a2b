//! The work of each worker thread: takes assignments from the scheduler until all data is in shared memory.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hdf5_filters::resize_buffer;
use hdf5_reader::{Cause, Dataset, Inventory, StorageLayout, lookup};

use crate::error::{Error, Kind, Result};
use crate::load::decode_memory::Gate;
use crate::load::plan::{Plan, SegmentPlan, Task};
use crate::load::protocol::Message;
use crate::load::read_ahead::ReadAhead;
use crate::load::reader_error;
use crate::load::request::LoadContext;
use crate::load::worker::chunked::{Chunked, Limits};
use crate::load::worker::endpoints::{Contiguous, DataSource, Endpoints};
use crate::load::worker::progress::ProgressSender;
use crate::load::worker::read::ItemReader;
use crate::load::worker::read_error::ReadError;
use crate::load::worker::read_library::read_with_libhdf5;
use crate::load::worker::scheduler::{Assignment, Scheduler};
use crate::load::worker::transfer::Transfer;
use crate::load::worker::virtual_dataset::VirtualTransfer;
use crate::load::worker::write::Destination;
use crate::os::threads::lock_ignoring_poison;
use crate::shm::format::name::SegmentName;
use crate::shm::segment::new_segment::NewSegment;
use crate::shm::segment::pages::Pages;
use crate::shm::segment::segment_writer::SegmentWriter;

/// A dataset of at most this many bytes is transferred by one worker, with one write for each segment.
const SMALL: u64 = 512 << 10;

/// The most files that are kept open for further datasets.
const MOST_FILES: usize = 32;

/// The state that all workers share.
#[derive(Debug)]
pub(crate) struct Workers<'a> {
    context: LoadContext<'a>,
    plan: &'a Plan,
    pages: Pages,
    read_ahead: &'a ReadAhead,
    progress: ProgressSender<'a>,
    scheduler: Scheduler<'a>,
    gate: Arc<Gate>,
    /// For each input, the path of each file that can be read without libhdf5.
    paths: Vec<Vec<Option<PathBuf>>>,
    files: Mutex<HashMap<(usize, usize), Arc<File>>>,
}

impl<'a> Workers<'a> {
    /// Returns the state before the transfer.
    pub(crate) fn new(
        context: LoadContext<'a>,
        plan: &'a Plan,
        read_ahead: &'a ReadAhead,
        progress: ProgressSender<'a>,
    ) -> Self {
        let paths: Vec<_> = plan.inventories.iter().map(Inventory::raw_files).collect();
        let scheduler = Scheduler::new(plan, context.request.keep_going, |task| {
            let dataset = plan.dataset(task);
            paths[task.input].get(dataset.file()).is_some_and(Option::is_some)
                && !dataset.shape.contains(&0)
                && (dataset.is_unwritten()
                    || dataset.sources.is_some()
                    || (dataset.raw
                        && (dataset.raw_offset().is_some()
                            || dataset.storage.layout == StorageLayout::Chunked)))
        });
        let pages = Pages::of(context.dirs.shm.path(), context.dirs.shm.id().dev);
        let gate = Arc::default();
        let files = Mutex::default();
        Self { context, plan, pages, read_ahead, progress, scheduler, gate, paths, files }
    }

    /// Returns the scheduler after all workers have ended.
    pub(crate) fn into_scheduler(self) -> Scheduler<'a> {
        self.scheduler
    }

    /// Works until all work is done.
    pub(crate) fn work(&self) {
        let mut reader = ItemReader::sharing(Arc::clone(&self.gate));
        loop {
            match self.scheduler.assignment(|number| self.is_small(&self.plan.tasks[number])) {
                Assignment::Prepare(range) => {
                    let mut begun = None;
                    for number in self.scheduler.direct(range) {
                        begun = self.prepare(number, &mut reader);
                    }
                    self.scheduler.prepared();
                    if let Some(transfer) = begun {
                        self.help(transfer, &mut reader);
                    }
                }
                Assignment::Help(transfer) => self.help(transfer, &mut reader),
                Assignment::Library(number) => {
                    if let Err(error) = self.library(number, &mut reader) {
                        self.scheduler.fail(number, error);
                    }
                    self.scheduler.library_done();
                }
                Assignment::End => return,
            }
        }
    }

    fn dataset(&self, task: &Task) -> &'a Dataset {
        self.plan.dataset(task)
    }

    fn segments(&self, task: &Task) -> &'a [SegmentPlan] {
        self.plan.segments_of(task)
    }

    fn is_small(&self, task: &Task) -> bool {
        let memory = self.segments(task).iter().fold(0, |sum: u64, p| sum.saturating_add(p.bytes));
        let elements: u64 = self.dataset(task).shape.iter().product();
        let read = elements.saturating_mul(self.dataset(task).element_size);
        memory.max(read) <= SMALL
    }

    /// Prepares a task. A small dataset is transferred at once; a larger one becomes a transfer.
    fn prepare(&self, number: usize, reader: &mut ItemReader) -> Option<Arc<Transfer<'a>>> {
        let task = &self.plan.tasks[number];
        match self.transfer(number, task, reader) {
            Ok(transfer) => transfer.map(|transfer| self.scheduler.begin(transfer)),
            Err(error) => {
                self.settle(number, task, error);
                None
            }
        }
    }

    /// Passes a dataset to libhdf5, which may support the missing feature, or reports the error.
    fn settle(&self, number: usize, task: &Task, error: ReadError) {
        match error {
            ReadError::Refused(_) => self.scheduler.to_library(number),
            error => self.scheduler.fail(number, self.error(task, error)),
        }
    }

    /// The error of a dataset that cannot be read, with its path and its file.
    fn error(&self, task: &Task, error: ReadError) -> Error {
        let (path, file) = (&self.dataset(task).path, self.dataset(task).file());
        let file = self.paths.get(task.input).and_then(|paths| paths.get(file)?.as_deref());
        match error {
            ReadError::Refused(why) | ReadError::Damaged(why) => {
                hdf5_reader::Error::cannot_read((path, file), Cause::Damage, why).into()
            }
            ReadError::NoMemory => {
                let reason = "not enough memory to decode a chunk";
                hdf5_reader::Error::cannot_read((path, file), Cause::NoMemory, reason).into()
            }
            ReadError::Failed(error) => error,
        }
    }

    fn transfer(
        &self,
        number: usize,
        task: &'a Task,
        reader: &mut ItemReader,
    ) -> std::result::Result<Option<Transfer<'a>>, ReadError> {
        let (dataset, segments) = (self.dataset(task), self.segments(task));
        if let Some(virtual_transfer) =
            VirtualTransfer::new(&self.plan.inventories[task.input], task)
        {
            return self.virtual_transfer(number, task, virtual_transfer, reader);
        }
        let file =
            self.file(task, dataset).ok_or(ReadError::Refused("its file cannot be opened"))?;
        let source = match dataset.raw_offset() {
            Some(offset) => Some(DataSource::contiguous(dataset, offset)),
            None if dataset.is_unwritten() => self.plan.inventories[task.input]
                .fill(task.dataset)
                .map(|fill| DataSource::unwritten(dataset, fill)),
            None => self.plan.inventories[task.input]
                .chunk_index(task.dataset)?
                .and_then(|index| Chunked::new(segments, index, Limits::default()))
                .map(|chunked| DataSource::Chunked(Box::new(chunked))),
        };
        let source = source.ok_or(ReadError::Refused("its chunks cannot be located"))?;
        self.progress.send_if_due(|| Message::Reading(task.path.clone()))?;
        if self.is_small(task) {
            let ends = Endpoints { dataset, segments, writers: Vec::new(), file, source };
            self.move_small(&Transfer::new((number, task), ends), reader)?;
            return Ok(None);
        }
        let writers = self.writers(task)?;
        let ends = Endpoints { dataset, segments, writers, file, source };
        Ok(Some(Transfer::new((number, task), ends)))
    }

    /// Returns the transfer of a virtual dataset. A small one is transferred at once.
    fn virtual_transfer(
        &self,
        number: usize,
        task: &'a Task,
        virtual_transfer: VirtualTransfer<'a>,
        reader: &mut ItemReader,
    ) -> std::result::Result<Option<Transfer<'a>>, ReadError> {
        let (dataset, segments) = (self.dataset(task), self.segments(task));
        self.progress.send_if_due(|| Message::Reading(task.path.clone()))?;
        if self.is_small(task) {
            let mut destination = Destination::Memory(buffers(segments)?);
            virtual_transfer.fill(
                segments,
                &mut destination,
                &mut reader.scratch,
                &self.progress,
            )?;
            while let Some(turn) = virtual_transfer.turn() {
                virtual_transfer.work(turn, segments, &mut destination, reader, &self.progress)?;
            }
            self.keep_small(task, destination, reader)?;
            return Ok(None);
        }
        let file =
            self.file(task, dataset).ok_or(ReadError::Refused("its file cannot be opened"))?;
        let writers = self.writers(task)?;
        virtual_transfer.fill(
            segments,
            &mut destination(&virtual_transfer, dataset, &writers),
            &mut reader.scratch,
            &self.progress,
        )?;
        // The sources have the bytes.
        let source = DataSource::Contiguous(Contiguous { offset: 0, elements: 0, each: 1 });
        let ends = Endpoints { dataset, segments, writers, file, source };
        Ok(Some(Transfer::virtual_dataset((number, task), ends, virtual_transfer)))
    }

    fn file(&self, task: &Task, dataset: &Dataset) -> Option<Arc<File>> {
        let key = (task.input, dataset.file());
        let mut files = lock_ignoring_poison(&self.files);
        if let Some(file) = files.get(&key) {
            return Some(Arc::clone(file));
        }
        let path = self.paths.get(task.input)?.get(dataset.file())?.as_ref()?;
        let opened = self.read_ahead.file(path);
        let file = match opened {
            Some(file) => file,
            None => Arc::new(lookup::open_regular(path).ok()?.0),
        };
        if files.len() >= MOST_FILES {
            // Transfers in progress keep their files open.
            files.clear();
        }
        files.insert(key, Arc::clone(&file));
        Some(file)
    }

    /// Reads sources of a virtual dataset until no step is left for this worker.
    fn assemble(
        &self,
        transfer: &Transfer<'a>,
        virtual_transfer: &VirtualTransfer<'a>,
        reader: &mut ItemReader,
    ) {
        let mut destination =
            destination(virtual_transfer, transfer.ends.dataset, &transfer.ends.writers);
        while let Some(turn) = virtual_transfer.turn() {
            if self.scheduler.is_over() {
                break;
            }
            match virtual_transfer.work(
                turn,
                transfer.ends.segments,
                &mut destination,
                reader,
                &self.progress,
            ) {
                Ok(true) => self.scheduler.announce(),
                Ok(false) => {}
                Err(error) => {
                    virtual_transfer.stop();
                    transfer.give_up(ReadError::Failed(error));
                    break;
                }
            }
        }
    }

    fn help(&self, transfer: Arc<Transfer<'a>>, reader: &mut ItemReader) {
        if let Some(virtual_transfer) = &transfer.sources {
            self.assemble(&transfer, virtual_transfer, reader);
        }
        while let Some(item) = transfer.claim() {
            if self.scheduler.is_over() {
                break;
            }
            match reader.item(&transfer.ends, &item, &self.progress) {
                Ok(()) => {}
                Err(error @ (ReadError::Refused(_) | ReadError::Damaged(_))) => {
                    transfer.give_up(error);
                }
                Err(error) => {
                    self.scheduler.fail(transfer.number, self.error(transfer.task, error));
                    break;
                }
            }
        }
        if let Some(transfer) = self.scheduler.leave(transfer) {
            self.close(transfer, reader);
            self.scheduler.finished();
        }
    }

    /// Finishes a transfer after its last item.
    fn close(&self, transfer: Transfer<'a>, reader: &mut ItemReader) {
        let number = transfer.number;
        if self.scheduler.is_over() {
            return;
        }
        if let Some(error) = transfer.error() {
            // Its segments are removed: if libhdf5 reads the dataset, it starts again.
            let task = transfer.task;
            drop(transfer);
            return self.settle(number, task, error);
        }
        if let Err(error) = self.keep(transfer.task, transfer.ends.writers, reader) {
            self.scheduler.fail(number, error);
        }
    }

    /// Verifies the segments of a task if requested, and keeps them.
    fn keep(
        &self,
        task: &Task,
        writers: Vec<SegmentWriter<'a>>,
        reader: &mut ItemReader,
    ) -> Result<()> {
        if self.context.request.verify && self.dataset(task).verifiable {
            let mut destination = Destination::Compare(&writers);
            let inventory = &self.plan.inventories[task.input];
            let scratch = &mut reader.scratch;
            read_with_libhdf5(
                inventory,
                task,
                self.segments(task),
                &mut destination,
                scratch,
                &mut |_| Ok(()),
            )?;
        }
        for writer in writers {
            // The keeper removes the segments of an announced load if the load fails.
            writer.finish()?.persist();
        }
        Ok(())
    }

    fn move_small(
        &self,
        transfer: &Transfer<'a>,
        reader: &mut ItemReader,
    ) -> std::result::Result<(), ReadError> {
        let mut destination = Destination::Memory(buffers(transfer.ends.segments)?);
        while let Some(item) = transfer.claim() {
            reader.do_into(&transfer.ends, &item, &mut destination, &self.progress)?;
        }
        self.keep_small(transfer.task, destination, reader)?;
        Ok(())
    }

    fn keep_small(
        &self,
        task: &Task,
        destination: Destination<'_, '_>,
        reader: &mut ItemReader,
    ) -> Result<()> {
        let Destination::Memory(buffers) = destination else { return Ok(()) };
        let mut writers = Vec::with_capacity(task.count);
        for (number, bytes) in (task.first..).zip(&buffers) {
            let writer = SegmentWriter::small(self.segment(number)?, bytes.len() as u64);
            writer.fill(bytes)?;
            writers.push(writer);
        }
        self.keep(task, writers, reader)
    }

    fn library(&self, number: usize, reader: &mut ItemReader) -> Result<()> {
        let task = &self.plan.tasks[number];
        self.progress.send(&Message::Reading(task.path.clone()))?;
        let (inventory, segments) = (&self.plan.inventories[task.input], self.segments(task));
        let mut advance = |bytes| self.progress.advance(bytes);
        let mut read = |destination: &mut Destination<'_, '_>| {
            let scratch = &mut reader.scratch;
            read_with_libhdf5(inventory, task, segments, destination, scratch, &mut advance)
        };
        if self.is_small(task) {
            let mut destination = Destination::Memory(buffers(segments)?);
            read(&mut destination)?;
            return self.keep_small(task, destination, reader);
        }
        let writers = self.writers(task)?;
        read(&mut Destination::Segments(&writers))?;
        self.keep(task, writers, reader)
    }

    fn writers(&self, task: &Task) -> Result<Vec<SegmentWriter<'a>>> {
        (task.first..task.first + task.count)
            .map(|number| {
                let bytes = self.plan.segments[number].bytes;
                SegmentWriter::new(self.segment(number)?, bytes, self.pages)
            })
            .collect()
    }

    fn segment(&self, number: usize) -> Result<NewSegment<'a>> {
        let name =
            SegmentName::new(&self.context.request.project, self.context.token, number as u64);
        let bytes = self.plan.segments[number].bytes;
        let segment = NewSegment::create(&self.context.dirs.shm, name, bytes)?;
        segment.allow(&self.context.request.selection.access())?;
        Ok(segment)
    }
}

/// The destination of the elements of a large virtual dataset.
fn destination<'s, 'a>(
    virtual_transfer: &VirtualTransfer<'a>,
    dataset: &Dataset,
    writers: &'s [SegmentWriter<'a>],
) -> Destination<'s, 'a> {
    match virtual_transfer.is_scattered(dataset.element_size) {
        true => Destination::Scattered(writers),
        false => Destination::Segments(writers),
    }
}

/// Returns a buffer of zeros for each segment of a small task.
fn buffers(segments: &[SegmentPlan]) -> Result<Vec<Vec<u8>>> {
    let buffer = |segment: &SegmentPlan| {
        let mut buffer = Vec::new();
        let bytes = usize::try_from(segment.bytes).unwrap_or(usize::MAX);
        resize_buffer(&mut buffer, bytes).map_err(|_| {
            let message = format!("not enough memory for the {bytes} bytes of '{}'", segment.path);
            Error::new(Kind::NoMemory, message)
                .with_subject(&*segment.path)
                .with_hint(reader_error::NO_MEMORY_HINT)
        })?;
        Ok(buffer)
    };
    segments.iter().map(buffer).collect()
}
