//! Arrays and HDF5 files in POSIX shared memory, once per node: many processes attach to them without
//! copying, and no memory is left behind.
//!
//! The library behind the command `cute-shm`, and the same for Rust programs. It speaks the on-disk format
//! of the Python package `cute-shm` 1.2: what it shares, `cute_shm.shm_to_arrays` reads; what Python
//! shares, it attaches, lists and removes.
//!
//! - [`Node`] is where projects are: two directories, as a value.
//! - [`Tree`] and [`Share`] put arrays there, [`Load`] an HDF5 file; a [`Guard`] removes them again.
//! - [`Project`] is an attached project, [`Array`] one of its arrays: metadata, and copies of its elements.
//! - [`Reading`] and [`Writing`] give views without copying, under a [`FileLock`] that Python's `filelock`
//!   shares, or by an `unsafe` promise.
//!
//! ```
//! use cute_shm::{Node, Tree};
//! # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
//! # let node = Node::new(temp.path().join("root"), temp.path());
//! # #[cfg(feature = "ndarray")] {
//! // let node = Node::default();
//! let weights = ndarray::arr2(&[[1.0_f32, 2.0], [3.0, 4.0]]);
//! let mut tree = Tree::new();
//! tree.array("layer/weights", weights.t())?.attr("units", "1");
//! let _guard = node.share("model").hold(&tree)?;
//!
//! // In this process or another, in Rust or in Python:
//! let project = node.open("model")?;
//! let copy = project.array("layer/weights")?.to_array::<f32, ndarray::Ix2>()?;
//! assert_eq!(copy, weights.t());
//! # }
//! # Ok::<(), cute_shm::Error>(())
//! ```
//!
//! Features: `ndarray` (on by default): arrays and views of that crate; `half`: 16-bit floats;
//! `num-complex`: complex numbers; `szip` (on by default): HDF5 datasets compressed with szip.
//!
//! docs/api.md lists what is stable. The public modules [`shm`], [`h5`], [`load`], [`commands`] and
//! [`output`] are the command's, and may change in any release.

mod api;
pub mod cli;
pub mod commands;
mod complete;
pub mod context;
pub mod doctor;
pub mod error;
pub mod export;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod h5;
mod legacy;
pub mod load;
pub mod os;
pub mod output;
pub mod shm;
pub mod view;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use api::{
    Added, Array, Element, Entry, FileLock, GroupRef, Guard, Listed, Load, Node, Project, Reading,
    Report, Share, Skipped, Source, Tree, Unlinked, Which, Writing, hdf5_size,
};
pub use error::{Error, Kind, Result};
pub use h5::External;
pub use load::{Observer, Planned, PlannedArray};
pub use shm::format::ledger::{Note, SourceFile, SourceState};
pub use shm::store::state::State;
// The crates whose types stand in the API: attributes, and arrays.
#[cfg(feature = "ndarray")]
pub use ndarray;
pub use toml::{Table, Value};

use cli::{Cli, Command};
use commands::{
    completions, doctor as doctor_command, export as export_command, gc, help, list, load_hdf5,
    man, show, unlink, wait,
};
use context::Context;
use output::{Output, json};

/// Runs the command line `args` (the program's name first) and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    os::signals::ignore_file_size_signal();
    if args.get(1).is_some_and(|arg| arg == complete::WORD) {
        return ExitCode::from(complete::run(&args[2..]));
    }
    if let Some(old) = legacy::Old::of(args.first()) {
        return ExitCode::from(legacy::run(old, &args[1..]));
    }
    match Cli::try_parse_from(&args) {
        Ok(cli) => ExitCode::from(dispatch(&cli)),
        Err(error) => {
            let error = cli::single_dash(&args).unwrap_or(error);
            ExitCode::from(refuse(&error, &args))
        }
    }
}

fn dispatch(cli: &Cli) -> u8 {
    let context = &Context::resolve(&cli.global);
    output::events::install(context);
    macro_rules! command {
        ($name:literal, $module:ident, $body:ty, $args:expr) => {{
            let mut output = Output::new(context, $name, <$body>::default());
            let result = $module::run($args, &mut output);
            output.finish(result)
        }};
    }
    match &cli.command {
        Command::LoadHdf5(args) => command!("load-hdf5", load_hdf5, load_hdf5::Body, args),
        Command::List(args) => command!("list", list, list::Body, args),
        Command::Show(args) => command!("show", show, show::Body, args),
        Command::Export(args) => {
            command!("export", export_command, export_command::Body, args)
        }
        Command::Unlink(args) => command!("unlink", unlink, unlink::Body, args),
        Command::Gc(args) => command!("gc", gc, gc::Body, args),
        Command::Wait(args) => command!("wait", wait, wait::Body, args),
        Command::Doctor(args) => command!("doctor", doctor_command, doctor_command::Body, args),
        Command::Completions(args) => command!("completions", completions, commands::Nothing, args),
        Command::Man(args) => command!("man", man, commands::Nothing, args),
        Command::Help(args) => command!("help", help, commands::Nothing, args),
    }
}

/// A command line that was not understood, or one that asks for help.
fn refuse(error: &clap::Error, args: &[OsString]) -> u8 {
    // A message repeats arguments. Colors are left out where it needs escapes.
    if args.iter().any(|arg| arg.to_string_lossy().contains(output::text::is_unsafe)) {
        output::print_plain(&error.to_string(), error.use_stderr());
    } else {
        // EPIPE is not an error: the reader closed the pipe early.
        let _ = error.print();
    }
    if !error.use_stderr() {
        return 0;
    }
    let wants_json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    if wants_json {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = json::Failure::from(
            &Error::new(Kind::Usage, message).with_hint("'cute-shm --help' shows what there is"),
        );
        let body = commands::Nothing {};
        let envelope = json::Envelope {
            schema: json::SCHEMA,
            command: None,
            ok: false,
            body: &body,
            warnings: &[],
            errors: &[failure],
        };
        if let Ok(text) = json::text(&envelope) {
            use std::io::Write as _;
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }
    Kind::Usage.exit_code()
}
