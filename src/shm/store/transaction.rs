//! The transaction that creates a project: it is announced, filled by its caller, and published or rolled back.
//! Loads of files and arrays that a program shares use it.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorReport, Kind, Result, shell_quote};
use crate::os::memory::{self, Need};
use crate::os::process_stat;
use crate::shm::format::ledger::{
    BatchJob, Keeper, Ledger, Lifetime, NamedFile, Record, Selection,
};
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{ProjectName, SegmentName, Token};
use crate::shm::store::held::HeldProject;
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::{self, FailedLoad, LivenessLock};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{Project, State};

/// The project that a transaction creates.
#[derive(Debug)]
pub(crate) struct NewProject<'a> {
    /// Its name.
    pub name: &'a ProjectName,
    /// Its lifetime.
    pub lifetime: Lifetime,
    /// The selected datasets, and the access to the segments.
    pub selection: &'a Selection,
    /// The files that it is loaded from.
    pub files: Vec<NamedFile>,
    /// The identity of the load: processes that wait for an equal one receive its error.
    pub identity: Option<String>,
    /// The batch job that uses it.
    pub job: Option<&'a BatchJob>,
    /// How long the segments of a replaced project are kept.
    pub grace: Duration,
}

/// Decides whether an existing project of this user may be replaced. Its error is more specific than the transaction's.
pub(crate) type MayReplace<'a> = &'a dyn Fn(&Project) -> Result<bool>;

/// A published project.
#[derive(Debug)]
pub(crate) struct Published {
    /// The token in the names of its segments.
    pub token: Token,
    /// The held project, if its lifetime is [`Lifetime::Held`].
    pub held: Option<HeldProject>,
    /// The time since the transaction began.
    pub elapsed: Duration,
}

/// An announced load. However this process ends, `gc` finds the segments of the load. Dropping the transaction before
/// [`Self::publish`], after a panic of its caller, rolls it back.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    dirs: &'a NodeDirs,
    new: &'a NewProject<'a>,
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
    /// than `wait`.
    pub(crate) fn begin(
        dirs: &'a NodeDirs,
        new: &'a NewProject<'a>,
        wait: Duration,
        may_replace: MayReplace<'_>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let store = LedgerStore::begin(dirs, new.name, &mut lock::until(Some(wait)))?;
        let mut transaction = Self::announce(dirs, new, may_replace, store, begun)?;
        transaction.hold()?;
        Ok(transaction)
    }

    /// Announces the load in the ledger, under the change lock. [`Self::hold`] must follow before the first segment is
    /// created.
    ///
    /// # Errors
    /// Returns [`Kind::Exists`] or [`Kind::Permission`] for an existing project that must not be replaced, and an I/O
    /// error if the ledger cannot be written.
    pub(crate) fn announce(
        dirs: &'a NodeDirs,
        new: &'a NewProject<'a>,
        may_replace: MayReplace<'_>,
        mut store: LedgerStore<'a>,
        begun: Instant,
    ) -> Result<Self> {
        match announce(dirs, new, may_replace, &mut store) {
            Ok((token, replace)) => {
                let (store, owner) = (Some(store), std::process::id());
                Ok(Self { dirs, new, store, token, replace, life: None, begun, owner })
            }
            Err(error) => {
                // The first error is the one that the user needs; `gc` finds the remains.
                let _ = store.finish();
                Err(error)
            }
        }
    }

    /// Takes the liveness lock of a held project.
    pub(crate) fn hold(&mut self) -> Result<()> {
        if let (Lifetime::Held, Some(store)) = (self.new.lifetime, &self.store) {
            let life = LivenessLock::take(&self.dirs.shm, store.lock().key(), &self.token)?;
            self.life = Some(life);
        }
        Ok(())
    }

    /// Returns the token in the names of the segments.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Returns [`Kind::NoMemory`] if the node does not have the needed memory.
    pub(crate) fn check_budget(&self, need: Need) -> Result<()> {
        memory::check(&self.dirs.shm, need)
    }

    /// Publishes the project with this metadata, or rolls the load back after an error. `amend` completes the record of
    /// the load; `grace` waits before the segments of a replaced project are removed.
    pub(crate) fn publish(
        mut self,
        metadata: &str,
        amend: impl FnOnce(&mut Record),
        grace: impl FnOnce(Duration),
    ) -> Result<Published> {
        let Some(mut store) = self.store.take() else {
            return Err(Error::new(Kind::Io, "the load has ended already"));
        };
        let text = format!("{}\n{metadata}", mark(self.dirs, &self.token));
        let access = self.new.selection.access();
        let wait = || grace(self.new.grace);
        if let Err(error) = store.publish(text, &access, self.replace, amend, wait) {
            self.store = Some(store);
            return Err(self.roll_back(error));
        }
        let key = store.lock().key().clone();
        store.finish()?;
        let token = self.token.clone();
        Ok(Published {
            held: self.life.take().map(|life| HeldProject::new(key, token.clone(), life)),
            token,
            elapsed: self.begun.elapsed(),
        })
    }

    /// Removes everything of the load. Returns the error.
    pub(crate) fn roll_back(mut self, error: Error) -> Error {
        // The project must not be evaluated as held from here on.
        self.life = None;
        let Some(store) = self.store.take() else { return error };
        // An interruption is not a reason for processes that wait for the same load to fail.
        let is_shared = !matches!(error.kind(), Kind::Signal(_) | Kind::Busy);
        let _ = match self.new.identity.clone().filter(|_| is_shared) {
            Some(request) => {
                store.finish_failed(&FailedLoad { request, error: ErrorReport::from(&error) })
            }
            None => store.finish(),
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
    new: &NewProject<'_>,
    may_replace: MayReplace<'_>,
    store: &mut LedgerStore<'_>,
) -> Result<(Token, bool)> {
    let there = store.judge()?;
    let replace = there.as_ref().map_or(Ok(false), |there| check(new, there, may_replace))?;
    let token = Token::random()?;
    let mut next = record(dirs, new, &token);
    next.replaces = there.as_ref().map(foreign_segments).unwrap_or_default();
    store.announce(next)?;
    Ok((token, replace))
}

/// Whether the load replaces the existing project. A provably dead project counts as absent.
///
/// # Errors
/// Returns the reason if it must not be replaced.
fn check(new: &NewProject<'_>, project: &Project, may_replace: MayReplace<'_>) -> Result<bool> {
    let name = new.name.to_text();
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
    if project.state != State::Elsewhere && may_replace(project)? {
        return Ok(true);
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

fn record(dirs: &NodeDirs, new: &NewProject<'_>, token: &Token) -> Record {
    let pid = std::process::id();
    Record {
        token: token.clone(),
        lifetime: new.lifetime,
        created: jiff::Timestamp::now().to_string(),
        tool: concat!("cute-shm ", env!("CARGO_PKG_VERSION")).to_owned(),
        keeper: Keeper {
            pid,
            start_time: process_stat::start_time(pid).unwrap_or(0),
            boot_id: dirs.host.boot.clone(),
            uid: nix::unistd::Uid::effective().as_raw(),
        },
        jobs: new.job.into_iter().cloned().collect(),
        files: new.files.clone(),
        sources: Vec::new(),
        complete: false,
        skip_count: 0,
        selection: new.selection.clone(),
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
