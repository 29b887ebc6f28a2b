//! The arguments of `load-hdf5` and how they are read.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::commands::parse::{parse_group, parse_mode, parse_seconds};
use crate::os::numa::Numa;
use crate::shm::format::rows::Rows;

// Help has these groups of options.
const SELECTION: &str = "Selection";
const CONVERSION: &str = "Conversion";
const TROUBLE: &str = "Damage and gaps";
const ACCESS: &str = "Access";
const SPEED: &str = "Speed";
const REPORTS: &str = "Reports";

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
                                                      reuse it if it is current
  cute-shm load-hdf5 all train.h5 test.h5             groups /train and /test
  srun --ntasks-per-node=1 cute-shm load-hdf5 big x.h5 --shard auto --ensure -p
                                                      each node its own rows
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
    #[arg(short, long)]
    pub overwrite: bool,
    /// Load only if needed; fail if the existing project has other files or another selection
    #[arg(long)]
    pub ensure: bool,
    /// Say what would be loaded and whether it fits, and load nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait so long for another process at work on the project [default: 2; with --ensure: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub wait: Option<Duration>,
    /// Keep the segments of a replaced project for this long, for readers that are just attaching
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_seconds)]
    pub grace: Duration,
    /// Only datasets whose path matches this glob (repeatable): '/train/**', 'images'
    #[arg(long, value_name = "GLOB", help_heading = SELECTION)]
    pub include: Vec<String>,
    /// No datasets whose path matches this glob (repeatable)
    #[arg(long, value_name = "GLOB", help_heading = SELECTION)]
    pub exclude: Vec<String>,
    /// Only these rows of each array (first axis), cut as a slice is; scalars are loaded whole
    #[arg(long, value_name = "START:STOP", value_parser = Rows::parse_range, conflicts_with = "shard", help_heading = SELECTION)]
    pub rows: Option<Rows>,
    /// Only share I of N of each array's rows, I from 0; auto: this node of SLURM_NNODES
    #[arg(long, value_name = "I/N|auto", value_parser = parse_share, help_heading = SELECTION)]
    pub shard: Option<Share>,
    /// Turn numbers into the machine's byte order: torch and others refuse `>f4`
    #[arg(long, value_name = "ORDER", help_heading = CONVERSION)]
    pub byte_order: Option<ByteOrder>,
    /// Convert arrays whose path matches, as numpy's astype does (repeatable): '/images/*=float32'
    #[arg(long, value_name = "GLOB=DTYPE", help_heading = CONVERSION)]
    pub dtype: Vec<String>,
    /// Permissions of the segments and the metadata, in octal
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = parse_mode, help_heading = ACCESS)]
    pub mode: u32,
    /// Give the segments and the metadata to this group (name or number)
    #[arg(long, value_name = "NAME", value_parser = parse_group, help_heading = ACCESS)]
    pub group: Option<u32>,
    /// As root: become this user before anything is opened; the project is the user's
    #[arg(long, value_name = "USER", help_heading = ACCESS)]
    pub as_user: Option<String>,
    /// Read other files wherever they are: external links, raw files and virtual sources (default except for root)
    #[arg(long, help_heading = ACCESS)]
    pub external: bool,
    /// Refuse data in any other file: external links, raw files and virtual sources
    #[arg(long, conflicts_with = "external", help_heading = ACCESS)]
    pub no_external: bool,
    /// What has no form in shared memory fails the load instead of being left out
    #[arg(long, help_heading = TROUBLE)]
    pub strict: bool,
    /// Load what can be read of a damaged file; exit 10 when something could not
    #[arg(long, conflicts_with = "strict", help_heading = TROUBLE)]
    pub keep_going: bool,
    /// Read everything that the HDF5 library can read once more with it, and compare
    #[arg(long, help_heading = TROUBLE)]
    pub verify: bool,
    /// Threads that read and decode [default: the processors this process may use]
    #[arg(short, long, value_name = "N", help_heading = SPEED)]
    pub jobs: Option<NonZeroUsize>,
    /// NUMA nodes to take memory from: interleave (all in turn), local (the reader's), or a list (0,2-3)
    #[arg(long, value_name = "NODES", help_heading = SPEED)]
    pub numa: Option<Numa>,
    /// Draw no progress bar
    #[arg(long, help_heading = REPORTS)]
    pub no_progress: bool,
    /// With a command: where the JSON object goes (standard output is the command's)
    #[arg(long, value_name = "FILE", requires = "command", value_hint = clap::ValueHint::FilePath, help_heading = REPORTS)]
    pub json_to: Option<PathBuf>,
    /// Write a line to this descriptor when the project is ready, and close it
    #[arg(long, value_name = "FD", help_heading = REPORTS)]
    pub ready_fd: Option<i32>,
}

/// What `--shard` says.
#[derive(Debug, Clone, Copy)]
pub enum Share {
    /// As the scheduler's environment says.
    Auto,
    /// This one.
    Given(Rows),
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ByteOrder {
    /// The machine's own.
    Native,
}

/// `I/N`, or `auto`.
fn parse_share(text: &str) -> std::result::Result<Share, String> {
    if text == "auto" { Ok(Share::Auto) } else { Rows::parse_shard(text).map(Share::Given) }
}
