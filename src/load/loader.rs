//! The loader: what runs in the child process. It plans, waits for the keeper's word, then moves every
//! dataset into its segments. It may crash without harm: the keeper cleans up.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::Request;
use super::filter::PathFilter;
use super::message::{Loaded, Message, Sender};
use super::plan::{self, Plan, Task};
use super::process::KeeperLine;
use crate::error::Told;
use crate::shm::ledger::Note;
use crate::shm::map::Filling;
use crate::shm::name::{SegmentName, Token};
use crate::shm::place::Place;
use crate::shm::segment::NewSegment;
use crate::{Error, Result};

/// How often the keeper hears how far it is.
const REPORT: Duration = Duration::from_millis(50);

/// Runs the loader to its end; the last message says how it went.
pub fn run(request: &Request, place: &Place, token: &Token, mut line: KeeperLine<'_>) {
    let last = match load(request, place, token, &mut line) {
        Ok(Some(loaded)) => Message::Loaded(loaded),
        Ok(None) => return,
        Err(error) => Message::Failed(Told::from(&error)),
    };
    // A keeper that is gone needs no answer.
    let _ = line.sender.send(&last);
}

/// Plans, and moves what was planned once the keeper says so; `None` when it never does.
pub(super) fn load(
    request: &Request,
    place: &Place,
    token: &Token,
    line: &mut KeeperLine<'_>,
) -> Result<Option<Loaded>> {
    let filter = PathFilter::new(&request.selection.include, &request.selection.exclude)?;
    let mut looking = Throttle::new();
    let plan = {
        let sender = &mut line.sender;
        let mut look = |path: &str| {
            if looking.is_due() {
                let _ = sender.send(&Message::Looking(path.to_owned()));
            }
        };
        Plan::make(&request.inputs, &filter, request.keep_going, &mut look)?
    };
    line.sender.send(&Message::Planned(plan.told()))?;
    if !line.wait_for_go() {
        return Ok(None);
    }
    let mut mover = Mover {
        request,
        place,
        token,
        plan: &plan,
        line,
        moved: 0,
        unsaid: 0,
        due: Throttle::new(),
    };
    let failed = mover.all()?;
    let bytes = mover.moved;
    plan::check_unchanged(&plan.sources)?;
    let numbers: Vec<_> = failed.iter().map(|(task, _)| (task.input, task.dataset)).collect();
    let lost: usize = failed.iter().map(|(task, _)| task.count).sum();
    Ok(Some(Loaded {
        metadata: plan.metadata(&request.project, token, &numbers),
        attributes: plan.attributes(),
        arrays: (plan.pieces.len() - lost) as u64,
        bytes,
        failed: failed.into_iter().map(|(_, note)| note).collect(),
    }))
}

/// Moves datasets into segments.
struct Mover<'a, 'k> {
    request: &'a Request,
    place: &'a Place,
    token: &'a Token,
    plan: &'a Plan,
    line: &'a mut KeeperLine<'k>,
    moved: u64,
    unsaid: u64,
    due: Throttle,
}

impl<'a> Mover<'a, '_> {
    /// Every dataset in turn; with `--keep-going` what could not be read is returned.
    fn all(&mut self) -> Result<Vec<(&'a Task, Note)>> {
        let mut failed = Vec::new();
        for task in &self.plan.tasks {
            if self.due.is_due() || task.count == 0 {
                self.line.sender.send(&Message::Reading(task.path.clone()))?;
            }
            match self.one(task) {
                Ok(()) => {}
                Err(error) if self.request.keep_going && error.kind() == crate::Kind::Corrupt => {
                    failed
                        .push((task, Note { path: task.path.clone(), reason: error.to_string() }));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(failed)
    }

    fn one(&mut self, task: &Task) -> Result<()> {
        let mut segments = Vec::with_capacity(task.count);
        let mut maps = Vec::with_capacity(task.count);
        for number in task.first..task.first + task.count {
            let bytes = self.plan.pieces[number].leaf.nbytes();
            let segment = self.segment(number, bytes)?;
            maps.push(Filling::map(segment.file(), bytes)?);
            segments.push(segment);
        }
        let mut sinks: Vec<&mut [u8]> = maps.iter_mut().map(Filling::bytes).collect();
        let large = sinks.iter().map(|sink| sink.len()).sum::<usize>() > LARGE;
        if large {
            self.line.sender.send(&Message::Reading(task.path.clone()))?;
        }
        let (line, due, unsaid) = (&mut *self.line, &mut self.due, &mut self.unsaid);
        let mut progress = |bytes: u64| {
            *unsaid += bytes;
            if due.is_due() {
                say(&mut line.sender, unsaid);
            }
        };
        self.plan.inventories[task.input].read(task.dataset, &mut sinks, &mut progress)?;
        self.moved += sinks.iter().map(|sink| sink.len() as u64).sum::<u64>();
        for segment in segments {
            // From here on it is the announced load's: the keeper removes it if anything fails.
            segment.persist();
        }
        Ok(())
    }

    fn segment(&mut self, number: usize, bytes: u64) -> Result<NewSegment<'a>> {
        let name = SegmentName::new(&self.request.project, self.token, number as u64);
        if self.request.trace {
            let segment = name.to_text();
            self.line.sender.send(&Message::Created { segment, bytes })?;
        }
        let segment = NewSegment::create(&self.place.shm, name)?;
        segment.reserve(bytes, &AtomicBool::new(false))?;
        segment.allow(&self.request.access())?;
        Ok(segment)
    }
}

/// Datasets of more bytes than this are named before they are read, whatever was said before.
const LARGE: usize = 16 << 20;

fn say(sender: &mut Sender<'_>, unsaid: &mut u64) {
    let _ = sender.send(&Message::Advanced(std::mem::take(unsaid)));
}

/// Says when something is due again: at most every [`REPORT`].
struct Throttle(Option<Instant>);

impl Throttle {
    fn new() -> Self {
        Self(None)
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= REPORT);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// What a loader that ended without a last word died of.
pub fn died(end: super::process::End, reading: Option<&str>, file: &str) -> Error {
    use super::process::End;
    use crate::Kind;
    use nix::sys::signal::Signal;
    let place = reading.map_or_else(String::new, |path| format!(" at '{path}'"));
    match end {
        End::Killed(Signal::SIGKILL) => Error::new(
            Kind::NoMemory,
            format!("the loader was killed{place}, most likely by the kernel for lack of memory"),
        )
        .with_hint("load less with --include, or give the job more memory (--mem)"),
        End::Killed(signal) => Error::new(
            Kind::Corrupt,
            format!("the HDF5 library crashed ({signal}){place}: '{file}' is probably corrupt"),
        )
        .with_hint("h5dump or h5check may tell more"),
        End::Exited(status) => {
            Error::new(Kind::Io, format!("the loader ended without a word{place}, status {status}"))
        }
    }
    .about(file)
}
