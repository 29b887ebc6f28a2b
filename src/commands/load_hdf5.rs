//! `load-hdf5`: HDF5 files into shared memory.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::lifetime;
use crate::load::{
    self, Background, Existing, Input, Numa, Outcome, Planned, PlannedArray, Ready, Request, Side,
    Signals, Watched,
};
use crate::output::json::Warning;
use crate::output::progress::Progress;
use crate::output::{Output, text};
use crate::shm::budget::{self, Bound};
use crate::shm::ledger::{Lifetime, Selection, Source};
use crate::shm::name::ProjectName;
use crate::shm::place::Place;
use crate::{Error, Kind, Result};

/// Arguments of `load-hdf5`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm load-hdf5 imagenet train.h5                hold until Ctrl-C
  cute-shm load-hdf5 imagenet train.h5 --persistent   until it is unlinked
  cute-shm load-hdf5 imagenet train.h5 -- python train.py
                                                      while a command runs
  cute-shm load-hdf5 imagenet train.h5 --until-exit $$
                                                      until this shell ends
  cute-shm load-hdf5 imagenet train.h5 --ensure --persistent
                                                      unless it is there already
  cute-shm load-hdf5 all train.h5 test.h5             groups /train and /test
  cute-shm load-hdf5 all a=x.h5 b=y.h5 --include 'images/**' --dry-run")]
pub struct Args {
    /// The name of the project
    pub project: OsString,
    /// HDF5 files; several become one group each, named by the stem or as NAME=FILE
    #[arg(required = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<OsString>,
    /// Hold the project while this command runs, and exit with its status
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["persistent", "until_exit", "dry_run"])]
    pub command: Vec<OsString>,
    /// Return when it is loaded; the project stays until it is unlinked, or the node reboots
    #[arg(short, long)]
    pub persistent: bool,
    /// Return when it is loaded; a keeper in the background removes it when this process ends
    #[arg(long, value_name = "PID", conflicts_with = "persistent")]
    pub until_exit: Option<u32>,
    /// Replace an existing project once the new one is complete
    #[arg(short, long, conflicts_with = "ensure")]
    pub overwrite: bool,
    /// Nothing to do when it is loaded already from the same unchanged files with the same selection
    #[arg(long)]
    pub ensure: bool,
    /// Wait so long for another process at work on the project [default: 0; with --ensure: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub wait: Option<Duration>,
    /// Only datasets whose path matches this glob (repeatable): '/train/**', 'images'
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No datasets whose path matches this glob (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Permissions of the segments and the metadata, in octal
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = parse_mode)]
    pub mode: u32,
    /// Give the segments and the metadata to this group (name or number)
    #[arg(long, value_name = "NAME", value_parser = parse_group)]
    pub group: Option<u32>,
    /// Say what would be loaded and whether it fits, and load nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What has no form in shared memory fails the load instead of being left out
    #[arg(long)]
    pub strict: bool,
    /// Load what can be read of a damaged file; exit 10 when something could not
    #[arg(long, conflicts_with = "strict")]
    pub keep_going: bool,
    /// Keep the segments of a replaced project for this long, for readers that are just attaching
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_seconds)]
    pub grace: Duration,
    /// Write a line to this descriptor when the project is ready, and close it
    #[arg(long, value_name = "FD")]
    pub ready_fd: Option<i32>,
    /// With a command: where the JSON object goes (standard output is the command's)
    #[arg(long, value_name = "FILE", requires = "command", value_hint = clap::ValueHint::FilePath)]
    pub json_to: Option<PathBuf>,
    /// Turn numbers into the machine's byte order: torch and others refuse `>f4`
    #[arg(long, value_name = "ORDER")]
    pub byte_order: Option<ByteOrder>,
    /// Convert arrays whose path matches, as numpy's astype does (repeatable): '/images/*=float32'
    #[arg(long, value_name = "PATTERN=DTYPE")]
    pub dtype: Vec<String>,
    /// Read everything once more with the HDF5 library and compare
    #[arg(long)]
    pub verify: bool,
    /// Threads that read and decode [default: the processors this process may use]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Take memory from all NUMA nodes in turn (interleave), from the reader's (local), or from NODES (0,2-3)
    #[arg(long, value_name = "interleave|local|NODES")]
    pub numa: Option<Numa>,
    /// Draw no progress bar
    #[arg(long)]
    pub no_progress: bool,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ByteOrder {
    /// The machine's own.
    Native,
}

/// The JSON fields of `load-hdf5`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body {
    /// The project's name.
    pub project: Option<String>,
    /// Nothing was loaded: this is the plan.
    pub dry_run: bool,
    /// It was loaded already.
    pub reused: bool,
    /// Path of the metadata file.
    pub metadata: Option<String>,
    /// The load's token: its segments' names bear it.
    pub token: Option<String>,
    /// How long it lives.
    pub lifetime: Option<Lifetime>,
    /// Arrays, each once.
    pub array_count: u64,
    /// Bytes of the arrays.
    pub size_bytes: u64,
    /// Memory needed, every array rounded up to pages.
    pub needed_bytes: u64,
    /// What limits memory, the tightest first (with `--dry-run`).
    pub bounds: Vec<Bound>,
    /// How long it took.
    pub elapsed_seconds: Option<f64>,
    /// Bytes a second.
    pub rate_bytes: Option<u64>,
    /// The files read.
    pub sources: Vec<Source>,
    /// The arrays (with `--dry-run`).
    pub arrays: Vec<PlannedArray>,
}

/// Runs `load-hdf5`.
///
/// # Errors
/// As DESIGN section 4 says.
pub fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    if args.command.is_empty() {
        return start(args, output);
    }
    output.give_away(args.json_to.clone())?;
    // As timeout(1) does: whoever reads our status must be able to tell our failures from the command's.
    start(args, output).map_err(|error| match error.kind() {
        Kind::Status(_) => error,
        kind => {
            let (code, word) = (kind.exit_code(), kind.code());
            let hint = error.hint().unwrap_or("the command was not started").to_owned();
            Error::new(Kind::Status(125), format!("{error} (code {code}, {word})")).with_hint(hint)
        }
    })
}

fn start(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let request = request(args, output)?;
    output.body.project = Some(request.project.to_text());
    output.body.dry_run = args.dry_run;
    for input in &request.inputs {
        check_readable(&input.path)?;
    }
    let Some(pid) = args.until_exit else { return load(args, &request, None, output) };
    let watched = Watched::open(pid)?;
    let kept: Vec<_> = args.ready_fd.into_iter().chain([watched.as_fd().as_raw_fd()]).collect();
    match Background::start(&kept)? {
        Side::Keeper(ready) => load(args, &request, Some((watched, ready)), output),
        Side::Front(background) => {
            output.leave_to_other();
            let mut signals = Signals::block()?;
            signals.take_interrupts()?;
            match background.wait(&signals)? {
                0 => Ok(()),
                code => Err(Error::new(Kind::Status(code), "")),
            }
        }
    }
}

fn load(
    args: &Args,
    request: &Request,
    until: Option<(Watched, Ready)>,
    output: &mut Output<'_, Body>,
) -> Result<()> {
    let mut signals = Signals::block()?;
    let mut progress = Progress::new(output.context, args.no_progress);
    if args.dry_run {
        let place = Place::open(&output.context.paths)?;
        let planned = load::dry_run(&place, request, &mut signals, &mut progress)?;
        tell_plan(&place, &planned, progress, output);
        return Ok(());
    }
    let place = Place::create(&output.context.paths)?;
    if let Some(warning) = &place.warning {
        output.warn(Warning::new("root", warning.clone()));
    }
    let outcome = load::run(&place, request, &mut signals, &mut progress)?;
    tell_outcome(&place, request, &outcome, progress, output)?;
    let failed = outcome.failed.len() + outcome.planned.damaged.len();
    let total = outcome.planned.paths.max(failed as u64);
    let partial = (failed > 0)
        .then(|| Error::new(Kind::Partial, format!("{failed} of {total} could not be read")));
    if let Some(partial) = &partial {
        // Whoever waits for a held project learns it now, not when it ends.
        output.fail(partial);
    }
    lifetime::live(args, &place, &signals, outcome.held, until, output)?;
    match partial {
        None => Ok(()),
        Some(_) => Err(Error::new(Kind::Partial, "")),
    }
}

fn request(args: &Args, output: &Output<'_, Body>) -> Result<Request> {
    Ok(Request {
        project: ProjectName::new(&args.project)?,
        inputs: inputs(&args.files)?,
        selection: Selection {
            include: args.include.clone(),
            exclude: args.exclude.clone(),
            native: args.byte_order.is_some(),
            dtypes: args.dtype.clone(),
            mode: args.mode,
            group: args.group,
        },
        lifetime: if args.persistent { Lifetime::Persistent } else { Lifetime::Held },
        existing: match (args.ensure, args.overwrite) {
            (true, _) => Existing::Ensure,
            (false, true) => Existing::Replace,
            (false, false) => Existing::Refuse,
        },
        strict: args.strict,
        keep_going: args.keep_going,
        wait: args.wait.or((!args.ensure).then_some(Duration::ZERO)),
        grace: args.grace,
        job: output.context.job.clone(),
        trace: output.context.verbose > 1,
        jobs: args.jobs,
        numa: args.numa.clone(),
        verify: args.verify,
    })
}

/// The files with their groups: none for a single one, else the stem or the name given.
fn inputs(files: &[OsString]) -> Result<Vec<Input>> {
    let mut inputs: Vec<Input> = Vec::new();
    for file in files {
        let (name, path) = named(file);
        let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let group = name.or_else(|| if files.len() > 1 { stem() } else { None });
        if let Some(group) = &group {
            if group.contains('/') || group.is_empty() || group == "shm_name" {
                return Err(Error::new(
                    Kind::Usage,
                    format!("'{group}' cannot be the name of a group"),
                ));
            }
            if inputs.iter().any(|input| input.group.as_ref() == Some(group)) {
                return Err(Error::new(
                    Kind::Usage,
                    format!("two files would become the group '{group}'"),
                )
                .with_hint("name them: first=a/x.h5 second=b/x.h5"));
            }
        }
        inputs.push(Input { path, group });
    }
    Ok(inputs)
}

/// `NAME=FILE`, unless there is a file of that whole name.
fn named(file: &OsString) -> (Option<String>, PathBuf) {
    let whole = PathBuf::from(file);
    match file.to_str().and_then(|text| text.split_once('=')) {
        Some((name, path)) if !name.contains('/') && !whole.exists() => {
            (Some(name.to_owned()), path.into())
        }
        _ => (None, whole),
    }
}

/// The usual mistakes, told before anything is started.
fn check_readable(path: &Path) -> Result<()> {
    let shown = path.display();
    let cannot = |e| Error::io(format!("cannot open '{shown}'"), e).about(path.to_string_lossy());
    let stat = std::fs::metadata(path).map_err(cannot)?;
    if stat.is_dir() {
        return Err(Error::new(
            Kind::Corrupt,
            format!("'{shown}' is a directory, not an HDF5 file"),
        )
        .about(path.to_string_lossy()));
    }
    std::fs::File::open(path).map_err(cannot).map(drop)
}

fn tell_plan(place: &Place, planned: &Planned, progress: Progress, output: &mut Output<'_, Body>) {
    let need = planned.need();
    let bounds = budget::bounds(&place.shm);
    let free = bounds.first().map_or(u64::MAX, |bound| bound.free_bytes);
    let mut columns = crate::output::table::Columns::new(&["array", "shape", "dtype", ">size"], 0);
    for array in &planned.arrays {
        columns.row(vec![
            text::shown(&array.path, output.context.width.is_some()),
            text::shape(&array.shape),
            array.dtype.clone(),
            text::size(array.bytes),
        ]);
    }
    if !columns.is_empty() {
        let table = columns.render(output.context.width);
        output.print(&table);
    }
    let arrays = text::count(planned.arrays.len() as u64, "array");
    let fits = if need.bytes <= free { "fits" } else { "does not fit" };
    let what = bounds.first().map_or("", |bound| &bound.what).to_owned();
    let (needed, free) = (text::size(need.bytes), text::size(free));
    output.line(&format!("{arrays}: {needed} needed, {free} free ({what}): it {fits}"));
    fill(planned, progress, output);
    output.body.bounds = bounds;
    output.body.arrays.clone_from(&planned.arrays);
}

fn fill(planned: &Planned, mut progress: Progress, output: &mut Output<'_, Body>) {
    for warning in std::mem::take(&mut progress.warnings) {
        output.note(warning);
    }
    output.body.array_count = planned.arrays.len() as u64;
    output.body.size_bytes = planned.bytes();
    output.body.needed_bytes = planned.need().bytes;
    output.body.sources.clone_from(&planned.sources);
}

fn tell_outcome(
    place: &Place,
    request: &Request,
    outcome: &Outcome,
    progress: Progress,
    output: &mut Output<'_, Body>,
) -> Result<()> {
    fill(&outcome.planned, progress, output);
    let metadata = place.root()?.join(&request.project.metadata_file());
    let seconds = outcome.elapsed.as_secs_f64();
    let rate = rate(outcome.bytes, seconds);
    output.body.array_count = outcome.arrays;
    output.body.size_bytes = outcome.bytes;
    output.body.metadata = Some(metadata.to_string_lossy().into_owned());
    output.body.token = Some(outcome.token.to_string());
    output.body.lifetime = Some(outcome.lifetime);
    output.body.reused = outcome.reused;
    output.body.elapsed_seconds = Some(seconds);
    output.body.rate_bytes = Some(rate);
    warn_of_use(request, outcome, output);
    if !output.context.quiet {
        let (arrays, size) = (text::count(outcome.arrays, "array"), text::size(outcome.bytes));
        let rate = text::size(rate);
        output.line(&format!("metadata: {}", metadata.display()));
        match outcome.reused {
            true => output.line(&format!("already loaded: {arrays}, {size}")),
            false => output.line(&format!("loaded: {arrays}, {size} in {seconds:.3} s ({rate}/s)")),
        }
    }
    Ok(())
}

/// Bytes a second.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rate(bytes: u64, seconds: f64) -> u64 {
    (bytes as f64 / seconds.max(1e-9)) as u64
}

/// What the stock Python reader will stumble over.
fn warn_of_use(request: &Request, outcome: &Outcome, output: &mut Output<'_, Body>) {
    const USUAL_LIMIT: u64 = 1024;
    if outcome.arrays > USUAL_LIMIT / 2 {
        output.warn(Warning::new(
            "descriptors",
            format!(
                "{} arrays: the Python reader opens one file each; raise its limit with 'ulimit -n {}'",
                outcome.arrays,
                outcome.arrays.saturating_mul(2).next_power_of_two().max(4096)
            ),
        ));
    }
    for (shift, class) in [(3, "the group"), (0, "others")] {
        if (request.selection.mode >> shift) & 0o6 == 0o4 {
            output.warn(Warning::new(
                "mode",
                format!("{class} may read but not write: the stock Python reader opens read-write and fails"),
            ));
        }
    }
}

/// Seconds, with a fraction if need be.
fn parse_seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("'{text}' is no number of seconds"))
}

/// Permission bits in octal.
fn parse_mode(text: &str) -> std::result::Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & 0o600 == 0o600 && mode <= 0o777 => Ok(mode),
        Ok(_) => Err("the owner must be able to read and write: 600 to 777".to_owned()),
        Err(_) => Err(format!("'{text}' is not octal")),
    }
}

/// A group's number from a number or a name.
fn parse_group(text: &str) -> std::result::Result<u32, String> {
    if let Ok(gid) = text.parse() {
        return Ok(gid);
    }
    match nix::unistd::Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(format!("there is no group '{text}'")),
    }
}
