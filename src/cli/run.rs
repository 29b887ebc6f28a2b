//! Parses the command line, runs the subcommand, and returns the exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use super::definition::{Cli, Command};
use super::usage;
use crate::commands::{
    Nothing, completions, doctor, export, gc, help, list, load_hdf5, man, show, unlink, wait,
};
use crate::os::signals;
use crate::output::{Output, events};
use crate::{complete, legacy};

/// Runs the command line `args` (the program's name first) and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    signals::ignore_file_size_signal();
    if args.get(1).is_some_and(|arg| arg == complete::WORD) {
        return ExitCode::from(complete::run(&args[2..], Cli::command()));
    }
    if let Some(old) = legacy::Old::of(args.first()) {
        return ExitCode::from(legacy::run(old, &args[1..]));
    }
    match Cli::try_parse_from(&args) {
        Ok(cli) => ExitCode::from(dispatch(&cli)),
        Err(error) => ExitCode::from(usage::refuse(error, &args)),
    }
}

fn dispatch(cli: &Cli) -> u8 {
    let context = &cli.global.context();
    events::install(context);
    macro_rules! command {
        ($name:literal, $body:ty, $run:expr) => {{
            let mut output = Output::new(context, $name, <$body>::default());
            let result = $run(&mut output);
            output.finish(result)
        }};
    }
    match &cli.command {
        Command::LoadHdf5(args) => {
            command!("load-hdf5", load_hdf5::Body, |output| load_hdf5::run(args, output))
        }
        Command::List(args) => command!("list", list::Body, |output| list::run(args, output)),
        Command::Show(args) => command!("show", show::Body, |output| show::run(args, output)),
        Command::Export(args) => {
            command!("export", export::Body, |output| export::run(args, output))
        }
        Command::Unlink(args) => {
            command!("unlink", unlink::Body, |output| unlink::run(args, output))
        }
        Command::Gc(args) => command!("gc", gc::Body, |output| gc::run(args, output)),
        Command::Wait(args) => command!("wait", wait::Body, |output| wait::run(args, output)),
        Command::Doctor(args) => {
            command!("doctor", doctor::Body, |output| doctor::run(args, output))
        }
        Command::Completions(args) => command!("completions", Nothing, |output| {
            completions::run(args, Cli::command(), output);
            Ok(())
        }),
        Command::Man(args) => {
            command!("man", Nothing, |output| man::run(args, Cli::command(), output))
        }
        Command::Help(args) => {
            command!("help", Nothing, |output| help::run(args, Cli::command(), output))
        }
    }
}
