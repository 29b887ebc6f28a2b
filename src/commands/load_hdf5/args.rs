//! The arguments of `load-hdf5`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::commands::parse::{parse_group, parse_mode, parse_seconds};
use crate::os::numa::Numa;
use crate::shm::format::rows::Rows;

// Headings of the option groups in the help.
const SELECTION: &str = "Selection";
const CONVERSION: &str = "Conversion";
const TROUBLE: &str = "Damaged and unsupported data";
const ACCESS: &str = "Access";
const SPEED: &str = "Speed";
const REPORTS: &str = "Output";

/// Arguments of `load-hdf5`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm load-hdf5 imagenet train.h5                hold until Ctrl-C
  cute-shm load-hdf5 imagenet train.h5 --persistent   remain until unlinked
  cute-shm load-hdf5 imagenet train.h5 -- python train.py
                                                      hold while CMD runs
  cute-shm load-hdf5 imagenet train.h5 --until-exit $$
                                                      hold until the shell exits
  cute-shm load-hdf5 imagenet train.h5 --ensure --persistent
                                                      load only if needed
  cute-shm load-hdf5 all train.h5 test.h5             groups /train and /test
  srun --ntasks-per-node=1 cute-shm load-hdf5 big x.h5 --shard auto --ensure -p
                                                      load one share per node
  cute-shm load-hdf5 all a=x.h5 b=y.h5 --include 'images/**' --dry-run")]
pub(crate) struct Args {
    /// Name of the project
    pub(crate) project: OsString,
    /// HDF5 files; if several, each becomes a group named by the file stem, or NAME with NAME=FILE
    #[arg(required = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) files: Vec<OsString>,
    /// Hold the project while CMD runs, and exit with its status
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["persistent", "until_exit", "dry_run"])]
    pub(crate) command: Vec<OsString>,
    /// Return after the load; the project remains until it is unlinked or the node reboots
    #[arg(short, long)]
    pub(crate) persistent: bool,
    /// Return after the load; a background keeper removes the project when process PID exits
    #[arg(long, value_name = "PID", conflicts_with = "persistent")]
    pub(crate) until_exit: Option<u32>,
    /// Replace an existing project when the new one is complete
    #[arg(short, long)]
    pub(crate) overwrite: bool,
    /// Load only if needed; fail if the existing project has other sources or another selection
    #[arg(long)]
    pub(crate) ensure: bool,
    /// Print the load plan and whether it fits in memory, and load nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long to wait for another process that is using this project [default: 2; with --ensure: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) wait: Option<Duration>,
    /// How long to keep the segments of a replaced project, for readers that are attaching
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_seconds)]
    pub(crate) grace: Duration,
    /// Load only datasets whose path matches this glob, such as '/train/**' or images (repeatable)
    #[arg(long, value_name = "GLOB", help_heading = SELECTION)]
    pub(crate) include: Vec<String>,
    /// Skip datasets whose path matches this glob (repeatable)
    #[arg(long, value_name = "GLOB", help_heading = SELECTION)]
    pub(crate) exclude: Vec<String>,
    /// Load only rows START to STOP of the first axis, clipped like a Python slice
    #[arg(long, value_name = "START:STOP", value_parser = Rows::parse_range, conflicts_with = "shard", help_heading = SELECTION)]
    pub(crate) rows: Option<Rows>,
    /// Load only share I (from 0) of N of the rows; auto: the share of this Slurm node
    #[arg(long, value_name = "I/N|auto", value_parser = parse_share, help_heading = SELECTION)]
    pub(crate) shard: Option<Share>,
    /// Convert numbers to this byte order, for libraries that reject >f4 (such as torch)
    #[arg(long, value_name = "ORDER", help_heading = CONVERSION)]
    pub(crate) byte_order: Option<ByteOrder>,
    /// Convert matching arrays like numpy's astype, such as '/images/*=float32' (repeatable)
    #[arg(long, value_name = "GLOB=DTYPE", help_heading = CONVERSION)]
    pub(crate) dtype: Vec<String>,
    /// Permissions of segments and metadata, in octal
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = parse_mode, help_heading = ACCESS)]
    pub(crate) mode: u32,
    /// Group of segments and metadata (name or number)
    #[arg(long, value_name = "NAME", value_parser = parse_group, help_heading = ACCESS)]
    pub(crate) group: Option<u32>,
    /// As root, load as this user, who then owns the project
    #[arg(long, value_name = "USER", help_heading = ACCESS)]
    pub(crate) as_user: Option<String>,
    /// Follow external links, raw files and virtual sources in any directory [default, except for root]
    #[arg(long, help_heading = ACCESS)]
    pub(crate) external: bool,
    /// Refuse external links, raw files and virtual sources
    #[arg(long, conflicts_with = "external", help_heading = ACCESS)]
    pub(crate) no_external: bool,
    /// Fail if any data cannot be represented, instead of skipping it
    #[arg(long, help_heading = TROUBLE)]
    pub(crate) strict: bool,
    /// Load the readable part of a damaged file, and exit 10 if anything was unreadable
    #[arg(long, conflicts_with = "strict", help_heading = TROUBLE)]
    pub(crate) keep_going: bool,
    /// Read the data again with the HDF5 library after the load, and compare
    #[arg(long, help_heading = TROUBLE)]
    pub(crate) verify: bool,
    /// Number of worker threads [default: number of processors]
    #[arg(short, long, value_name = "N", help_heading = SPEED)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// NUMA nodes to allocate from: interleave, local, or a list such as 0,2-3
    #[arg(long, value_name = "NODES", help_heading = SPEED)]
    pub(crate) numa: Option<Numa>,
    /// Hide the progress bar
    #[arg(long, help_heading = REPORTS)]
    pub(crate) no_progress: bool,
    /// Write the JSON object to FILE, because CMD owns stdout
    #[arg(long, value_name = "FILE", requires = "command", value_hint = clap::ValueHint::FilePath, help_heading = REPORTS)]
    pub(crate) json_to: Option<PathBuf>,
    /// Write a line to this file descriptor when the project is ready, and close it
    #[arg(long, value_name = "FD", help_heading = REPORTS)]
    pub(crate) ready_fd: Option<i32>,
}

/// The value of `--shard`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Share {
    /// The share of this node, from the environment of the scheduler.
    Auto,
    /// A given share.
    Given(Rows),
}

/// The byte order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ByteOrder {
    /// The byte order of this machine
    Native,
}

/// `I/N`, or `auto`.
fn parse_share(text: &str) -> std::result::Result<Share, String> {
    if text == "auto" { Ok(Share::Auto) } else { Rows::parse_shard(text).map(Share::Given) }
}
