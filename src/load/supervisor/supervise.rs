//! The keeper: takes the change lock, starts a loader, watches over it, and publishes what it made. If
//! the loader fails in whatever way, nothing of the load stays.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::load::ensure;
use crate::load::loader;
use crate::load::supervisor::child::LoaderProcess;
use crate::load::supervisor::protocol::{Loaded, Message, Planned};
use crate::load::transaction::Transaction;
use crate::load::{Existing, Observer, Outcome, Request};
use crate::os::process_stat;
use crate::os::signals::Caught;
use crate::os::signals::Signals;
use crate::shm::format::name::Token;
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::node_dirs::NodeDirs;

/// A loader that computes for this long without a word is stuck in a damaged file.
const STUCK_CPU: Duration = Duration::from_secs(30);
/// How often the keeper looks whether the loader is stuck, in milliseconds.
const LOOK: u16 = 250;

/// Loads a project. A held one is held as long as [`Outcome::held`] lives and is waited for.
///
/// # Errors
/// As DESIGN section 4 says for `load-hdf5`; then nothing of this load stays, and an existing project
/// is as it was. [`Kind::Signal`] when a signal ended it.
pub fn run(
    dirs: &NodeDirs,
    request: &Request,
    signals: &mut Signals,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let begun = Instant::now();
    let mut store =
        LedgerStore::begin(dirs, &request.project, &mut || may_wait(request, signals, begun))?;
    if let Existing::Ensure { .. } = request.existing {
        // This process waited for the same load, which failed: it would fail again.
        let failed = store.heard().filter(|failed| failed.request == ensure::identity(request));
        if let Some(failed) = failed.cloned() {
            store.finish()?;
            return Err(failed.error.into());
        }
        match ensure::reuse(dirs, request, &mut store, begun) {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                store.finish()?;
                return Ok(outcome);
            }
            Err(error) => {
                // The first error is the one that the user needs; `gc` finds what remains.
                let _ = store.finish();
                return Err(error);
            }
        }
    }
    let mut transaction = Transaction::announce(dirs, request, store, begun)?;
    let made = make(&mut transaction, dirs, request, signals, observer);
    let outcome = transaction.end(made, |grace| signals.sleep(grace))?;
    observer.step("published");
    Ok(outcome)
}

/// What a load would do: plan only, without lock and ledger.
///
/// # Errors
/// As [`run`], as far as a plan can tell.
pub fn dry_run(
    dirs: &NodeDirs,
    request: &Request,
    signals: &mut Signals,
    observer: &mut dyn Observer,
) -> Result<Planned> {
    let token = Token::random()?;
    let mut child = LoaderProcess::start(|line| loader::run(request, dirs, &token, line))?;
    signals.take_interrupts()?;
    let mut watch = Watch::new(request, observer);
    watch.until_planned(&mut child, signals)
}

/// Whether to go on waiting for whoever is at work on the project.
fn may_wait(request: &Request, signals: &Signals, begun: Instant) -> Result<bool> {
    match signals.take() {
        Some(caught) => Err(cancelled(caught)),
        None => Ok(request.wait.is_none_or(|limit| begun.elapsed() < limit)),
    }
}

/// Has a loader process fill the segments.
fn make(
    transaction: &mut Transaction<'_>,
    dirs: &NodeDirs,
    request: &Request,
    signals: &mut Signals,
    observer: &mut dyn Observer,
) -> Result<(Planned, Loaded)> {
    let token = transaction.token().clone();
    let mut child = LoaderProcess::start(|line| loader::run(request, dirs, &token, line))?;
    signals.take_interrupts()?;
    let mut watch = Watch::new(request, observer);
    let planned = watch.until_planned(&mut child, signals)?;
    transaction.check_budget(planned.need()).map_err(|error| planned.with_largest(error))?;
    // Only now: the loader must not inherit the life lock.
    transaction.hold()?;
    match child.go() {
        // The loader has ended: its last message or its status has the reason.
        Err(error) if error.errno() == Some(libc::EPIPE) => {}
        told => told?,
    }
    let loaded = watch.until_loaded(&mut child, signals)?;
    child.wait();
    Ok((planned, loaded))
}

/// Tells what is left out; with `--strict` that ends the load before anything is made.
pub(crate) fn judge_plan(
    request: &Request,
    planned: &Planned,
    observer: &mut dyn Observer,
) -> Result<()> {
    if let Some(option) = planned.unmatched.iter().find(|option| option.starts_with("--include ")) {
        return Err(Error::new(Kind::NotFound, format!("{option} matches nothing"))
            .with_hint("list the paths of the file with --dry-run, without --include"));
    }
    let mut lacking = planned.skips.iter().chain(&planned.filled);
    if let (true, Some(first)) = (request.strict, lacking.next()) {
        let count = 1 + lacking.count();
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        return Err(Error::new(
            Kind::Unsupported,
            format!("'{}' cannot be loaded: {}{more}", first.path, first.reason),
        )
        .with_subject(first.path.clone())
        .with_hint(match planned.missing_filters.is_empty() {
            true => "without --strict it is left out; --exclude leaves it out on purpose",
            false => {
                "set HDF5_PLUGIN_PATH to a directory with the plugin ('pip install hdf5plugin' has \
                 many), or leave it out with --exclude"
            }
        }));
    }
    let mut attributes = planned.missing_attributes();
    if let (true, Some(first)) = (request.strict, attributes.next()) {
        let more = match attributes.count() {
            0 => String::new(),
            more => format!(" (and {more} more attributes)"),
        };
        let (path, reason) = (&first.path, &first.reason);
        let text = format!("attribute '{path}' cannot be represented: {reason}{more}");
        return Err(Error::new(Kind::Unsupported, text)
            .with_subject(path)
            .with_hint("load without --strict: export to HDF5 restores most of such attributes"));
    }
    for note in planned.skips.iter().chain(&planned.damaged) {
        observer.warn(note);
    }
    for note in &planned.filled {
        observer.filled(note);
    }
    Ok(())
}

/// The keeper's eyes on the loader.
struct Watch<'a> {
    request: &'a Request,
    observer: &'a mut dyn Observer,
    at: Option<String>,
    quiet: Option<Duration>,
}

impl<'a> Watch<'a> {
    fn new(request: &'a Request, observer: &'a mut dyn Observer) -> Self {
        Self { request, observer, at: None, quiet: None }
    }

    fn until_planned(&mut self, loader: &mut LoaderProcess, signals: &Signals) -> Result<Planned> {
        loop {
            if let Message::Planned(planned) = self.next(loader, signals)? {
                judge_plan(self.request, &planned, self.observer)?;
                self.observer.planned(&planned);
                return Ok(planned);
            }
        }
    }

    fn until_loaded(&mut self, loader: &mut LoaderProcess, signals: &Signals) -> Result<Loaded> {
        loop {
            if let Message::Loaded(loaded) = self.next(loader, signals)? {
                for note in &loaded.failed {
                    self.observer.warn(note);
                }
                return Ok(loaded);
            }
        }
    }

    /// The next message that decides something.
    fn next(&mut self, loader: &mut LoaderProcess, signals: &Signals) -> Result<Message> {
        loop {
            if let Some(caught) = signals.take() {
                loader.end();
                return Err(cancelled(caught));
            }
            if !loader.messages().has_more()
                && !signals.wait(Some(loader.messages().pipe().as_fd()), LOOK)
            {
                self.check_stuck(loader)?;
                continue;
            }
            self.quiet = None;
            match loader.messages().receive()? {
                None => return Err(loader::died(loader.wait(), self.at.as_deref(), &self.files())),
                Some(Message::Failed(told)) => return Err(self.complete(Error::from(told))),
                Some(Message::Looking(path) | Message::Reading(path)) => {
                    self.observer.at(&path);
                    self.at = Some(path);
                }
                Some(Message::Advanced(bytes)) => self.observer.advanced(bytes),
                Some(message) => return Ok(message),
            }
        }
    }

    /// Some damaged files keep the HDF5 library busy for ever.
    fn check_stuck(&mut self, loader: &mut LoaderProcess) -> Result<()> {
        let used = process_stat::processor_time(loader.pid().as_raw().cast_unsigned());
        let since = *self.quiet.get_or_insert(used);
        if used.saturating_sub(since) < STUCK_CPU {
            return Ok(());
        }
        loader.end();
        let at = self.at.as_deref().unwrap_or("/");
        let message =
            format!("the HDF5 library got nowhere at '{at}' for {} s", STUCK_CPU.as_secs());
        Err(Error::new(Kind::Corrupt, format!("{message}: '{}' is probably corrupt", self.files()))
            .with_subject(self.files()))
    }

    fn complete(&self, error: Error) -> Error {
        match error.subject() {
            Some(_) => error,
            None => error.with_subject(self.files()),
        }
    }

    fn files(&self) -> String {
        let names: Vec<_> =
            self.request.inputs.iter().map(|input| input.path.display().to_string()).collect();
        names.join("', '")
    }
}

/// The error of a load that a signal ended.
pub(crate) fn cancelled(caught: Caught) -> Error {
    let message = format!("interrupted by {caught}; all segments of this load were removed");
    Error::new(Kind::Signal(caught.number()), message)
}
