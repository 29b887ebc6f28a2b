//! The definition of the command line: the program, its subcommands and their help.

use clap::{Parser, Subcommand};

use super::global::Global;
use crate::commands;

/// Load HDF5 files into POSIX shared memory once per node, and manage the loaded projects
///
/// Any number of processes then attach to the arrays without copying. Python programs call
/// cute_shm.shm_to_arrays(PROJECT). Other programs read the metadata file.
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
pub(crate) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // one value a process
pub(crate) enum Command {
    /// Load HDF5 files into shared memory
    LoadHdf5(Box<commands::load_hdf5::Args>),
    /// List the projects of this node
    List(commands::list::Args),
    /// Show a project or one of its arrays
    Show(commands::show::Args),
    /// Export a project, a group or an array to a file
    Export(commands::export::Args),
    /// Remove projects and free their shared memory
    Unlink(commands::unlink::Args),
    /// Remove dead projects and free their shared memory
    Gc(commands::gc::Args),
    /// Wait until a project is loaded
    Wait(commands::wait::Args),
    /// Check this node for shared-memory problems and suggest fixes
    Doctor(commands::doctor::Args),
    /// Print the completion script for a shell
    Completions(commands::completions::Args),
    /// Print the manual page of the program, or write all manual pages to a directory
    Man(commands::man::Args),
    /// Print help for the program or a command
    Help(commands::help::Args),
}

/// Examples for the help and the man page. A manual page finds them by their heading.
const EXAMPLES: &str = "\
Examples:
  cute-shm load-hdf5 imagenet train.h5 --persistent   load a persistent project
  cute-shm list                                       list the projects
  cute-shm show imagenet /train/images                show an array
  cute-shm unlink imagenet                            remove the project
  cute-shm --json list                                print JSON
  cute-shm gc                                         remove dead projects";

/// Exit codes for the help and the man pages, which find them by their heading.
fn exit_codes() -> String {
    let rows =
        crate::error::exit_codes().map(|(code, meaning)| format!("\n  {code:<5}  {meaning}"));
    format!("Exit codes:{}", rows.collect::<String>())
}

/// The last line of the program's help.
const MORE: &str = "Run 'cute-shm help COMMAND' for all options and examples of a command.";

fn after_help() -> String {
    [EXAMPLES, &exit_codes(), MORE].join("\n\n")
}
