//! The command line's definition: global options and the list of subcommands. No I/O happens here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

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

/// Options that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// Print exactly one JSON object on standard output, also on failure
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no status and no warnings
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Tell more on standard error; twice: every segment created, attached and removed, with times
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour; NO_COLOR counts too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
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

/// The program's examples, for help and the man page.
pub const EXAMPLES: &str = "\
Examples:
  cute-shm load-hdf5 imagenet train.h5 --persistent   load a file, to stay
  cute-shm list                                       see what is there
  cute-shm show imagenet /train/images                look at an array
  cute-shm unlink imagenet                            remove it
  cute-shm --json list                                for scripts
  cute-shm gc                                         remove dead projects";

/// The table of exit codes, for help and the man pages.
pub const EXIT_CODES: &str = "\
Exit codes:
  0      done, also when there was nothing to do
  1      unexpected, or I/O
  2      usage
  3      not found
  4      exists
  5      not enough memory
  6      permission, or an unsafe directory
  7      busy, or waited too long
  8      the input is corrupt
  9      unsupported, with --strict
  10     some of several failed
  11     findings, only with --check
  128+n  ended by signal n";

/// How to go on from the program's help.
const MORE: &str = "'cute-shm help COMMAND' tells all of one command, with examples.";

fn after_help() -> String {
    [EXAMPLES, EXIT_CODES, MORE].join("\n\n")
}

/// What is wrong with a word like `-persistent`, which is a long option with one dash: the error that says so.
pub fn single_dash(args: &[OsString]) -> Option<clap::Error> {
    let words: Vec<&str> = args.iter().skip(1).map_while(|arg| arg.to_str()).collect();
    let mut program = Cli::command();
    program.build();
    let found = words.iter().find_map(|word| program.find_subcommand(word));
    let command = found.unwrap_or(&program);
    let is_long = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
    let ours = words.iter().take_while(|word| **word != "--");
    let mut names = ours.filter_map(|word| word.strip_prefix('-')?.split('=').next());
    let name = names.find(|name| name.len() > 1 && is_long(name))?;
    let mut error = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(command);
    error.insert(ContextKind::InvalidArg, ContextValue::String(format!("-{name}")));
    error.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{name}")));
    let usage = command.clone().render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    Some(error)
}
