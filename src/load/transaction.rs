//! The transaction that creates a project: it is announced, filled by its caller, and published or rolled back.
//! Loads of files and shared arrays of programs use it.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorReport, Kind, Result, shell_quote};
use crate::load::ensure;
use crate::load::lifetime::held::HeldProject;
use crate::load::outcome::Outcome;
use crate::load::planned::{Loaded, Planned};
use crate::load::request::{Existing, Request};
use crate::os::memory::{self, Need};
use crate::os::process_stat;
use crate::shm::format::ledger::{Keeper, Ledger, Lifetime, Record};
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{SegmentName, Token};
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::{self, FailedLoad, LivenessLock};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{Project, State};

/// An announced load. However this process ends, `gc` finds the segments of the load. Dropping the transaction before
/// [`Self::end`], after a panic of its caller, rolls it back.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    dirs: &'a NodeDirs,
    request: &'a Request,
    store: Option<LedgerStore<'a>>,
    token: Token,
    replace: bool,
    life: Option<LivenessLock>,
    begun: Instant,
    owner: u32,
}

impl<'a> Transaction<'a> {
    /// Takes the change lock, announces the load, and takes the liveness lock of a held project.
    ///
    /// # Errors
    /// Returns the errors of [`Self::announce`], and [`Kind::Busy`] if another process uses the project for longer
    /// than the request waits.
    pub fn begin(dirs: &'a NodeDirs, request: &'a Request) -> Result<Self> {
        let begun = Instant::now();
        let store = LedgerStore::begin(dirs, &request.project, &mut lock::until(request.wait))?;
        let mut transaction = Self::announce(dirs, request, store, begun)?;
        transaction.hold()?;
        Ok(transaction)
    }

    /// Announces the load in the ledger, under the change lock. [`Self::hold`] must follow before the first segment is
    /// created.
    ///
    /// # Errors
    /// Returns [`Kind::Exists`] or [`Kind::Permission`] for an existing project that must not be replaced, and an I/O
    /// error if the ledger cannot be written.
    pub fn announce(
        dirs: &'a NodeDirs,
        request: &'a Request,
        mut store: LedgerStore<'a>,
        begun: Instant,
    ) -> Result<Self> {
        match announce(dirs, request, &mut store) {
            Ok((token, replace)) => {
                let (store, owner) = (Some(store), std::process::id());
                Ok(Self { dirs, request, store, token, replace, life: None, begun, owner })
            }
            Err(error) => {
                // The first error is the one that the user needs; `gc` finds the remains.
                let _ = store.finish();
                Err(error)
            }
        }
    }

    /// Takes the liveness lock of a held project.
    pub fn hold(&mut self) -> Result<()> {
        if let (Lifetime::Held, Some(store)) = (self.request.lifetime, &self.store) {
            let life = LivenessLock::take(&self.dirs.shm, store.lock().key(), &self.token)?;
            self.life = Some(life);
        }
        Ok(())
    }

    /// Returns the token in the names of the segments.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Returns [`Kind::NoMemory`] if the node does not have the needed memory.
    pub fn check_budget(&self, need: Need) -> Result<()> {
        memory::check(&self.dirs.shm, need)
    }

    /// Publishes the project, or rolls the load back after an error. `grace` waits before the segments of a replaced
    /// project are removed.
    pub fn end(
        mut self,
        made: Result<(Planned, Loaded)>,
        grace: impl FnOnce(Duration),
    ) -> Result<Outcome> {
        let Some(mut store) = self.store.take() else {
            return Err(Error::new(Kind::Io, "the load has ended already"));
        };
        let published = made.and_then(|(planned, loaded)| {
            self.publish(&mut store, &planned, &loaded, grace)?;
            Ok((planned, loaded))
        });
        let (planned, loaded) = match published {
            Ok(made) => made,
            Err(error) => {
                // The project must not be evaluated as held from here on.
                self.life = None;
                return Err(self.roll_back(store, error));
            }
        };
        let key = store.lock().key().clone();
        store.finish()?;
        let token = self.token.clone();
        Ok(Outcome {
            planned,
            held: self.life.take().map(|life| HeldProject::new(key, token.clone(), life)),
            token,
            arrays: loaded.arrays,
            bytes: loaded.bytes,
            failed: loaded.failed,
            reused: false,
            lifetime: self.request.lifetime,
            elapsed: self.begun.elapsed(),
        })
    }

    fn publish(
        &self,
        store: &mut LedgerStore<'_>,
        planned: &Planned,
        loaded: &Loaded,
        grace: impl FnOnce(Duration),
    ) -> Result<()> {
        let text = format!("{}\n{}", mark(self.dirs, &self.token), loaded.metadata);
        let amend = |record: &mut Record| amend_record(record, planned, loaded);
        let access = self.request.access();
        store.publish(text, &access, self.replace, amend, || grace(self.request.grace))
    }
}

impl Transaction<'_> {
    /// Removes everything of the load. Returns the error.
    fn roll_back(&self, store: LedgerStore<'_>, error: Error) -> Error {
        // An interruption is not a reason for processes that wait for the same load to fail.
        let is_shared = !matches!(error.kind(), Kind::Signal(_) | Kind::Busy);
        let _ = match is_shared && !self.request.inputs.is_empty() {
            true => {
                let request = ensure::identity(self.request);
                store.finish_failed(&FailedLoad { request, error: ErrorReport::from(&error) })
            }
            false => store.finish(),
        };
        error
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // In a forked process, the parent rolls back.
        if self.owner == std::process::id()
            && let Some(store) = self.store.take()
        {
            let _ = store.finish();
        }
    }
}

fn announce(
    dirs: &NodeDirs,
    request: &Request,
    store: &mut LedgerStore<'_>,
) -> Result<(Token, bool)> {
    let there = store.judge()?;
    let replace = may_replace(request, there.as_ref())?;
    let token = Token::random()?;
    let mut next = record(dirs, request, &token);
    next.replaces = there.as_ref().map(foreign_segments).unwrap_or_default();
    store.announce(next)?;
    Ok((token, replace))
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
    record.attributes = toml::from_str(&loaded.attributes).unwrap_or_default();
    record.origin = Some(loaded.extras.clone()).filter(|extras| !extras.is_empty());
}

/// Whether the load replaces an existing project. A provably dead project counts as absent.
fn may_replace(request: &Request, existing: Option<&Project>) -> Result<bool> {
    let Some(project) = existing else { return Ok(false) };
    let name = request.project.to_text();
    let is_own = project.uid == nix::unistd::Uid::effective().as_raw();
    if let (State::Foreign, true) = (project.state, is_own) {
        let why = project.why.as_deref().unwrap_or("a file of it cannot be read");
        let message = format!("the state of project '{name}' cannot be determined: {why}");
        let hint = format!(
            "run 'cute-shm show {}' to list its files; nothing was changed",
            shell_quote(&name)
        );
        return Err(Error::new(Kind::Permission, message).with_subject(name).with_hint(hint));
    }
    if !is_own {
        let message = format!("project '{name}' belongs to user {}", project.uid);
        return Err(Error::new(Kind::Permission, message)
            .with_subject(name)
            .with_hint("choose another name, or another root with --root DIR"));
    }
    if matches!(project.state, State::Stale | State::Abandoned) {
        return Ok(true);
    }
    match request.existing {
        _ if project.state == State::Elsewhere => {}
        Existing::Refuse => {}
        Existing::Replace => return Ok(true),
        Existing::Ensure { overwrite } => {
            return ensure::check_replaceable(project, request, overwrite).map(|()| true);
        }
    }
    let why = project.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    let word = shell_quote(&name);
    let hint = match project.state {
        State::Elsewhere => {
            format!(
                "it is not of this node{why}; choose another name, or another root with --root DIR"
            )
        }
        State::Live => {
            format!("it is live; use --overwrite to replace it, or 'cute-shm unlink {word}'")
        }
        state => format!(
            "it is {state}{why}; use --overwrite to replace it, or 'cute-shm unlink {word}'"
        ),
    };
    Err(Error::new(Kind::Exists, format!("project '{name}' exists already"))
        .with_subject(name)
        .with_hint(hint))
}

/// Returns the segments of an existing project that another program created.
fn foreign_segments(project: &Project) -> Vec<String> {
    let tokens = project.ledger.as_ref().map(Ledger::tokens).unwrap_or_default();
    let foreign = |segment: &&SegmentName| !tokens.iter().any(|token| segment.bears(token));
    project
        .present
        .keys()
        .chain(&project.missing)
        .filter(foreign)
        .map(SegmentName::to_text)
        .collect()
}

fn record(dirs: &NodeDirs, request: &Request, token: &Token) -> Record {
    let pid = std::process::id();
    Record {
        token: token.clone(),
        lifetime: request.lifetime,
        created: jiff::Timestamp::now().to_string(),
        tool: concat!("cute-shm ", env!("CARGO_PKG_VERSION")).to_owned(),
        keeper: Keeper {
            pid,
            start_time: process_stat::start_time(pid).unwrap_or(0),
            boot_id: dirs.host.boot.clone(),
            uid: nix::unistd::Uid::effective().as_raw(),
        },
        jobs: request.job.iter().cloned().collect(),
        files: ensure::named_files(request),
        sources: Vec::new(),
        complete: false,
        skip_count: 0,
        selection: request.selection.clone(),
        left_out: Vec::new(),
        attributes: toml::Table::new(),
        origin: None,
        replaces: Vec::new(),
        metadata: None,
    }
}

fn mark(dirs: &NodeDirs, token: &Token) -> Mark {
    Mark {
        token: token.clone(),
        boot: dirs.host.boot.clone(),
        host: dirs.host.name.clone(),
        shm: dirs.shm.id().to_string(),
    }
}
