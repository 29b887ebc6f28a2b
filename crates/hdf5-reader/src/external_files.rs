//! The files of one load. They are opened when they are needed, and only a few remain open at the same time, so
//! that a file may link to any number of others. Records every path that was tried.

use std::collections::{HashMap, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use crate::error::{Cause, ObjectError, ObjectResult, damaged};
use crate::external::External;
use crate::ffi::ids::Id;
use crate::ffi::links::FollowLink;
use crate::ffi::{file, object};
use crate::lookup::{self, Looked, Presence, Purpose};
use crate::other_formats;

/// The files that remain open at the same time, besides those of open objects.
const MAX_OPEN: usize = 32;

/// Device and inode.
type Identity = (u64, u64);

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    identity: Identity,
    /// Whether it is one plain file that can be read without libhdf5.
    plain: bool,
    open: Option<Arc<Id>>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    /// libhdf5 numbers each opening of a file; a number is never used twice.
    by_number: HashMap<u64, usize>,
    by_identity: HashMap<Identity, usize>,
    /// The open files; the one that was used last is at the end.
    recent: VecDeque<usize>,
    looked: IndexMap<PathBuf, Presence>,
    outside: IndexMap<PathBuf, ()>,
    /// The reason why the last external link was not followed.
    missed: Option<Missed>,
}

/// The reason why an external link was not followed.
#[derive(Debug)]
pub(crate) enum Missed {
    /// Its file is absent.
    Absent,
    /// Its file exists, but cannot or must not be read.
    ObjectError(ObjectError),
}

/// The files of one load.
#[derive(Debug)]
pub(crate) struct Files {
    state: Mutex<State>,
    policy: External,
    /// The directory of the file that was given: by its name, and after resolving links.
    home: Vec<PathBuf>,
}

impl Files {
    /// For the file at `main`, which is not opened here.
    pub(crate) fn new(main: &Path, policy: External) -> Self {
        let by_name = lookup::folder(main).canonicalize().ok();
        let resolved = main.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
        let home = by_name.into_iter().chain(resolved).collect();
        Self { state: Mutex::default(), policy, home }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an open file, unless it is known, and returns its index.
    pub(crate) fn add(&self, id: Id) -> ObjectResult<usize> {
        let (path, number) = (file::name(&id)?, object::object(&object::root(&id)?)?.key.0);
        let metadata = std::fs::metadata(&path);
        let identity = match metadata.map(|metadata| (metadata.dev(), metadata.ino())) {
            Ok(identity) => identity,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return damaged(format!("'{}' was removed while it was read", path.display()));
            }
            Err(error) => {
                let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
                let reason = format!("a system call failed: {}", errno.desc());
                return Err(ObjectError::System(reason, errno));
            }
        };
        let mut state = self.state();
        let known = state.by_identity.get(&identity).copied();
        let index = known.unwrap_or(state.entries.len());
        if known.is_none() {
            let plain = file::plain_path(&id).is_some();
            state.entries.push(Entry { path, identity, plain, open: None });
            state.by_identity.insert(identity, index);
        }
        state.by_number.insert(number, index);
        let closed = state.keep(index, Arc::new(id));
        drop(state);
        drop(closed);
        Ok(index)
    }

    /// The index of the file in which an open object is; `number` is libhdf5's for that file.
    pub(crate) fn index_of(&self, object: &Id, number: u64) -> ObjectResult<usize> {
        let known = self.state().by_number.get(&number).copied();
        if let Some(index) = known {
            return Ok(index);
        }
        self.add(object::file_of(object)?)
    }

    /// One of the files, opened again if need be.
    pub(crate) fn get(&self, index: usize) -> ObjectResult<Arc<Id>> {
        let (path, identity) = {
            let mut state = self.state();
            let Some(entry) = state.entries.get(index) else {
                return damaged("its file is not known");
            };
            if let Some(open) = &entry.open {
                let open = Arc::clone(open);
                state.touch(index);
                return Ok(open);
            }
            (entry.path.clone(), entry.identity)
        };
        let id = file::open(&path)?;
        if self.add(id)? != index {
            return damaged(format!("'{}' was replaced while it was read", path.display()));
        }
        let state = self.state();
        match state.entries.get(index).filter(|entry| entry.identity == identity) {
            Some(Entry { open: Some(open), .. }) => Ok(Arc::clone(open)),
            _ => damaged(format!("'{}' cannot be kept open", path.display())),
        }
    }

    /// The path of a file, as it was opened.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        self.state().entries.get(index).map_or_else(PathBuf::new, |entry| entry.path.clone())
    }

    /// The path of each file that can be read without libhdf5.
    pub(crate) fn plain_paths(&self) -> Vec<Option<PathBuf>> {
        let state = self.state();
        let plain = |entry: &Entry| entry.plain.then(|| entry.path.clone());
        state.entries.iter().map(plain).collect()
    }

    /// The path of a file that can be read without libhdf5.
    pub(crate) fn plain_path(&self, index: usize) -> Option<PathBuf> {
        let state = self.state();
        state.entries.get(index).filter(|entry| entry.plain).map(|entry| entry.path.clone())
    }

    /// Checks a path and records the result, once per path.
    pub(crate) fn look(&self, path: &Path) -> Presence {
        let known = self.state().looked.get(path).cloned();
        known.unwrap_or_else(|| {
            let presence = lookup::presence(path);
            self.state().looked.insert(path.to_owned(), presence.clone());
            presence
        })
    }

    /// Every path that was tried.
    pub(crate) fn looked(&self) -> Vec<Looked> {
        let looked = |(path, presence): (&PathBuf, &Presence)| Looked {
            path: path.clone(),
            presence: presence.clone(),
        };
        self.state().looked.iter().map(looked).collect()
    }

    /// The files that were read although they are not in the directory of the file that was given.
    pub(crate) fn outside(&self) -> Vec<PathBuf> {
        self.state().outside.keys().cloned().collect()
    }

    /// Opens the file `name` that file number `from` names, where libhdf5 would find it; `None` if
    /// there is no such file.
    pub(crate) fn follow(
        &self,
        purpose: Purpose,
        name: &[u8],
        from: &Path,
    ) -> ObjectResult<Option<usize>> {
        let mut unusable = None;
        for path in lookup::candidates(purpose, name, from) {
            match self.look(&path) {
                Presence::Absent => {}
                Presence::Regular(metadata) => {
                    self.admit(&path, &metadata)?;
                    match self.open(&path, &metadata) {
                        Ok(index) => return Ok(Some(index)),
                        Err(trouble) => {
                            unusable.get_or_insert(cannot_open(&path, trouble));
                        }
                    }
                }
                // libhdf5 would wait for the other end of a pipe.
                Presence::Unusable { reason, metadata: Some(metadata), .. }
                    if !metadata.is_file() =>
                {
                    return Err(cannot_open(&path, ObjectError::Damaged(reason)));
                }
                Presence::Unusable { reason, errno, .. } => {
                    let trouble = ObjectError::of_system(reason, errno);
                    unusable.get_or_insert(cannot_open(&path, trouble));
                }
            }
        }
        unusable.map_or(Ok(None), Err)
    }

    fn open(&self, path: &Path, metadata: &std::fs::Metadata) -> ObjectResult<usize> {
        let identity = (metadata.dev(), metadata.ino());
        let known = self.state().by_identity.get(&identity).copied();
        if let Some(index) = known {
            self.get(index)?;
            return Ok(index);
        }
        let id = file::open(path).map_err(|trouble| {
            if trouble.cause() == Cause::NotHdf5 {
                return ObjectError::Damaged(format!("it is {}", other_formats::format_of(path)));
            }
            trouble
        })?;
        self.add(id)
    }

    /// Fails if a file that another one names must not be read.
    pub(crate) fn admit(&self, path: &Path, metadata: &std::fs::Metadata) -> ObjectResult<()> {
        let identity = (metadata.dev(), metadata.ino());
        let first = self.state().entries.first().map(|entry| entry.identity);
        if first == Some(identity) {
            return Ok(());
        }
        let shown = path.display();
        if self.policy == External::Refuse {
            return Err(ObjectError::Refused(format!(
                "data in another file, '{shown}', is refused (--no-external)"
            )));
        }
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.home.iter().any(|home| resolved.starts_with(home)) {
            return Ok(());
        }
        if self.policy == External::Inside {
            return Err(ObjectError::Refused(format!(
                "data in '{}', outside the directory of the file, is refused for root",
                resolved.display()
            )));
        }
        self.state().outside.insert(resolved, ());
        Ok(())
    }

    /// The reason why the last external link was not followed, once.
    pub(crate) fn take_missed(&self) -> Option<Missed> {
        self.state().missed.take()
    }
}

impl FollowLink for Files {
    fn may_follow(&self, name: &[u8], parent: &Path) -> bool {
        let missed = match self.follow(Purpose::Link, name, parent) {
            Ok(Some(_)) => return true,
            Ok(None) => Missed::Absent,
            Err(trouble) => Missed::ObjectError(trouble),
        };
        self.state().missed = Some(missed);
        false
    }
}

/// The failure to open a file that another one names.
fn cannot_open(path: &Path, trouble: ObjectError) -> ObjectError {
    trouble.within(&format!("cannot open '{}'", path.display()))
}

impl State {
    /// Marks a file as used just now.
    fn touch(&mut self, index: usize) {
        if let Some(at) = self.recent.iter().rposition(|&other| other == index) {
            self.recent.remove(at);
        }
        self.recent.push_back(index);
    }

    /// Keeps a file open; returns the files to close in its place.
    fn keep(&mut self, index: usize, id: Arc<Id>) -> Vec<Arc<Id>> {
        let mut closed: Vec<_> = match self.entries.get_mut(index) {
            Some(entry) => entry.open.replace(id).into_iter().collect(),
            None => vec![id],
        };
        self.touch(index);
        while self.recent.len() > MAX_OPEN {
            let Some(oldest) = self.recent.pop_front() else { break };
            closed.extend(self.entries.get_mut(oldest).and_then(|entry| entry.open.take()));
        }
        closed
    }
}
