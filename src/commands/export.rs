//! `export`: a project, a group or an array as a file.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use super::{find, key, open};
use crate::export::{self, Content, FileLock, Format, Target, is_below, select};
use crate::load::{PathFilter, Signals};
use crate::output::json::Warning;
use crate::output::{Output, text};
use crate::shm::extras::Extras;
use crate::shm::ledger::Note;
use crate::shm::name::{ProjectName, SegmentName};
use crate::shm::place::Place;
use crate::shm::state::{Project, State};
use crate::{Error, Kind, Result};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm export imagenet -o imagenet.h5               the whole, as it was
  cute-shm export imagenet /train/images -o images.npy  one array
  cute-shm export imagenet --gzip 4 -o small.h5         compressed
  cute-shm export imagenet -o - --format npz | ssh host 'cat > imagenet.npz'
  cute-shm export results --lock results.lock -o results.h5
                                                        while it is written to")]
pub struct Args {
    /// The project
    pub project: OsString,
    /// One of its arrays or groups: /group/name, or group.name as in Python
    pub key: Option<String>,
    /// Where to write; - is standard output
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: PathBuf,
    /// The format [default: what FILE's suffix tells]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Replace FILE if it is there
    #[arg(long)]
    pub overwrite: bool,
    /// Only arrays whose path matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No array whose path matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Compress with deflate of this level, 0 to 9 (hdf5 only)
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub gzip: Option<u8>,
    /// Hold this lock meanwhile, as Python's filelock does
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub lock: Option<PathBuf>,
}

/// The JSON fields of `export`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body {
    /// The project's name.
    pub project: String,
    /// The path of the file.
    pub path: Option<String>,
    /// `hdf5`, `npz`, `npy` or `safetensors`.
    pub format: Option<&'static str>,
    /// How many arrays were written, by path.
    pub array_count: usize,
    /// Bytes of the arrays, aliases once.
    pub size_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: Option<u64>,
}

/// File descriptors that are not for segments.
const OTHER_FILES: usize = 64;
/// How often to look at a project that is replaced again and again.
const MOST_LOOKS: u32 = 20;
/// How long to wait between two looks at a lock, in milliseconds: as long as filelock does.
const LOOK: u16 = 50;

/// Runs `export`.
///
/// # Errors
/// As DESIGN section 4 says; FILE is then as it was.
pub fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let format = format(args, output.context.json)?;
    let filter = PathFilter::new(&args.include, &args.exclude)?;
    let name = ProjectName::existing(&args.project)?;
    output.body.project = name.to_text();
    output.body.format = Some(format.word());
    let place = open(output)?;
    // Before anything is written: a project in a bad state leaves an existing pipe untouched.
    judge(&place, &name)?;
    let to_stdout = args.output.as_os_str() == "-";
    let target = || match to_stdout {
        true => Target::stdout(),
        false => Target::open(&args.output, args.overwrite),
    };
    let mut target = target()?;
    // A stream holds nothing that an interrupt could leave behind, and writing to one may block.
    let signals = if target.is_stream() { None } else { Some(block()?) };
    let lock = args.lock.as_deref().map(|path| take(path, signals.as_ref())).transpose()?;
    let content = one_version(&place, &name, args, &filter)?;
    let notes =
        export::export(&content, format, &mut target, &mut |_| interrupted(signals.as_ref()));
    let notes = match notes {
        // Whoever closed the pipe has read enough.
        Err(error) if error.errno() == Some(libc::EPIPE) => Vec::new(),
        notes => notes?,
    };
    drop(lock);
    let streamed = target.is_stream();
    let size = target.finish(&mut |_| interrupted(signals.as_ref()))?;
    for note in &notes {
        output.warn(Warning::skipped(note));
    }
    let (arrays, bytes) = (content.arrays().len(), content.bytes());
    output.body.array_count = arrays;
    output.body.size_bytes = bytes;
    output.body.file_bytes = (!streamed).then_some(size);
    output.body.path = Some(args.output.to_string_lossy().into_owned());
    if !to_stdout {
        let what = text::count(arrays as u64, "array");
        output.status(&format!(
            "wrote '{}': {what}, {}",
            text::shown(&args.output.to_string_lossy(), output.context.terminal_err),
            text::size(if streamed { bytes } else { size }),
        ));
    }
    Ok(())
}

fn format(args: &Args, json: bool) -> Result<Format> {
    let usage = |message: String| Error::new(Kind::Usage, message);
    if json && args.output.as_os_str() == "-" {
        return Err(usage("--json and '-o -' both want standard output".to_owned())
            .with_hint("write to a file, or leave --json out"));
    }
    let Some(format) = args.format.or_else(|| Format::of(&args.output)) else {
        return Err(usage(format!("no format follows from '{}'", args.output.display()))
            .with_hint("add --format hdf5, npz, npy or safetensors"));
    };
    if args.gzip.is_some() && format != Format::Hdf5 {
        return Err(usage(format!("--gzip is for hdf5, not for {}", format.word())));
    }
    Ok(format)
}

fn block() -> Result<Signals> {
    let mut signals = Signals::block()?;
    signals.take_interrupts()?;
    Ok(signals)
}

fn interrupted(signals: Option<&Signals>) -> Result<()> {
    match signals.and_then(Signals::take) {
        Some(signal) => {
            let message = format!("cancelled by {signal}; nothing was written");
            Err(Error::new(Kind::Signal(signal as i32), message))
        }
        None => Ok(()),
    }
}

fn take(path: &Path, signals: Option<&Signals>) -> Result<FileLock> {
    loop {
        if let Some(lock) = FileLock::try_take(path)? {
            return Ok(lock);
        }
        match signals {
            Some(signals) => {
                signals.wait(None, LOOK)?;
                interrupted(Some(signals))?;
            }
            None => std::thread::sleep(std::time::Duration::from_millis(LOOK.into())),
        }
    }
}

/// The project, if its state is one to export from.
fn judge(place: &Place, name: &ProjectName) -> Result<Project> {
    let project = find(place, name)?;
    readable(&project)?;
    Ok(project)
}

/// Fails, with the state and what to do, for a project whose arrays cannot be read.
pub(super) fn readable(project: &Project) -> Result<()> {
    let name = project.name().to_text();
    let word = text::word(&name);
    let (kind, hint) = match project.state {
        State::Live | State::Detached | State::Broken => return Ok(()),
        State::Loading => (Kind::Busy, format!("'cute-shm wait {word}' returns when it is live")),
        State::Removing => (Kind::Busy, "somebody is removing it".to_owned()),
        State::Foreign => (Kind::Permission, format!("it belongs to user {}", project.uid)),
        State::Elsewhere => {
            (Kind::NotFound, "its segments are where it was loaded: look there".to_owned())
        }
        State::Corrupt => (Kind::Corrupt, format!("'cute-shm unlink {word}' removes it")),
        State::Abandoned | State::Stale => {
            (Kind::NotFound, "'cute-shm gc' reaps it; load it again".to_owned())
        }
        State::Orphan => (Kind::NotFound, "nothing tells what its segments are".to_owned()),
    };
    let why = project.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    let message = format!("project '{name}' is {}{why}", project.state);
    Err(Error::new(kind, message).about(name).with_hint(hint))
}

/// The content of the project as it is now, its segments open: should it be replaced from now on, what
/// is exported is the version that was there. Replaced just now, it is looked at again.
fn one_version<'a>(
    place: &'a Place,
    name: &ProjectName,
    args: &Args,
    filter: &PathFilter,
) -> Result<Content<'a>> {
    let most = open_files().saturating_sub(OTHER_FILES);
    let mut looks = 0;
    loop {
        let mut content = content(place, &judge(place, name)?, args, filter)?;
        looks += 1;
        match content.hold(most) {
            Err(error) if error.kind() == Kind::NotFound && looks < MOST_LOOKS => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(content),
        }
    }
}

/// How many files may be open, once as many are allowed as the system lets us.
fn open_files() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return OTHER_FILES };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard);
    usize::try_from(raised).unwrap_or(usize::MAX)
}

/// What the load left out of what is exported now.
fn left_out(project: &Project, prefix: &str, filter: &PathFilter) -> Vec<Note> {
    let wanted = |note: &&Note| {
        let object = note.path.rsplit_once('@').map_or(&*note.path, |(object, _)| object);
        is_below(if object.is_empty() { "/" } else { object }, prefix) && filter.takes(object)
    };
    let notes = project.record().map(|record| &record.left_out[..]).unwrap_or_default();
    notes.iter().filter(wanted).cloned().collect()
}

fn content<'a>(
    place: &'a Place,
    project: &Project,
    args: &Args,
    filter: &PathFilter,
) -> Result<Content<'a>> {
    let name = project.name().to_text();
    let empty = crate::shm::metadata::Group::new();
    let root = project.metadata.as_ref().map_or(&empty, |metadata| &metadata.root);
    let prefix = match &args.key {
        Some(key) => key::resolve(project, key)?,
        None => "/".to_owned(),
    };
    let record = project.record();
    let content = Content {
        shm: &place.shm,
        root: select(root, &prefix, &|path| filter.takes(path)),
        extras: extras(project),
        group_attrs: record.map(|record| record.attributes.clone()).unwrap_or_default(),
        source_groups: record
            .map(|record| record.sources.iter().filter_map(|s| s.group.clone()).collect())
            .unwrap_or_default(),
        gzip: args.gzip,
        left_out: left_out(project, &prefix, filter),
        held: HashMap::new(),
    };
    let missing = |segment: &str| {
        SegmentName::parse_for(project.name(), segment.as_ref())
            .is_some_and(|segment| project.missing.contains(&segment))
    };
    if let Some((path, _)) = content.arrays().iter().find(|(_, array)| missing(&array.segment)) {
        let message =
            format!("project '{name}' is {}: the segment of '/{path}' is gone", project.state);
        return Err(Error::new(Kind::NotFound, message)
            .about(format!("/{path}"))
            .with_hint("--exclude leaves out what is gone; or load it again"));
    }
    Ok(content)
}

/// What the ledger keeps of the sources. Its types are read by the HDF5 library, which trusts them:
/// another user's are not believed.
pub(super) fn extras(project: &Project) -> Option<Extras> {
    if project.uid != nix::unistd::Uid::effective().as_raw() {
        return None;
    }
    Extras::parse(project.record()?.extras.as_deref()?)
}
