//! The loader within this process: for programs that call the library. Forking is sound only while a
//! process has one thread, which no library can know; the price is that a file that crashes the HDF5
//! library crashes the program.

use std::sync::mpsc;

use crate::error::{Error, Kind, Result};
use crate::load::loader;
use crate::load::supervisor::child::SupervisorLink;
use crate::load::supervisor::protocol::{Message, Planned, Sender};
use crate::load::supervisor::supervise;
use crate::load::transaction::Transaction;
use crate::load::{Observer, Outcome, Request};
use crate::os::limits;
use crate::shm::store::node_dirs::NodeDirs;

/// Loads a project within this process; observer and `go_on` are called on the caller's thread. Before the load
/// begins, when all is planned, between two datasets, and after every 16 MiB that are read, `go_on` is asked.
///
/// # Errors
/// As [`crate::load::run`]; what `go_on` returns, and [`Kind::Busy`] when it says no. Then nothing of this load
/// stays, and an existing project is as it was.
pub fn run_here(
    dirs: &NodeDirs,
    request: &Request,
    observer: &mut dyn Observer,
    go_on: &mut dyn FnMut() -> Result<bool>,
) -> Result<Outcome> {
    let transaction = Transaction::begin(dirs, request, go_on)?;
    let token = transaction.token().clone();
    let mut planned = Planned::default();
    let mut keeper = |message: &Message| -> Result<()> {
        if !go_on()? {
            return Err(Error::new(Kind::Busy, "the load was cancelled"));
        }
        match message {
            Message::Planned(plan) => {
                supervise::judge_plan(request, plan, observer)?;
                observer.planned(plan);
                planned.clone_from(plan);
                transaction.check_budget(plan.need()).map_err(|error| plan.with_largest(error))?;
            }
            Message::Looking(path) | Message::Reading(path) => observer.at(path),
            Message::Advanced(bytes) => observer.advanced(*bytes),
            Message::Loaded(_) | Message::Failed(_) => {}
        }
        Ok(())
    };
    let loaded = beside(&mut keeper, |line| loader::load(request, dirs, &token, line));
    let loaded = loaded.map(|done| done.map(|(loaded, _plan)| loaded).unwrap_or_default());
    for note in loaded.iter().flat_map(|loaded| &loaded.failed) {
        observer.warn(note);
    }
    transaction.end(loaded.map(|loaded| (planned, loaded)), std::thread::sleep)
}

/// Runs the loader in a thread of its own, whose messages `keeper` answers in this one: its workers may
/// speak from any thread, and an observer need not be able to.
fn beside<T: Send>(
    keeper: &mut dyn FnMut(&Message) -> Result<()>,
    load: impl FnOnce(&mut SupervisorLink) -> Result<T> + Send,
) -> Result<T> {
    let (said, heard) = mpsc::channel::<(Message, mpsc::Sender<Result<()>>)>();
    let gone = || Error::new(Kind::Busy, "the load was given up");
    let sender = Sender::call(move |message| {
        let (answer, answered) = mpsc::channel();
        said.send((message.clone(), answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    });
    let mut line = SupervisorLink::within(sender);
    std::thread::scope(|scope| {
        let loader = std::thread::Builder::new()
            .spawn_scoped(scope, move || load(&mut line))
            .map_err(|e| limits::process("cannot start the thread of the loader", e))?;
        for (message, answer) in heard {
            // A loader that does not wait for the answer does not need it.
            let _ = answer.send(keeper(&message));
        }
        loader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
