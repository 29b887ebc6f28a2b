//! Runs the loader in a thread, for programs that call the library. A library cannot fork, because that is sound
//! only while the process has one thread. A file that crashes libhdf5 therefore crashes the program.

use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::load::driver::{self, LoaderHost, LoaderLink};
use crate::load::loader;
use crate::load::observer::Observer;
use crate::load::outcome::Outcome;
use crate::load::protocol::{Message, SupervisorLink};
use crate::load::request::{LoadContext, Request};
use crate::os::limits;
use crate::shm::store::node_dirs::NodeDirs;

/// Loads a project within this process. The observer and `go_on` are called on the caller's thread: `go_on` before
/// the load begins, when the plan is complete, between two datasets, and after every 16 MiB that are read.
///
/// # Errors
/// Returns the errors of a load in a child process, the error of `go_on`, and [`Kind::Busy`] if it returns false.
/// Then nothing of this load remains, and an existing project is unchanged.
pub(crate) fn load_in_process(
    dirs: &NodeDirs,
    request: &Request,
    observer: &mut dyn Observer,
    go_on: &mut dyn FnMut() -> Result<bool>,
) -> Result<Outcome> {
    driver::load(dirs, request, &mut ThreadHost { go_on }, observer)
}

/// Runs loaders in threads. The workers send from any thread; the observer is called from one.
struct ThreadHost<'a> {
    go_on: &'a mut dyn FnMut() -> Result<bool>,
}

impl LoaderHost for ThreadHost<'_> {
    fn check_interrupt(&mut self) -> Result<()> {
        match (self.go_on)()? {
            true => Ok(()),
            false => Err(Error::new(Kind::Busy, "the load was cancelled")),
        }
    }

    fn sleep(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn with_loader<T>(
        &mut self,
        context: LoadContext<'_>,
        drive: impl FnOnce(&mut dyn LoaderLink) -> Result<T>,
    ) -> Result<T> {
        let (events, received) = mpsc::channel();
        let mut link = ThreadLink { events: received, permit: None, host: self };
        std::thread::scope(|scope| {
            let loader = std::thread::Builder::new()
                .spawn_scoped(scope, move || run_loader(context, &events))
                .map_err(|e| limits::process("cannot start the thread of the loader", e))?;
            let driven = drive(&mut link);
            // From here on each message of the loader fails, which ends it.
            drop(link);
            loader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            driven
        })
    }
}

/// A message or the error of the loader, and the permit to continue that the loader waits for.
type Event = (Result<Message>, mpsc::Sender<()>);

/// The connection to a loader thread.
struct ThreadLink<'h, 'a> {
    events: mpsc::Receiver<Event>,
    permit: Option<mpsc::Sender<()>>,
    host: &'h mut ThreadHost<'a>,
}

impl LoaderLink for ThreadLink<'_, '_> {
    fn receive(&mut self) -> Result<Message> {
        if let Some(permit) = self.permit.take() {
            // After its last message the loader does not wait for a permit.
            let _ = permit.send(());
        }
        let (message, permit) = self.events.recv().map_err(|_| ended())?;
        self.permit = Some(permit);
        self.host.check_interrupt()?;
        message
    }

    fn start_transfer(&mut self) -> Result<()> {
        // The next call of `receive` lets the loader continue after its plan.
        Ok(())
    }
}

fn run_loader(context: LoadContext<'_>, events: &mpsc::Sender<Event>) {
    let sender = events.clone();
    let mut link = SupervisorLink::in_process(move |message| {
        let (permit, permitted) = mpsc::channel();
        sender.send((Ok(message.clone()), permit)).map_err(|_| ended())?;
        permitted.recv().map_err(|_| ended())
    });
    let last = match loader::load(context, &mut link) {
        Ok(Some((loaded, _plan))) => Ok(Message::Loaded(loaded)),
        Ok(None) => return,
        Err(error) => Err(error),
    };
    // If the supervisor has returned, the result is not needed.
    let _ = events.send((last, mpsc::channel().0));
}

fn ended() -> Error {
    Error::new(Kind::Busy, "the load has ended")
}
