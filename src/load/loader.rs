//! The loader: what runs in the child process. It plans, waits for the keeper's word, then moves every
//! dataset into its segments. It may crash without harm: the keeper cleans up.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use nix::sys::signal::Signal;

use crate::error::ErrorReport;
use crate::error::{Error, Kind, Result};
use crate::load::Request;
use crate::load::plan::{self, Plan, SegmentPlan, Task};
use crate::load::supervisor::child::{PANICKED, ProcessEnd, SupervisorLink};
use crate::load::supervisor::protocol::{Loaded, Message};
use crate::load::worker::convert::Conversions;
use crate::load::worker::progress::{ProgressSender, Throttle};
use crate::load::worker::thread::Workers;
use crate::os::limits;
use crate::os::threads;
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::Note;
use crate::shm::format::name::Token;
use crate::shm::store::node_dirs::NodeDirs;

/// Runs the loader to its end; the last message says how it went.
pub fn run(request: &Request, dirs: &NodeDirs, token: &Token, mut line: SupervisorLink) {
    let last = match load(request, dirs, token, &mut line) {
        Ok(Some((loaded, plan))) => {
            // The process ends now: to close every object of a large file would only take time.
            std::mem::forget(plan);
            Message::Loaded(loaded)
        }
        Ok(None) => return,
        Err(error) => Message::Failed(ErrorReport::from(&error)),
    };
    // A keeper that is gone needs no answer.
    let _ = line.sender.send(&last);
}

/// Plans, and moves what was planned once the keeper says so; `None` when it never does.
pub(crate) fn load(
    request: &Request,
    dirs: &NodeDirs,
    token: &Token,
    line: &mut SupervisorLink,
) -> Result<Option<(Loaded, Plan)>> {
    let filter = PathFilter::new(&request.selection.include, &request.selection.exclude)?;
    let conversions = Conversions::new(&request.selection)?;
    let mut looking = Throttle::new();
    let plan = {
        let sender = &mut line.sender;
        let mut look = |path: &str| {
            if looking.is_due() {
                let _ = sender.send(&Message::Looking(path.to_owned()));
            }
        };
        {
            let (inputs, rows) = (&request.inputs, request.selection.rows);
            let how = (request.keep_going, request.external);
            Plan::make(inputs, rows, &filter, &conversions, how, &mut look)?
        }
    };
    line.sender.send(&Message::Planned(plan.summary(workers(request, &plan))))?;
    if !line.wait_for_go() {
        return Ok(None);
    }
    let failed = move_all(request, (dirs, token), &plan, line)?;
    plan::check_unchanged(&plan.sources)?;
    let numbers: HashSet<_> = failed.iter().map(|(task, _)| (task.input, task.dataset)).collect();
    let lost: usize = failed.iter().map(|(task, _)| task.count).sum();
    let segments = |task: &Task| plan.segments[task.first..task.first + task.count].iter();
    let bytes = |segments: &mut dyn Iterator<Item = &SegmentPlan>| -> u64 {
        segments.map(|p| p.bytes).sum()
    };
    let lost_bytes: u64 = failed.iter().map(|(task, _)| bytes(&mut segments(task))).sum();
    let bytes = bytes(&mut plan.segments.iter()) - lost_bytes;
    let loaded = Loaded {
        metadata: plan.metadata(&request.project, token, &numbers),
        attributes: plan.attributes(),
        extras: plan.origin(),
        arrays: (plan.segments.len() - lost) as u64,
        bytes,
        failed: failed.into_iter().map(|(_, note)| note).collect(),
    };
    Ok(Some((loaded, plan)))
}

/// Starts the workers and waits for them. No thread but the watch over the keeper was there before.
fn move_all<'a>(
    request: &'a Request,
    (dirs, token): (&'a NodeDirs, &'a Token),
    plan: &'a Plan,
    line: &'a mut SupervisorLink,
) -> Result<Vec<(&'a Task, Note)>> {
    if let Some(numa) = &request.numa {
        numa.apply()?;
    }
    let count = workers(request, plan);
    let workers = Workers::new(request, (dirs, token), plan, ProgressSender::new(&mut line.sender));
    threads::crew(count, || workers.work());
    workers.into_scheduler().into_failed()
}

/// How many threads read and decode.
fn workers(request: &Request, plan: &Plan) -> usize {
    let most = plan
        .segments
        .iter()
        .map(|segment| segment.bytes.div_ceil(EACH))
        .fold(0, u64::saturating_add);
    let count = request.threads.map_or_else(threads::processors, NonZeroUsize::get);
    count.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// No more workers than pieces of this many bytes: starting a thread for less is not worth it.
const EACH: u64 = 64 << 10;

/// The error of a loader that ended without a last message.
pub fn died(end: ProcessEnd, reading: Option<&str>, file: &str) -> Error {
    let place = reading.map_or_else(String::new, |path| format!(" at '{path}'"));
    if let Some(error) = limited(end, &place) {
        return error.with_subject(file);
    }
    match end {
        ProcessEnd::Killed(Signal::SIGKILL) => Error::new(
            Kind::NoMemory,
            format!("the loader was killed{place}, most likely by the kernel for lack of memory"),
        )
        .with_hint("load less with --include, or give the job more memory (--mem)"),
        ProcessEnd::Killed(Signal::SIGSYS) => Error::new(
            Kind::Permission,
            format!(
                "the loader was killed{place} for a system call that is forbidden here (seccomp)"
            ),
        )
        .with_hint("let the filter refuse userfaultfd(2) with EPERM, or load with --jobs 1"),
        ProcessEnd::Killed(signal) => Error::new(
            Kind::Corrupt,
            format!("the HDF5 library crashed ({signal}){place}: '{file}' is probably corrupt"),
        )
        .with_hint("h5dump or h5check may tell more"),
        ProcessEnd::Exited(PANICKED) => Error::new(
            Kind::Io,
            format!(
                "the loader ended{place} because of an internal error, which is reported above"
            ),
        )
        .with_hint("report it with the file; without this dataset, the rest may load: --exclude"),
        ProcessEnd::Exited(status) => {
            Error::new(Kind::Io, format!("the loader ended without a word{place}, status {status}"))
        }
    }
    .with_subject(file)
}

/// A loader that begins with fewer free addresses may crash for lack of them.
const SCARCE: u64 = 64 << 20;

/// The error of a loader that a limit of its process ended.
fn limited(end: ProcessEnd, place: &str) -> Option<Error> {
    let seconds = limits::processor_seconds().filter(|&seconds| {
        end == ProcessEnd::Killed(Signal::SIGXCPU)
            || (end == ProcessEnd::Killed(Signal::SIGKILL) && children_seconds() >= seconds)
    });
    if let Some(seconds) = seconds {
        let message = format!("the loader{place} used up its {seconds} s of processor time");
        return Some(Error::new(Kind::Io, message).with_hint("raise the limit: ulimit -t"));
    }
    // The allocator of a Rust program aborts it when there is no memory, and libraries panic.
    let aborted =
        [ProcessEnd::Killed(Signal::SIGABRT), ProcessEnd::Exited(PANICKED)].contains(&end);
    // Where an allocation fails, the HDF5 library may use the null pointer. A stack that cannot grow ends likewise.
    let crashed = end == ProcessEnd::Killed(Signal::SIGSEGV)
        && limits::free_addresses().is_some_and(|bytes| bytes < SCARCE);
    let bytes = limits::address_space().filter(|_| aborted || crashed)?;
    let message = format!("the loader was aborted{place}, most likely for lack of address space");
    let hint = format!("it is limited to {bytes} bytes; raise the limit: ulimit -v, ulimit -d");
    Some(Error::new(Kind::NoMemory, message).with_hint(hint))
}

/// Processor time of all children that have ended.
fn children_seconds() -> u64 {
    let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
    used.map_or(0, |used| {
        u64::try_from(used.user_time().tv_sec() + used.system_time().tv_sec() + 1).unwrap_or(0)
    })
}
