//! `export`: writes a project, a group or an array to a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use serde::Serialize;

use super::common::open;
use crate::error::{Error, Kind, Result};
use crate::export::{self, ExportSelection, Format, Target};
use crate::os::descriptors;
use crate::os::flock::{Flocked, LockMode};
use crate::os::signals::Signals;
use crate::output::Output;
use crate::output::json::Warning;
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::Note;
use crate::shm::format::name::ProjectName;
use crate::shm::format::tree;
use crate::shm::store::readable;
use crate::text;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm export imagenet -o imagenet.h5               the whole project
  cute-shm export imagenet /train/images -o images.npy  one array
  cute-shm export imagenet --gzip 4 -o small.h5         compressed
  cute-shm export imagenet -o - --format npz | ssh host 'cat > imagenet.npz'
  cute-shm export results --lock results.lock -o results.h5
                                                        lock out writers")]
pub(crate) struct Args {
    /// Name of the project
    pub(crate) project: OsString,
    /// An array or a group: /group/name, or group.name as in Python
    pub(crate) key: Option<String>,
    /// Output file; - writes to stdout
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// File format [default: from the suffix of FILE]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Export only arrays whose path matches this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Skip arrays whose path matches this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Fail if the format cannot represent all data, instead of leaving data out
    #[arg(long)]
    pub(crate) strict: bool,
    /// Compress with gzip level 0 to 9 (hdf5 only)
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) gzip: Option<u8>,
    /// Hold an exclusive lock on FILE during the export (compatible with Python's filelock)
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) lock: Option<PathBuf>,
}

impl clap::ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Hdf5 => "HDF5: groups, types and attributes as loaded",
            Self::Npz => "NumPy archive of several arrays",
            Self::Npy => "NumPy file of one array",
            Self::Safetensors => "Tensors for machine learning",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

/// The JSON fields of `export`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// Name of the project.
    pub(crate) project: String,
    /// Path of the file.
    pub(crate) path: Option<String>,
    /// `hdf5`, `npz`, `npy` or `safetensors`.
    pub(crate) format: Option<&'static str>,
    /// Arrays and attributes that are missing in the file or differ from the source, with the reason.
    pub(crate) left_out: Vec<Note>,
    /// Number of written arrays, by path.
    pub(crate) array_count: usize,
    /// Size of the arrays, aliases once.
    pub(crate) size_bytes: u64,
    /// Size of the file.
    pub(crate) file_bytes: Option<u64>,
}

/// File descriptors reserved for other files than segments.
const OTHER_FILES: usize = 64;
/// Interval between two attempts to take a lock, in milliseconds, as in Python's filelock.
const LOCK_INTERVAL_MS: u16 = 50;

/// Runs `export`.
///
/// # Errors
/// Returns an error if the state of the project does not permit reading, if an array cannot be read, or if FILE
/// cannot be written. FILE is then unchanged.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let format = format(args, output.context.json)?;
    let filter = PathFilter::new(&args.include, &args.exclude)?;
    let name = ProjectName::existing(&args.project)?;
    output.body.project = name.to_text();
    output.body.format = Some(format.name());
    let dirs = open(output)?;
    // Before anything is written: a project in a bad state leaves an existing pipe untouched.
    readable::find(&dirs, &name)?;
    let to_stdout = args.output.as_os_str() == "-";
    let target = || match to_stdout {
        true => Target::stdout(std::env::temp_dir()),
        false => Target::open(&args.output, args.overwrite, std::env::temp_dir()),
    };
    let mut target = target()?;
    // A stream leaves no file after an interrupt, and a write to it may block.
    let signals = if target.is_stream() { None } else { Some(block()?) };
    let lock = args.lock.as_deref().map(|path| take(path, signals.as_ref())).transpose()?;
    let key = args.key.as_deref();
    let selection = ExportSelection { name: &name, key, filter: &filter, format, gzip: args.gzip };
    let mut content = selection.open(&dirs, open_files().saturating_sub(OTHER_FILES))?;
    let mut check_interrupt = || interrupted(signals.as_ref());
    let notes = export::write(&mut content, format, args.strict, &mut target, &mut check_interrupt);
    let notes = match notes {
        // EPIPE is not an error: the reader closed the pipe early.
        Err(error) if error.errno() == Some(libc::EPIPE) => Vec::new(),
        notes => notes?,
    };
    drop(lock);
    let streamed = target.is_stream();
    let size = target.finish(&mut || interrupted(signals.as_ref()))?;
    warn(&notes, format, output);
    output.body.left_out = notes;
    let (arrays, bytes) = (tree::arrays(&content.root).len(), content.bytes());
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

/// Prints one warning for all objects that are missing in the file; `-v` lists each object.
fn warn(notes: &[Note], format: Format, output: &mut Output<'_, Body>) {
    match notes {
        [] => {}
        [note] => output.warn(Warning::skipped(note)),
        [first, ..] => {
            let count = notes.len();
            let message = format!(
                "{count} objects cannot be restored in {}, such as '{}': {}; -v lists all",
                format.name(),
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
        return Err(usage("--json cannot be used with '-o -', which writes to stdout".to_owned())
            .with_hint("write to a file, or omit --json"));
    }
    let Some(format) = args.format.or_else(|| Format::from_suffix(&args.output)) else {
        return Err(usage(format!(
            "cannot determine the format from the suffix of '{}'",
            args.output.display()
        ))
        .with_hint("add --format hdf5, npz, npy or safetensors"));
    };
    if args.gzip.is_some() && format != Format::Hdf5 {
        return Err(usage(format!("--gzip requires the format hdf5, not {}", format.name())));
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
                signals.wait(None, LOCK_INTERVAL_MS);
                interrupted(Some(signals))?;
            }
            None => std::thread::sleep(std::time::Duration::from_millis(LOCK_INTERVAL_MS.into())),
        }
    }
}

/// Raises the limit of open files to the maximum and returns it.
fn open_files() -> usize {
    descriptors::raise_limit()
        .map_or(OTHER_FILES, |most| usize::try_from(most).unwrap_or(usize::MAX))
}
