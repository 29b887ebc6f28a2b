//! The definition of the command line: the program, its subcommands and their help.

use clap::{Parser, Subcommand};

use super::global::Global;
use crate::commands;

/// Load HDF5 files into POSIX shared memory once per node, and take care of what lies there.
///
/// Many processes then attach to the arrays without copying: Python programs with
/// cute_shm.shm_to_arrays(PROJECT), others by the metadata file.
#[derive(Debug, Parser)]
#[command(
    name = "cute-shm",
    version,
    max_term_width = 100,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = MORE,
    after_long_help = after_help()
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // one value a process
pub enum Command {
    /// Load HDF5 files into shared memory
    LoadHdf5(Box<commands::load_hdf5::Args>),
    /// List the projects of this node
    List(commands::list::Args),
    /// Show one project, or one of its arrays
    Show(commands::show::Args),
    /// Write a project, a group or an array to a file
    Export(commands::export::Args),
    /// Remove projects: metadata and shared memory
    Unlink(commands::unlink::Args),
    /// Remove what is provably dead: stale and abandoned projects
    Gc(commands::gc::Args),
    /// Wait until a project can be read
    Wait(commands::wait::Args),
    /// Say what makes shared memory fail on this node, and what to do
    Doctor(commands::doctor::Args),
    /// Print the completion script of a shell
    Completions(commands::completions::Args),
    /// Print the man page, or write all man pages into a directory
    Man(commands::man::Args),
    /// Print help of the program, or of one command
    Help(commands::help::Args),
}

/// Examples for the help and the man page. A manual page finds them by their heading.
const EXAMPLES: &str = "\
Examples:
  cute-shm load-hdf5 imagenet train.h5 --persistent   load a file, to stay
  cute-shm list                                       see what is there
  cute-shm show imagenet /train/images                look at an array
  cute-shm unlink imagenet                            remove it
  cute-shm --json list                                for scripts
  cute-shm gc                                         remove dead projects";

/// Exit codes for the help and the man pages, which find them by their heading.
fn exit_codes() -> String {
    let rows =
        crate::error::exit_codes().map(|(code, meaning)| format!("\n  {code:<5}  {meaning}"));
    format!("Exit codes:{}", rows.collect::<String>())
}

/// How to go on from the program's help.
const MORE: &str = "'cute-shm help COMMAND' tells all of one command, with examples.";

fn after_help() -> String {
    [EXAMPLES, &exit_codes(), MORE].join("\n\n")
}
