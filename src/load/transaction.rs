//! Transaction a project, whoever fills it: announced, filled by its caller, published. The loads of the command and
//! those of the library's users go through here, so that every one ends with the same steps.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::error::{ErrorReport, shell_quote};
use crate::load::ensure;
use crate::load::supervisor::protocol::{Loaded, Planned};
use crate::load::{Existing, HeldProject, Request};
use crate::os::memory::{self, Need};
use crate::os::process_stat;
use crate::shm::format::ledger::{Keeper, Ledger, Lifetime, Note, Record};
use crate::shm::format::metadata::Mark;
use crate::shm::format::name::{SegmentName, Token};
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::{FailedLoad, LivenessLock};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{Project, State};

/// A load that has come to its end.
#[derive(Debug)]
pub struct Outcome {
    /// The plan that was followed.
    pub planned: Planned,
    /// The load's token.
    pub token: Token,
    /// Arrays made.
    pub arrays: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What could not be read (with `--keep-going`).
    pub failed: Vec<Note>,
    /// It was there already: nothing was loaded.
    pub reused: bool,
    /// How long the project lives.
    pub lifetime: Lifetime,
    /// How long it took.
    pub elapsed: Duration,
    /// What is to be held, for a held project.
    pub held: Option<HeldProject>,
}

/// A load that is announced: whatever becomes of this process, its segments can be found. Dropped before its
/// end, because its caller panics, it is taken back.
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
    /// Takes the change lock and announces the load, which keeps a held project from here on. Another holder
    /// of the lock is waited for as long as the request and `go_on` say so.
    pub fn begin(
        dirs: &'a NodeDirs,
        request: &'a Request,
        go_on: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let patient = || request.wait.is_none_or(|limit| begun.elapsed() < limit);
        let store = LedgerStore::begin(dirs, &request.project, &mut || Ok(go_on()? && patient()))?;
        let mut transaction = Self::announce(dirs, request, store, begun)?;
        transaction.hold()?;
        Ok(transaction)
    }

    /// Announces the load under a change lock that is held. It is to be kept with [`Self::hold`] before the first
    /// segment is made.
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
                // The first error is what the user needs; what cannot be cleaned now, gc finds.
                let _ = store.finish();
                Err(error)
            }
        }
    }

    /// Takes the life lock of a project that is held.
    pub fn hold(&mut self) -> Result<()> {
        if let (Lifetime::Held, Some(store)) = (self.request.lifetime, &self.store) {
            let life = LivenessLock::take(&self.dirs.shm, store.lock().key(), &self.token)?;
            self.life = Some(life);
        }
        Ok(())
    }

    /// What the names of the segments bear.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Whether the memory that is needed is there.
    pub fn check_budget(&self, need: Need) -> Result<()> {
        memory::check(&self.dirs.shm, need)
    }

    /// Publishes what was made, or takes everything back. `grace` waits before what is replaced goes.
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
                // Whoever judges the project now must not take it for one that is kept.
                self.life = None;
                return Err(self.give_up(store, error));
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
    /// Nothing of the load stays; gives the error back.
    fn give_up(&self, store: LedgerStore<'_>, error: Error) -> Error {
        // What says nothing about the file is not for those who wait to load the same.
        let is_told = !matches!(error.kind(), Kind::Signal(_) | Kind::Busy);
        let _ = match is_told && !self.request.inputs.is_empty() {
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
        // A forked process leaves it to the one that it comes from.
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

/// What the ledger is told of a load that has come to its end.
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

/// Whether a project in the way may be replaced: what is provably dead counts as absent.
fn may_replace(request: &Request, there: Option<&Project>) -> Result<bool> {
    let Some(project) = there else { return Ok(false) };
    let name = request.project.to_text();
    let is_own = project.uid == nix::unistd::Uid::effective().as_raw();
    if let (State::Foreign, true) = (project.state, is_own) {
        let why = project.why.as_deref().unwrap_or("a file of it cannot be read");
        let message = format!("project '{name}' cannot be judged: {why}");
        let hint = format!(
            "'cute-shm show {}' reports its files; nothing was changed",
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

/// Segments of the project in the way that no load of ours made.
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
