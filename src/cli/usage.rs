//! Reports command lines that clap refuses, in text and in JSON.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::definition::Cli;
use crate::commands::Nothing;
use crate::error::{Error, Kind};
use crate::output::{json, print_plain};
use crate::text;

/// Reports an invalid command line, or prints the requested help. Returns the exit code.
pub(super) fn refuse(error: clap::Error, args: &[OsString]) -> u8 {
    let error = single_dash(args).unwrap_or(error);
    // A message repeats arguments. If it needs escapes, it is printed without colors.
    if args.iter().any(|arg| arg.to_string_lossy().contains(text::is_unsafe)) {
        print_plain(&error.to_string(), error.use_stderr());
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
            &Error::new(Kind::Usage, message)
                .with_hint("run 'cute-shm --help' for the commands and options"),
        );
        let body = Nothing {};
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

/// Returns an error with a suggestion for a long option with one dash, such as `-persistent`.
fn single_dash(args: &[OsString]) -> Option<clap::Error> {
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
