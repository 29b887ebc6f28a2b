//! The loader within this process: for programs that call the library. Forking is sound only while a
//! process has one thread, which no library can know; the price is that a file that crashes the HDF5
//! library crashes the program.

use std::time::Instant;

use super::keeper;
use super::loader;
use super::making::Making;
use super::message::{Message, Planned, Sender};
use super::process::KeeperLine;
use super::{Observer, Outcome, Request};
use crate::shm::place::Place;
use crate::{Error, Kind, Result};

/// Loads a project on the caller's thread. Between two datasets, and now and then while the file is
/// planned, `go_on` is asked.
///
/// # Errors
/// As [`super::run`]; what `go_on` returns, and [`Kind::Busy`] when it says no. Then nothing of this load
/// stays, and an existing project is as it was.
pub fn run_here(
    place: &Place,
    request: &Request,
    observer: &mut dyn Observer,
    go_on: &mut dyn FnMut() -> Result<bool>,
) -> Result<Outcome> {
    let begun = Instant::now();
    let wait = |begun: Instant| request.wait.is_none_or(|limit| begun.elapsed() < limit);
    let making = Making::begin(place, request, &mut || Ok(go_on()? && wait(begun)))?;
    let token = making.token().clone();
    let mut planned = Planned::default();
    let mut keeper = |message: &Message| -> Result<()> {
        if !go_on()? {
            return Err(Error::new(Kind::Busy, "the load was cancelled"));
        }
        match message {
            Message::Planned(plan) => {
                keeper::judge_plan(request, plan, observer)?;
                observer.planned(plan);
                planned.clone_from(plan);
                making.check_budget(plan.need())?;
            }
            Message::Looking(path) | Message::Reading(path) => observer.at(path),
            Message::Advanced(bytes) => observer.advanced(*bytes),
            Message::Created { segment, bytes } => {
                observer.step(&format!("created segment {segment} ({bytes} bytes)"));
            }
            Message::Loaded(_) | Message::Failed(_) => {}
        }
        Ok(())
    };
    let mut line = KeeperLine::within(Sender::call(&mut keeper));
    let loaded = loader::load(request, place, &token, &mut line).map(Option::unwrap_or_default);
    for note in loaded.iter().flat_map(|loaded| &loaded.failed) {
        observer.warn(note);
    }
    let (text, loaded) = match loaded {
        Ok(loaded) => (Ok(loaded.metadata.clone()), loaded),
        Err(error) => (Err(error), super::message::Loaded::default()),
    };
    let held = making.end(text, |record| keeper::amend_record(record, &planned, &loaded))?;
    Ok(Outcome {
        planned,
        token,
        arrays: loaded.arrays,
        bytes: loaded.bytes,
        failed: loaded.failed,
        reused: false,
        lifetime: request.lifetime,
        elapsed: begun.elapsed(),
        held,
    })
}
