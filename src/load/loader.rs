//! The loader: what runs in the child process. It plans, waits for the keeper's word, then moves every
//! dataset into its segments. It may crash without harm: the keeper cleans up.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use super::Request;
use super::convert::Conversions;
use super::filter::PathFilter;
use super::message::{Loaded, Message};
use super::mover::Mover;
use super::plan::{self, Piece, Plan, Task};
use super::process::KeeperLine;
use super::voice::{Throttle, Voice};
use crate::error::Told;
use crate::shm::ledger::Note;
use crate::shm::name::Token;
use crate::shm::place::Place;
use crate::{Error, Result};

/// Runs the loader to its end; the last message says how it went.
pub fn run(request: &Request, place: &Place, token: &Token, mut line: KeeperLine) {
    let last = match load(request, place, token, &mut line) {
        Ok(Some((loaded, plan))) => {
            // The process ends now: to close every object of a large file would only take time.
            std::mem::forget(plan);
            Message::Loaded(loaded)
        }
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
    line: &mut KeeperLine,
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
            Plan::make(inputs, rows, &filter, &conversions, request.keep_going, &mut look)?
        }
    };
    line.sender.send(&Message::Planned(plan.told()))?;
    if !line.wait_for_go() {
        return Ok(None);
    }
    let failed = move_all(request, (place, token), &plan, line)?;
    plan::check_unchanged(&plan.sources)?;
    let numbers: HashSet<_> = failed.iter().map(|(task, _)| (task.input, task.dataset)).collect();
    let lost: usize = failed.iter().map(|(task, _)| task.count).sum();
    let pieces = |task: &Task| plan.pieces[task.first..task.first + task.count].iter();
    let bytes = |pieces: &mut dyn Iterator<Item = &Piece>| -> u64 { pieces.map(|p| p.bytes).sum() };
    let lost_bytes: u64 = failed.iter().map(|(task, _)| bytes(&mut pieces(task))).sum();
    let bytes = bytes(&mut plan.pieces.iter()) - lost_bytes;
    let loaded = Loaded {
        metadata: plan.metadata(&request.project, token, &numbers),
        attributes: plan.attributes(),
        extras: plan.extras(),
        arrays: (plan.pieces.len() - lost) as u64,
        bytes,
        failed: failed.into_iter().map(|(_, note)| note).collect(),
    };
    Ok(Some((loaded, plan)))
}

/// Starts the workers and waits for them. No thread but the watch over the keeper was there before.
fn move_all<'a>(
    request: &'a Request,
    (place, token): (&'a Place, &'a Token),
    plan: &'a Plan,
    line: &'a mut KeeperLine,
) -> Result<Vec<(&'a Task, Note)>> {
    if let Some(numa) = &request.numa {
        numa.apply()?;
    }
    let most =
        plan.pieces.iter().map(|piece| piece.bytes.div_ceil(EACH)).fold(0, u64::saturating_add);
    let jobs = request.jobs.or_else(|| std::thread::available_parallelism().ok());
    let jobs = jobs.map_or(1, NonZeroUsize::get).min(usize::try_from(most).unwrap_or(usize::MAX));
    let mover = Mover::new(request, (place, token), plan, Voice::new(&mut line.sender));
    std::thread::scope(|scope| {
        let mut failed = None;
        for _ in 1..jobs {
            let start = std::thread::Builder::new().spawn_scoped(scope, || mover.work());
            failed = failed.or(start.err());
        }
        // Fewer threads than wanted are slower, not wrong.
        drop(failed);
        mover.work();
    });
    mover.into_pool().into_failed()
}

/// No more workers than pieces of this many bytes: starting a thread for less is not worth it.
const EACH: u64 = 64 << 10;

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
        End::Killed(Signal::SIGSYS) => Error::new(
            Kind::Permission,
            format!(
                "the loader was killed{place} for a system call that is forbidden here (seccomp)"
            ),
        )
        .with_hint("let the filter refuse userfaultfd(2) with EPERM, or load with --jobs 1"),
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
