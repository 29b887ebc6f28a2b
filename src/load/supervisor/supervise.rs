//! Runs the loader in a child process and watches over it: signals, crashes, and loaders that make no progress.

use std::os::fd::AsFd as _;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::load::driver::{self, LoaderHost, LoaderLink};
use crate::load::lifetime::command::interrupted;
use crate::load::loader;
use crate::load::observer::Observer;
use crate::load::outcome::Outcome;
use crate::load::planned::Planned;
use crate::load::protocol::Message;
use crate::load::request::{LoadContext, Request};
use crate::load::supervisor::child::LoaderProcess;
use crate::load::supervisor::loader_exit::exit_error;
use crate::os::process_stat;
use crate::os::signals::Signals;
use crate::shm::format::name::Token;
use crate::shm::store::node_dirs::NodeDirs;

/// A loader that uses this much CPU time without a message is stuck in a damaged file.
const MAX_CPU_WITHOUT_MESSAGE: Duration = Duration::from_secs(30);
/// The interval of that check, in milliseconds.
const POLL_INTERVAL: u16 = 250;

/// Loads a project, with the loader in a child process. A held project is held as long as [`Outcome::held`].
///
/// # Errors
/// Returns the errors of DESIGN.md, section 4, for `load-hdf5`, and [`Kind::Signal`] if a signal ended the load.
/// Then nothing of this load remains, and an existing project is unchanged.
pub(crate) fn load_in_child(
    dirs: &NodeDirs,
    request: &Request,
    signals: &mut Signals,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    driver::load(dirs, request, &mut ChildHost { signals }, observer)
}

/// Plans a load, without lock and ledger.
///
/// # Errors
/// Returns the errors of [`load_in_child`] that occur before the transfer.
pub(crate) fn dry_run(
    dirs: &NodeDirs,
    request: &Request,
    signals: &mut Signals,
    observer: &mut dyn Observer,
) -> Result<Planned> {
    let token = Token::random()?;
    let context = LoadContext { request, dirs, token: &token };
    let plan = |link: &mut dyn LoaderLink| driver::receive_plan(request, link, observer);
    ChildHost { signals }.with_loader(context, plan)
}

/// Runs loaders in child processes. Signals interrupt a load.
struct ChildHost<'a> {
    signals: &'a mut Signals,
}

impl LoaderHost for ChildHost<'_> {
    fn check_interrupt(&mut self) -> Result<()> {
        self.signals.take().map_or(Ok(()), |caught| Err(interrupted(caught)))
    }

    fn sleep(&mut self, time: Duration) {
        self.signals.sleep(time);
    }

    fn with_loader<T>(
        &mut self,
        context: LoadContext<'_>,
        drive: impl FnOnce(&mut dyn LoaderLink) -> Result<T>,
    ) -> Result<T> {
        let process = LoaderProcess::start(|link| loader::run(context, link))?;
        self.signals.take_interrupts()?;
        let inputs = context.request.inputs.iter().map(|input| input.path.display().to_string());
        let files = inputs.collect::<Vec<_>>().join("', '");
        drive(&mut ChildLink { process, signals: self.signals, files, at: None, cpu_time: None })
    }
}

/// The connection to a loader process. Dropping it kills the loader.
struct ChildLink<'a> {
    process: LoaderProcess,
    signals: &'a Signals,
    /// The names of the inputs, for errors.
    files: String,
    /// The path that the loader reported last.
    at: Option<String>,
    /// The CPU time of the loader when the wait for a message began.
    cpu_time: Option<Duration>,
}

impl LoaderLink for ChildLink<'_> {
    fn receive(&mut self) -> Result<Message> {
        loop {
            if let Some(caught) = self.signals.take() {
                self.process.kill();
                return Err(interrupted(caught));
            }
            let messages = self.process.messages();
            if messages.is_buffered()
                || self.signals.wait(Some(messages.pipe().as_fd()), POLL_INTERVAL)
            {
                break;
            }
            self.check_progress()?;
        }
        self.cpu_time = None;
        match self.process.messages().receive()? {
            None => Err(exit_error(self.process.wait(), self.at.as_deref(), &self.files)),
            Some(Message::Failed(report)) => Err(self.with_files(report.into())),
            Some(message) => {
                match &message {
                    Message::Inspecting(path) | Message::Reading(path) => {
                        self.at = Some(path.clone());
                    }
                    // It is the last message: the loader exits.
                    Message::Loaded(_) => drop(self.process.wait()),
                    _ => {}
                }
                Ok(message)
            }
        }
    }

    fn start_transfer(&mut self) -> Result<()> {
        match self.process.start_transfer() {
            // The loader has exited: its last message or its status contains the reason.
            Err(error) if error.errno() == Some(libc::EPIPE) => Ok(()),
            started => started,
        }
    }
}

impl ChildLink<'_> {
    /// Kills a loader that libhdf5 keeps busy without end, as some damaged files do.
    fn check_progress(&mut self) -> Result<()> {
        let used = process_stat::processor_time(self.process.pid());
        let before = *self.cpu_time.get_or_insert(used);
        if used.saturating_sub(before) < MAX_CPU_WITHOUT_MESSAGE {
            return Ok(());
        }
        self.process.kill();
        let (at, seconds) = (self.at.as_deref().unwrap_or("/"), MAX_CPU_WITHOUT_MESSAGE.as_secs());
        let message = format!(
            "the HDF5 library made no progress in {seconds} s of CPU time while reading '{at}': '{}' is \
             probably corrupt",
            self.files
        );
        Err(Error::new(Kind::Corrupt, message).with_subject(&self.files))
    }

    fn with_files(&self, error: Error) -> Error {
        match error.subject() {
            Some(_) => error,
            None => error.with_subject(&self.files),
        }
    }
}
