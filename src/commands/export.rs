//! `export`: a project, a group or an array as a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::common::open;
use crate::error::{Error, Kind, Result};
use crate::export::{self, Choice, Format, Target};
use crate::os::descriptors;
use crate::os::flock::{Flocked, LockMode};
use crate::os::signals::Signals;
use crate::output::Output;
use crate::output::json::Warning;
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::Note;
use crate::shm::format::name::ProjectName;
use crate::shm::store::readable;
use crate::text;

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
    /// Fail if the file cannot hold everything, instead of leaving data out
    #[arg(long)]
    pub strict: bool,
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
    /// Arrays and attributes that are not in the file, or differ from the source, with the reason.
    pub left_out: Vec<Note>,
    /// How many arrays were written, by path.
    pub array_count: usize,
    /// Bytes of the arrays, aliases once.
    pub size_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: Option<u64>,
}

/// File descriptors that are not for segments.
const OTHER_FILES: usize = 64;
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
    let dirs = open(output)?;
    // Before anything is written: a project in a bad state leaves an existing pipe untouched.
    readable::find(&dirs, &name)?;
    let to_stdout = args.output.as_os_str() == "-";
    let target = || match to_stdout {
        true => Target::stdout(),
        false => Target::open(&args.output, args.overwrite),
    };
    let mut target = target()?;
    // A stream holds nothing that an interrupt could leave behind, and writing to one may block.
    let signals = if target.is_stream() { None } else { Some(block()?) };
    let lock = args.lock.as_deref().map(|path| take(path, signals.as_ref())).transpose()?;
    let choice = Choice { name: &name, key: args.key.as_deref(), filter: &filter, gzip: args.gzip };
    let mut content = choice.content(&dirs, open_files().saturating_sub(OTHER_FILES))?;
    let mut advance = |_| interrupted(signals.as_ref());
    let notes = export::export(&mut content, format, args.strict, &mut target, &mut advance);
    let notes = match notes {
        // Whoever closed the pipe has read enough.
        Err(error) if error.errno() == Some(libc::EPIPE) => Vec::new(),
        notes => notes?,
    };
    drop(lock);
    let streamed = target.is_stream();
    let size = target.finish(&mut |_| interrupted(signals.as_ref()))?;
    warn(&notes, format, output);
    output.body.left_out = notes;
    let (arrays, bytes) = (content.arrays().len(), content.bytes());
    output.body.array_count = arrays;
    output.body.size_bytes = bytes;
    output.body.file_bytes = (!streamed).then_some(size);
    output.body.path = Some(args.output.to_string_lossy().into_owned());
    if !to_stdout {
        let what = text::count(arrays as u64, "array");
        output.status(format!(
            "wrote '{}': {what}, {}",
            args.output.to_string_lossy(),
            text::size(if streamed { bytes } else { size }),
        ));
    }
    Ok(())
}

/// Warns once, however much the file lacks; `-v` lists each object.
fn warn(notes: &[Note], format: Format, output: &mut Output<'_, Body>) {
    match notes {
        [] => {}
        [note] => output.warn(Warning::skipped(note)),
        [first, ..] => {
            let count = notes.len();
            let message = format!(
                "{count} objects cannot be restored in {}, such as '{}': {}; -v lists all",
                format.word(),
                first.path,
                first.reason
            );
            output.warn(Warning::new("skipped", message));
            for note in notes {
                output.detail(format!("'{}' is not restored: {}", note.path, note.reason));
            }
        }
    }
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
        Some(caught) => {
            let message = format!("interrupted by {caught}; nothing was written");
            Err(Error::new(Kind::Signal(caught.number()), message))
        }
        None => Ok(()),
    }
}

fn take(path: &Path, signals: Option<&Signals>) -> Result<Flocked> {
    loop {
        if let Some(lock) = Flocked::try_path(path, LockMode::Exclusive)? {
            return Ok(lock);
        }
        match signals {
            Some(signals) => {
                signals.wait(None, LOOK);
                interrupted(Some(signals))?;
            }
            None => std::thread::sleep(std::time::Duration::from_millis(LOOK.into())),
        }
    }
}

/// How many files may be open, once as many are allowed as the system lets us.
fn open_files() -> usize {
    descriptors::raise_limit()
        .map_or(OTHER_FILES, |most| usize::try_from(most).unwrap_or(usize::MAX))
}
