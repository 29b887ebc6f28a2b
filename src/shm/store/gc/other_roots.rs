//! The projects of other roots. A ledger can name a directory on a file system that never answers, so a child process
//! handles these projects, after all others. A child that is blocked is abandoned, and the next child goes on.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;
use crate::error::{Error, Kind, Result};
use crate::os::child::{self, Child, Next};
use crate::shm::store::gc::collector::{Busy, Collector, Item, Root};
use crate::shm::store::gc::decide;
use crate::shm::store::gc::inventory::{GroupId, files};
use crate::shm::store::gc::outcome::{Action, Outcome};
use crate::shm::store::node_dirs::{DEFAULT_ROOT, NodeDirs, Paths};
use crate::shm::store::state::{Project, State};

/// After so many roots that do not answer, the other roots of that user are not opened: each costs time and may leave
/// a process behind that cannot be ended.
const MOST_BLOCKED: u32 = 3;

/// Whether the root in force can be opened and listed without waiting for a file system that does not answer.
pub(crate) fn answers(paths: &Paths) -> bool {
    child::answers(|| {
        if let Some(root) = NodeDirs::open(paths).ok().and_then(|dirs| dirs.root) {
            let _ = files(&root).map(Iterator::count);
        }
    })
}

/// The error for a root in force that does not answer.
pub(crate) fn silent(paths: &Paths) -> Error {
    let message = format!("the root '{}' does not answer", paths.root.display());
    Error::new(Kind::Io, message)
        .with_hint("repair or unmount its file system, or choose another root with --root DIR")
}

/// A place in the work: the position of an item, and of a project in it. The step after the last project is that of
/// the orphaned segments.
type Step = (usize, usize);

#[derive(Serialize, Deserialize)]
enum Message {
    /// The child starts this step.
    Begin(Step),
    /// A line of the report.
    Done(Outcome, Option<ErrorReport>),
    /// The change lock of the project of this step is held.
    Busy(Step, Outcome),
    /// The outcome of the second try of a busy project.
    Retried(usize, Outcome, Option<ErrorReport>),
    /// All steps are done.
    Finished,
}

fn done(mut outcome: Outcome) -> Message {
    let error = outcome.error.take().map(|error| ErrorReport::from(&error));
    Message::Done(outcome, error)
}

fn received(outcome: Outcome, error: Option<ErrorReport>) -> Outcome {
    Outcome { error: error.map(Error::from), ..outcome }
}

/// Handles the projects of other roots and the orphaned segments of their groups.
///
/// # Errors
/// Returns an error if no child process can be started.
pub(crate) fn handle(
    collector: &Collector<'_>,
    items: &[Item],
    report: &mut dyn FnMut(Outcome),
) -> Result<()> {
    let mut blocked = Blocked::default();
    blocked.roots.extend(collector.silent.clone());
    let mut work = Work { collector, items, next: (0, 0), blocked, busy: Vec::new() };
    while work.next.0 < items.len() {
        if let Err(error) = work.run_child(report) {
            work.give_up(&error, report);
            return Err(error);
        }
    }
    work.retry(report)
}

/// Roots that do not answer.
#[derive(Default)]
struct Blocked {
    roots: HashSet<PathBuf>,
    users: HashMap<u32, u32>,
    /// Items with a project that was not judged: their orphaned segments may belong to it.
    items: HashSet<usize>,
}

impl Blocked {
    fn covers(&self, uid: u32, root: &Path) -> bool {
        self.roots.contains(root)
            || self.users.get(&uid).is_some_and(|count| *count >= MOST_BLOCKED)
    }
}

struct Work<'a> {
    collector: &'a Collector<'a>,
    items: &'a [Item],
    next: Step,
    blocked: Blocked,
    busy: Vec<Busy>,
}

impl Work<'_> {
    /// Starts a child at the next step, and reports what it does until it ends or is blocked.
    fn run_child(&mut self, report: &mut dyn FnMut(Outcome)) -> Result<()> {
        let mut child = Child::start(|send: &mut dyn FnMut(Message)| self.handle_items(send))?;
        let (mut step, mut is_reported) = (self.next, false);
        loop {
            match child.next() {
                Next::Message(Message::Begin(begun)) => (step, is_reported) = (begun, false),
                Next::Message(Message::Done(outcome, error)) => {
                    is_reported = true;
                    report(received(outcome, error));
                }
                Next::Message(Message::Busy(step, outcome)) => {
                    is_reported = true;
                    let item = &self.items[step.0];
                    let (key, root) = item.others[step.1].clone();
                    let root = Root::Other(root);
                    self.busy.push(Busy { key, root, outcome });
                }
                Next::Message(Message::Finished) => {
                    self.next = (self.items.len(), 0);
                    return Ok(());
                }
                Next::Blocked => break self.skip_blocked(step, is_reported, report),
                Next::Ended | Next::Message(Message::Retried(..)) => {
                    break self.skip_failed(step, report);
                }
            }
        }
        Ok(())
    }

    fn skip_blocked(&mut self, step: Step, is_reported: bool, report: &mut dyn FnMut(Outcome)) {
        let item = &self.items[step.0];
        let root = match item.others.get(step.1) {
            Some((_, root)) => {
                *self.blocked.users.entry(item.id.1).or_default() += 1;
                root.clone()
            }
            None => PathBuf::from(DEFAULT_ROOT),
        };
        if !is_reported {
            report(unanswered(&item.id, &root));
        }
        self.blocked.roots.insert(root);
        self.skip(step);
    }

    fn skip_failed(&mut self, step: Step, report: &mut dyn FnMut(Outcome)) {
        let item = &self.items[step.0];
        let root = item.others.get(step.1).map(|(_, root)| root.clone());
        let name = item.id.0.to_text();
        let message = format!("the process that handled project '{name}' ended unexpectedly");
        let kept = Outcome::kept(&item.id, root, message.clone());
        report(Outcome { error: Some(Error::new(Kind::Io, message).with_subject(name)), ..kept });
        self.skip(step);
    }

    fn skip(&mut self, step: Step) {
        self.blocked.items.insert(step.0);
        self.next = (step.0, step.1 + 1);
    }

    /// Reports every remaining project as kept.
    fn give_up(&mut self, error: &Error, report: &mut dyn FnMut(Outcome)) {
        for (position, item) in self.items.iter().enumerate().skip(self.next.0) {
            let first = if position == self.next.0 { self.next.1 } else { 0 };
            for (_, root) in item.others.iter().skip(first) {
                report(Outcome::kept(&item.id, Some(root.clone()), error.to_string()));
            }
        }
        self.busy.drain(..).for_each(|busy| report(busy.outcome));
    }

    /// The work of a child.
    fn handle_items(&self, send: &mut dyn FnMut(Message)) {
        for (position, item) in self.items.iter().enumerate().skip(self.next.0) {
            let first = if position == self.next.0 { self.next.1 } else { 0 };
            self.handle_item(position, item, first, send);
        }
        send(Message::Finished);
    }

    fn handle_item(
        &self,
        position: usize,
        item: &Item,
        first: usize,
        send: &mut dyn FnMut(Message),
    ) {
        let mut judged = Vec::new();
        let mut is_known = !self.blocked.items.contains(&position);
        for (number, (key, root)) in item.others.iter().enumerate().skip(first) {
            let step = (position, number);
            if self.collector.is_late() || self.blocked.covers(key.uid, root) {
                is_known = false;
                send(done(match self.collector.is_late() {
                    true => Outcome::late(&item.id, Some(root.clone())),
                    false => unanswered(&item.id, root),
                }));
                continue;
            }
            send(Message::Begin(step));
            let mut busy = Vec::new();
            let root = Root::Other(root.clone());
            let report = &mut |outcome| send(done(outcome));
            self.collector.handle_in(key, &root, true, &mut judged, &mut busy, report);
            for busy in busy {
                send(Message::Busy(step, busy.outcome));
            }
        }
        let step = (position, item.others.len());
        if item.has_segments && is_known && first <= step.1 {
            send(Message::Begin(step));
            self.handle_orphans(item, judged, send);
        }
    }

    fn handle_orphans(&self, item: &Item, mut judged: Vec<Project>, send: &mut dyn FnMut(Message)) {
        let collector = self.collector;
        let asks_python = decide::asks_python_root(collector.dirs, collector.options);
        if collector.is_late() {
            send(done(Outcome::late(&item.id, None)));
        } else if asks_python && self.blocked.roots.contains(Path::new(DEFAULT_ROOT)) {
            send(done(unanswered(&item.id, Path::new(DEFAULT_ROOT))));
        } else {
            judged.extend(item.handled.iter().map(|(key, root)| collector.judge_again(key, root)));
            collector.handle_orphans(&item.id, &judged, &mut |outcome| send(done(outcome)));
        }
    }

    /// Tries the busy projects of ended jobs again.
    fn retry(self, report: &mut dyn FnMut(Outcome)) -> Result<()> {
        if self.busy.is_empty() {
            return Ok(());
        }
        let (collector, mut busy) = (self.collector, self.busy);
        let started = Child::start(|send: &mut dyn FnMut(Message)| {
            // The child takes its copy.
            collector.try_again(std::mem::take(&mut busy), &mut |number, mut outcome| {
                let error = outcome.error.take().map(|error| ErrorReport::from(&error));
                send(Message::Retried(number, outcome, error));
            });
        });
        let mut waiting: Vec<_> = busy.into_iter().map(|busy| Some(busy.outcome)).collect();
        let failed = match started {
            Ok(mut child) => {
                while let Next::Message(Message::Retried(number, outcome, error)) = child.next() {
                    waiting[number] = None;
                    report(received(outcome, error));
                }
                None
            }
            Err(error) => Some(error),
        };
        waiting.into_iter().flatten().for_each(report);
        failed.map_or(Ok(()), Err)
    }
}

/// The outcome for a project whose root does not answer.
fn unanswered(id: &GroupId, root: &Path) -> Outcome {
    let reason = format!("its root '{}' does not answer", root.display());
    let kept = Outcome::kept(id, Some(root.to_owned()), reason);
    Outcome { state: Some(State::Foreign), action: Action::Keep, ..kept }
}
