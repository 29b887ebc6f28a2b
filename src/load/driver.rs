//! The steps of every load, from the change lock to publication. A host runs the loader: in a child process
//! (`supervisor`) or in a thread (`in_process`).

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::load::ensure;
use crate::load::observer::Observer;
use crate::load::outcome::Outcome;
use crate::load::planned::{Loaded, Planned};
use crate::load::protocol::Message;
use crate::load::request::{Existing, LoadContext, Request};
use crate::shm::format::ledger::Record;
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::Project;
use crate::shm::store::transaction::{NewProject, Transaction};

/// The supervisor's end of the connection to a loader.
pub(crate) trait LoaderLink {
    /// Waits for the next message.
    ///
    /// # Errors
    /// Returns the error of the loader, and the error of [`LoaderHost::check_interrupt`].
    fn receive(&mut self) -> Result<Message>;

    /// Lets the loader transfer the planned data.
    fn start_transfer(&mut self) -> Result<()>;
}

/// Runs loaders, and waits.
pub(crate) trait LoaderHost {
    /// Returns an error if the load was interrupted.
    fn check_interrupt(&mut self) -> Result<()>;

    /// Waits for `time`, or until an interrupt.
    fn sleep(&mut self, time: Duration);

    /// Runs a loader, and `drive` with the connection to it. The loader has ended when this returns.
    fn with_loader<T>(
        &mut self,
        context: LoadContext<'_>,
        drive: impl FnOnce(&mut dyn LoaderLink) -> Result<T>,
    ) -> Result<T>;
}

/// Loads a project. After an error, nothing of this load remains, and an existing project is unchanged.
pub(crate) fn load(
    dirs: &NodeDirs,
    request: &Request,
    host: &mut impl LoaderHost,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let begun = Instant::now();
    let mut until = lock::until(request.wait);
    let mut may_wait = || {
        host.check_interrupt()?;
        until()
    };
    let mut store = LedgerStore::begin(dirs, &request.project, &mut may_wait)?;
    if let Existing::Ensure { .. } = request.existing {
        match join_existing(dirs, request, &mut store, begun) {
            Ok(None) => {}
            Ok(Some(outcome)) => return store.finish().map(|()| outcome),
            Err(error) => {
                // The first error is the one that the user needs; `gc` finds the remains.
                let _ = store.finish();
                return Err(error);
            }
        }
    }
    let new = NewProject {
        name: &request.project,
        lifetime: request.lifetime,
        selection: &request.selection,
        files: ensure::named_files(request),
        identity: Some(ensure::identity(request)),
        job: request.job.as_ref(),
        grace: request.grace,
    };
    let may_replace = |project: &Project| may_replace(request, project);
    let mut transaction = Transaction::announce(dirs, &new, &may_replace, store, begun)?;
    let token = transaction.token().clone();
    let context = LoadContext { request, dirs, token: &token };
    let filled = host.with_loader(context, |link| fill(&mut transaction, request, link, observer));
    let (planned, loaded) = match filled {
        Ok(filled) => filled,
        Err(error) => return Err(transaction.roll_back(error)),
    };
    let amend = |record: &mut Record| amend_record(record, &planned, &loaded);
    let published = transaction.publish(&loaded.metadata, amend, |grace| host.sleep(grace))?;
    observer.step("published");
    Ok(Outcome {
        planned,
        token: published.token,
        arrays: loaded.arrays,
        bytes: loaded.bytes,
        failed: loaded.failed,
        reused: false,
        lifetime: request.lifetime,
        elapsed: published.elapsed,
        held: published.held,
    })
}

/// Whether an existing project may be replaced.
fn may_replace(request: &Request, project: &Project) -> Result<bool> {
    match request.existing {
        Existing::Refuse => Ok(false),
        Existing::Replace => Ok(true),
        Existing::Ensure { overwrite } => {
            ensure::check_replaceable(project, request, overwrite).map(|()| true)
        }
    }
}

/// Adds the result of a load to its record in the ledger.
fn amend_record(record: &mut Record, planned: &Planned, loaded: &Loaded) {
    record.sources.clone_from(&planned.sources);
    let skipped = planned.skips.iter().chain(&planned.filled);
    let unreadable = planned.damaged.iter().chain(&loaded.failed);
    record.complete = unreadable.clone().next().is_none();
    record.skip_count = skipped.clone().count() as u64;
    record.left_out = skipped.chain(&planned.left_out).chain(unreadable).cloned().collect();
    record.left_out.iter_mut().for_each(|note| note.detail = None);
    record.attributes.clone_from(&loaded.attributes);
    record.origin = Some(loaded.origin.clone()).filter(|origin| !origin.is_empty());
}

/// `--ensure`: joins the existing project if it is the requested one. If this process waited for the same load
/// and it failed, returns its error.
fn join_existing(
    dirs: &NodeDirs,
    request: &Request,
    store: &mut LedgerStore<'_>,
    begun: Instant,
) -> Result<Option<Outcome>> {
    let failed =
        store.received_error().filter(|failed| failed.request == ensure::identity(request));
    match failed.cloned() {
        Some(failed) => Err(failed.error.into()),
        None => ensure::reuse(dirs, request, store, begun),
    }
}

/// Has the loader create and fill the segments.
fn fill(
    transaction: &mut Transaction<'_>,
    request: &Request,
    link: &mut dyn LoaderLink,
    observer: &mut dyn Observer,
) -> Result<(Planned, Loaded)> {
    let planned = receive_plan(request, link, observer)?;
    transaction.check_budget(planned.need()).map_err(|error| planned.with_largest(error))?;
    // Not before: a loader process must not inherit the liveness lock.
    transaction.hold()?;
    link.start_transfer()?;
    loop {
        if let Message::Loaded(loaded) = next(link, observer)? {
            for note in &loaded.failed {
                observer.warn(note);
            }
            return Ok((planned, loaded));
        }
    }
}

/// Waits for the plan, and checks it.
pub(crate) fn receive_plan(
    request: &Request,
    link: &mut dyn LoaderLink,
    observer: &mut dyn Observer,
) -> Result<Planned> {
    loop {
        if let Message::Planned(planned) = next(link, observer)? {
            check_plan(request, &planned, observer)?;
            observer.planned(&planned);
            return Ok(planned);
        }
    }
}

/// Returns the next message, and reports progress to the observer.
fn next(link: &mut dyn LoaderLink, observer: &mut dyn Observer) -> Result<Message> {
    let message = link.receive()?;
    match &message {
        Message::Inspecting(path) | Message::Reading(path) => observer.at(path),
        Message::Advanced(bytes) => observer.advanced(*bytes),
        Message::Planned(_) | Message::Loaded(_) | Message::Failed(_) => {}
    }
    Ok(message)
}

/// Reports skipped objects. With `--strict`, the first one is an error.
fn check_plan(request: &Request, planned: &Planned, observer: &mut dyn Observer) -> Result<()> {
    if let Some(glob) = planned.unmatched_includes.first() {
        return Err(Error::new(Kind::NotFound, format!("--include '{glob}' matches nothing"))
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
        .with_hint(match &planned.missing_filters[..] {
            [] => "without --strict it is left out; --exclude leaves it out on purpose".to_owned(),
            missing => format!(
                "install the HDF5 plugin of {} and set HDF5_PLUGIN_PATH to its directory, or leave it out with --exclude",
                missing.join(", ")
            ),
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
