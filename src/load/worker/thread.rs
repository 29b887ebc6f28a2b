//! A worker: takes its turns from the pool until everything is in memory.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::error::{Error, Kind, Result};
use crate::h5::codec::resize;
use crate::h5::{Cause, Dataset, Inventory, NO_MEMORY_HINT, cannot_read, lookup};
use crate::load::Request;
use crate::load::plan::{Piece, Plan, Task};
use crate::load::supervisor::protocol::Message;
use crate::load::worker::chunked::{Chunked, Limits};
use crate::load::worker::decode_memory::Gate;
use crate::load::worker::progress::Voice;
use crate::load::worker::read::{Reader, Trouble};
use crate::load::worker::read_library::through_library;
use crate::load::worker::scheduler::{Pool, Turn};
use crate::load::worker::transfer::{Job, Source};
use crate::load::worker::virtual_dataset::Assembly;
use crate::load::worker::write::Sink;
use crate::shm::format::name::{SegmentName, Token};
use crate::shm::segment::new_segment::NewSegment;
use crate::shm::segment::pages::Pages;
use crate::shm::segment::segment_writer::{SegmentWriter, lock_ignoring_poison};
use crate::shm::store::node_dirs::NodeDirs;

/// Datasets up to so many bytes are read by one worker and written at once.
const SMALL: u64 = 512 << 10;

/// Files that are kept open for further datasets.
const MOST_FILES: usize = 32;

/// What all workers share.
#[derive(Debug)]
pub struct Mover<'a> {
    request: &'a Request,
    dirs: &'a NodeDirs,
    token: &'a Token,
    plan: &'a Plan,
    pages: Pages,
    voice: Voice<'a>,
    pool: Pool<'a>,
    gate: Arc<Gate>,
    /// For each input, the path of each file that can be read without libhdf5.
    paths: Vec<Vec<Option<PathBuf>>>,
    files: Mutex<HashMap<(usize, usize), Arc<File>>>,
}

impl<'a> Mover<'a> {
    /// Everything is still to be moved.
    pub fn new(
        request: &'a Request,
        (dirs, token): (&'a NodeDirs, &'a Token),
        plan: &'a Plan,
        voice: Voice<'a>,
    ) -> Self {
        let paths: Vec<_> = plan.inventories.iter().map(Inventory::raw_files).collect();
        let pool = Pool::new(plan, request.keep_going, |task| {
            let dataset = &plan.inventories[task.input].datasets[task.dataset];
            paths[task.input].get(dataset.file()).is_some_and(Option::is_some)
                && !dataset.shape.contains(&0)
                && (dataset.is_unwritten()
                    || dataset.sources.is_some()
                    || (dataset.raw
                        && (dataset.raw_offset().is_some() || dataset.storage.layout == "chunked")))
        });
        let pages = Pages::of(dirs.shm.path(), dirs.shm.id().dev);
        let gate = Arc::default();
        Self {
            request,
            dirs,
            token,
            plan,
            pages,
            voice,
            pool,
            gate,
            paths,
            files: Mutex::default(),
        }
    }

    /// The pool, when all workers have ended.
    pub fn into_pool(self) -> Pool<'a> {
        self.pool
    }

    /// Works until nothing is left.
    pub fn work(&self) {
        let mut reader = Reader::sharing(Arc::clone(&self.gate));
        loop {
            match self.pool.turn(|number| self.is_small(&self.plan.tasks[number])) {
                Turn::Prepare(range) => {
                    let mut begun = None;
                    for number in self.pool.direct(range) {
                        begun = self.prepare(number, &mut reader);
                    }
                    self.pool.prepared();
                    if let Some(job) = begun {
                        self.help(job, &mut reader);
                    }
                }
                Turn::Help(job) => self.help(job, &mut reader),
                Turn::Library(number) => {
                    if let Err(error) = self.library(number, &mut reader) {
                        self.pool.fail(number, error);
                    }
                    self.pool.library_done();
                }
                Turn::End => return,
            }
        }
    }

    fn dataset(&self, task: &Task) -> &'a Dataset {
        &self.plan.inventories[task.input].datasets[task.dataset]
    }

    fn pieces(&self, task: &Task) -> &'a [Piece] {
        &self.plan.pieces[task.first..task.first + task.count]
    }

    fn is_small(&self, task: &Task) -> bool {
        let memory = self.pieces(task).iter().fold(0, |sum: u64, p| sum.saturating_add(p.bytes));
        let elements: u64 = self.dataset(task).shape.iter().product();
        let read = elements.saturating_mul(self.dataset(task).element_size);
        memory.max(read) <= SMALL
    }

    /// Sees how a task can be read. Small ones are moved at once; else there is a job to do.
    fn prepare(&self, number: usize, reader: &mut Reader) -> Option<Arc<Job<'a>>> {
        let task = &self.plan.tasks[number];
        match self.job(number, task, reader) {
            Ok(job) => job.map(|job| self.pool.begin(job)),
            Err(trouble) => {
                self.settle(number, task, trouble);
                None
            }
        }
    }

    /// Leaves a dataset to libhdf5, which may have what is missing here, or reports the error.
    fn settle(&self, number: usize, task: &Task, trouble: Trouble) {
        match trouble {
            Trouble::Refused(_) => self.pool.to_library(number),
            trouble => self.pool.fail(number, self.error(task, trouble)),
        }
    }

    /// The error of a dataset that cannot be read, with its path and its file.
    fn error(&self, task: &Task, trouble: Trouble) -> Error {
        let (path, file) = (&self.dataset(task).path, self.dataset(task).file());
        let file = self.paths.get(task.input).and_then(|paths| paths.get(file)?.as_deref());
        match trouble {
            Trouble::Refused(why) | Trouble::Damaged(why) => {
                cannot_read((path, file), Cause::Damage, why)
            }
            Trouble::NoMemory => {
                let reason = "not enough memory to decode a chunk";
                cannot_read((path, file), Cause::NoMemory, reason)
            }
            Trouble::Failed(error) => error,
        }
    }

    fn job(
        &self,
        number: usize,
        task: &'a Task,
        reader: &mut Reader,
    ) -> std::result::Result<Option<Job<'a>>, Trouble> {
        let (dataset, pieces) = (self.dataset(task), self.pieces(task));
        if let Some(assembly) = Assembly::new(&self.plan.inventories[task.input], task) {
            return self.assembly(number, task, assembly, reader);
        }
        let file = self.file(task, dataset).ok_or(Trouble::Refused("its file cannot be opened"))?;
        let source = match dataset.raw_offset() {
            Some(offset) => Some(Source::contiguous(dataset, offset)),
            None if dataset.is_unwritten() => self.plan.inventories[task.input]
                .fill(task.dataset)
                .map(|fill| Source::unwritten(dataset, fill)),
            None => self.plan.inventories[task.input]
                .chunk_index(task.dataset)?
                .and_then(|index| Chunked::new(pieces, index, Limits::default()))
                .map(|chunked| Source::Chunked(Box::new(chunked))),
        };
        let source = source.ok_or(Trouble::Refused("its chunks cannot be told"))?;
        self.voice.mention(|| Message::Reading(task.path.clone()))?;
        if self.is_small(task) {
            let job = Job::new((number, task), (dataset, pieces), Vec::new(), (file, source));
            self.move_small(&job, reader)?;
            return Ok(None);
        }
        let targets = self.targets(task)?;
        Ok(Some(Job::new((number, task), (dataset, pieces), targets, (file, source))))
    }

    /// A virtual dataset: small ones are filled at once.
    fn assembly(
        &self,
        number: usize,
        task: &'a Task,
        assembly: Assembly<'a>,
        reader: &mut Reader,
    ) -> std::result::Result<Option<Job<'a>>, Trouble> {
        let (dataset, pieces) = (self.dataset(task), self.pieces(task));
        self.voice.mention(|| Message::Reading(task.path.clone()))?;
        if self.is_small(task) {
            let mut sink = Sink::Memory(buffers(pieces)?);
            assembly.fill(pieces, &mut sink, &mut reader.bench)?;
            while let Some(turn) = assembly.turn() {
                assembly.work(turn, (number, pieces), &mut sink, reader, &self.voice)?;
            }
            self.keep_small(task, sink, reader)?;
            return Ok(None);
        }
        let file = self.file(task, dataset).ok_or(Trouble::Refused("its file cannot be opened"))?;
        let targets = self.targets(task)?;
        assembly.fill(pieces, &mut sink(&assembly, dataset, &targets), &mut reader.bench)?;
        Ok(Some(Job::virtual_dataset((number, task), (dataset, pieces), targets, (file, assembly))))
    }

    fn file(&self, task: &Task, dataset: &Dataset) -> Option<Arc<File>> {
        let key = (task.input, dataset.file());
        let mut files = lock_ignoring_poison(&self.files);
        if let Some(file) = files.get(&key) {
            return Some(Arc::clone(file));
        }
        let path = self.paths.get(task.input)?.get(dataset.file())?.as_ref()?;
        let file = Arc::new(lookup::open_regular(path).ok()?.0);
        if files.len() >= MOST_FILES {
            // Jobs under way keep theirs.
            files.clear();
        }
        files.insert(key, Arc::clone(&file));
        Some(file)
    }

    /// Works on a virtual dataset as long as there is something to do.
    fn assemble(&self, job: &Job<'a>, assembly: &Assembly<'a>, reader: &mut Reader) {
        let mut sink = sink(assembly, job.dataset, &job.targets);
        while let Some(turn) = assembly.turn() {
            if self.pool.is_over() {
                break;
            }
            match assembly.work(turn, (job.number, job.pieces), &mut sink, reader, &self.voice) {
                Ok(true) => self.pool.announce(),
                Ok(false) => {}
                Err(error) => {
                    assembly.stop();
                    job.give_up(Trouble::Failed(error));
                    break;
                }
            }
        }
    }

    fn help(&self, job: Arc<Job<'a>>, reader: &mut Reader) {
        if let Some(assembly) = &job.assembly {
            self.assemble(&job, assembly, reader);
        }
        while let Some(item) = job.claim() {
            if self.pool.is_over() {
                break;
            }
            match reader.item(&job, &item, &self.voice) {
                Ok(()) => {}
                Err(trouble @ (Trouble::Refused(_) | Trouble::Damaged(_))) => job.give_up(trouble),
                Err(trouble) => {
                    self.pool.fail(job.number, self.error(job.task, trouble));
                    break;
                }
            }
        }
        if let Some(job) = self.pool.leave(job) {
            self.close(job, reader);
            self.pool.finished();
        }
    }

    /// A job of which every item is done or given up.
    fn close(&self, job: Job<'a>, reader: &mut Reader) {
        let number = job.number;
        if self.pool.is_over() {
            return;
        }
        if let Some(trouble) = job.trouble() {
            // Its segments are removed: if libhdf5 reads the dataset, it starts again.
            let task = job.task;
            drop(job);
            return self.settle(number, task, trouble);
        }
        if let Err(error) = self.keep(job.task, job.targets, reader) {
            self.pool.fail(number, error);
        }
    }

    /// Makes sure of the segments of a task, and keeps them.
    fn keep(
        &self,
        task: &Task,
        targets: Vec<SegmentWriter<'a>>,
        reader: &mut Reader,
    ) -> Result<()> {
        if self.request.verify && self.dataset(task).verifiable {
            let mut sink = Sink::Compare(&targets);
            let inventory = &self.plan.inventories[task.input];
            let bench = &mut reader.bench;
            through_library(inventory, task, self.pieces(task), &mut sink, bench, &mut |_| Ok(()))?;
        }
        for target in targets {
            // From here on it is the announced load's: the keeper removes it if anything fails.
            target.finish()?.persist();
        }
        Ok(())
    }

    fn move_small(&self, job: &Job<'a>, reader: &mut Reader) -> std::result::Result<(), Trouble> {
        let mut sink = Sink::Memory(buffers(job.pieces)?);
        while let Some(item) = job.claim() {
            reader.do_into(job, &item, &mut sink, &self.voice)?;
        }
        self.keep_small(job.task, sink, reader)?;
        Ok(())
    }

    fn keep_small(&self, task: &Task, sink: Sink<'_, '_>, reader: &mut Reader) -> Result<()> {
        let Sink::Memory(buffers) = sink else { return Ok(()) };
        let mut targets = Vec::with_capacity(task.count);
        for (number, bytes) in (task.first..).zip(&buffers) {
            let target = SegmentWriter::small(self.segment(number)?, bytes.len() as u64);
            target.fill(bytes)?;
            targets.push(target);
        }
        self.keep(task, targets, reader)
    }

    fn library(&self, number: usize, reader: &mut Reader) -> Result<()> {
        let task = &self.plan.tasks[number];
        self.voice.say(&Message::Reading(task.path.clone()))?;
        let (inventory, pieces) = (&self.plan.inventories[task.input], self.pieces(task));
        let mut told = |bytes| self.voice.advance(bytes);
        if self.is_small(task) {
            let mut sink = Sink::Memory(buffers(pieces)?);
            through_library(inventory, task, pieces, &mut sink, &mut reader.bench, &mut told)?;
            return self.keep_small(task, sink, reader);
        }
        let targets = self.targets(task)?;
        {
            let mut sink = Sink::Targets(&targets);
            through_library(inventory, task, pieces, &mut sink, &mut reader.bench, &mut told)?;
        }
        self.keep(task, targets, reader)
    }

    fn targets(&self, task: &Task) -> Result<Vec<SegmentWriter<'a>>> {
        (task.first..task.first + task.count)
            .map(|number| {
                let bytes = self.plan.pieces[number].bytes;
                SegmentWriter::new(self.segment(number)?, bytes, self.pages)
            })
            .collect()
    }

    fn segment(&self, number: usize) -> Result<NewSegment<'a>> {
        let name = SegmentName::new(&self.request.project, self.token, number as u64);
        let bytes = self.plan.pieces[number].bytes;
        let segment = NewSegment::create(&self.dirs.shm, name, bytes)?;
        segment.allow(&self.request.access())?;
        Ok(segment)
    }
}

/// Where the elements of a large virtual dataset go.
fn sink<'s, 'a>(
    assembly: &Assembly<'a>,
    dataset: &Dataset,
    targets: &'s [SegmentWriter<'a>],
) -> Sink<'s, 'a> {
    match assembly.is_scattered(dataset.element_size) {
        true => Sink::Scattered(targets),
        false => Sink::Targets(targets),
    }
}

/// A buffer of zeros for each piece of a small task.
fn buffers(pieces: &[Piece]) -> Result<Vec<Vec<u8>>> {
    let buffer = |piece: &Piece| {
        let mut buffer = Vec::new();
        let bytes = usize::try_from(piece.bytes).unwrap_or(usize::MAX);
        resize(&mut buffer, bytes).map_err(|_| {
            let message = format!("not enough memory for the {bytes} bytes of '{}'", piece.path);
            Error::new(Kind::NoMemory, message).with_subject(&*piece.path).with_hint(NO_MEMORY_HINT)
        })?;
        Ok(buffer)
    };
    pieces.iter().map(buffer).collect()
}
