//! The loader: plans a load, then creates and fills the segments. It runs in a child process, which may crash
//! without harm because the supervisor removes its segments, or in a thread.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use crate::error::{ErrorReport, Result};
use crate::load::convert::Conversions;
use crate::load::plan::{self, Plan, Task};
use crate::load::planned::Loaded;
use crate::load::protocol::{Message, SupervisorLink};
use crate::load::read_ahead::ReadAhead;
use crate::load::request::{LoadContext, Request};
use crate::load::worker::progress::{ProgressSender, Throttle};
use crate::load::worker::thread::Workers;
use crate::os::threads;
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::Note;
use crate::shm::format::name::SegmentName;

/// Runs the loader in its own process. The last message contains the result.
pub(crate) fn run(context: LoadContext<'_>, mut link: SupervisorLink) {
    let last = match load(context, &mut link) {
        Ok(Some((loaded, plan))) => {
            // The process exits next: closing every object of a large file only takes time.
            std::mem::forget(plan);
            Message::Loaded(loaded)
        }
        Ok(None) => return,
        Err(error) => Message::Failed(ErrorReport::from(&error)),
    };
    // If the supervisor has exited, the result is not needed.
    let _ = link.sender.send(&last);
}

/// Plans the load, waits for the start of the transfer, and creates and fills the segments. Returns `None` if the
/// supervisor exits before the start.
pub(crate) fn load(
    context: LoadContext<'_>,
    link: &mut SupervisorLink,
) -> Result<Option<(Loaded, Plan)>> {
    let LoadContext { request, token, .. } = context;
    let filter = PathFilter::new(&request.selection.include, &request.selection.exclude)?;
    let conversions = Conversions::new(&request.selection)?;
    let mut read_ahead = ReadAhead::new(request);
    let mut plan = {
        let (sender, mut throttle) = (&mut link.sender, Throttle::new());
        let mut inspecting = |path: &str| {
            read_ahead.begin();
            if throttle.is_due() {
                let _ = sender.send(&Message::Inspecting(path.to_owned()));
            }
        };
        Plan::new((request, token), &filter, &conversions, &mut inspecting)?
    };
    let workers = worker_count(request, &plan, &read_ahead);
    link.sender.send(&Message::Planned(plan.summary(workers)))?;
    if !link.wait_for_start() {
        return Ok(None);
    }
    let failed = transfer_all(context, &plan, workers, &read_ahead, link)?;
    plan::check_unchanged(&plan.sources)?;
    let numbers = failed.iter().flat_map(|(task, _)| task.first..task.first + task.count);
    let numbers: HashSet<usize> = numbers.collect();
    let loaded = plan.segments.iter().enumerate().filter(|(number, _)| !numbers.contains(number));
    let (arrays, bytes) =
        loaded.fold((0, 0), |(arrays, bytes), (_, segment)| (arrays + 1, bytes + segment.bytes));
    let failed = failed.into_iter().map(|(_, note)| note).collect();
    let name = |number: usize| SegmentName::new(&request.project, token, number as u64).to_text();
    let loaded = Loaded {
        metadata: plan.metadata(&numbers.into_iter().map(name).collect()),
        attributes: plan.take_attributes(),
        origin: plan.origin(),
        arrays,
        bytes,
        failed,
    };
    Ok(Some((loaded, plan)))
}

/// Starts `count` workers and waits for them. Returns the tasks that failed.
fn transfer_all<'a>(
    context: LoadContext<'a>,
    plan: &'a Plan,
    count: usize,
    read_ahead: &'a ReadAhead,
    link: &'a mut SupervisorLink,
) -> Result<Vec<(&'a Task, Note)>> {
    if let Some(numa) = &context.request.numa {
        numa.apply()?;
    }
    let progress = ProgressSender::new(&mut link.sender);
    let bytes = plan.segments.iter().fold(0, |sum: u64, segment| sum.saturating_add(segment.bytes));
    read_ahead.continue_for(bytes, progress.loaded_bytes());
    let workers = Workers::new(context, plan, read_ahead, progress);
    threads::crew(count, || workers.work());
    workers.into_scheduler().into_failed()
}

/// Returns the number of worker threads: one for each processor, or for each request in flight.
fn worker_count(request: &Request, plan: &Plan, read_ahead: &ReadAhead) -> usize {
    let most = plan
        .segments
        .iter()
        .map(|segment| segment.bytes.div_ceil(MIN_BYTES_PER_WORKER))
        .fold(0, u64::saturating_add);
    let usual = || match read_ahead.is_bypassed() {
        true => threads::processors().max(WORKERS_WITHOUT_CACHE),
        false => threads::processors(),
    };
    let count = request.threads.map_or_else(usual, NonZeroUsize::get);
    count.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// A worker for less than this many bytes costs more time than it saves.
const MIN_BYTES_PER_WORKER: u64 = 64 << 10;

/// Workers for files that bypass the page cache. Each waits for the storage most of the time, with one request in flight.
const WORKERS_WITHOUT_CACHE: usize = 12;
