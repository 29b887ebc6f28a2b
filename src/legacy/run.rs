//! Runs a command of the Python package under its old name.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;

use super::arguments::{Stop, parse};
use super::syntax::{self, Syntax};
use super::{commands, listing};
use crate::context::{ColorChoice, Context};
use crate::error::{Error, Kind};
use crate::output::{Text, events, say};

/// An old command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// `cute-shm-hdf5`
    Hdf5,
    /// `cute-shm-list`
    List,
    /// `cute-shm-unlink`
    Unlink,
}

impl Old {
    /// Returns the old command that the program was called as, if any.
    pub(crate) fn of(program: Option<&OsString>) -> Option<Self> {
        let name = Path::new(program?).file_name().and_then(OsStr::to_str)?;
        [Self::Hdf5, Self::List, Self::Unlink].into_iter().find(|old| old.syntax().program == name)
    }

    fn syntax(self) -> &'static Syntax {
        match self {
            Self::Hdf5 => &syntax::HDF5,
            Self::List => &syntax::LIST,
            Self::Unlink => &syntax::UNLINK,
        }
    }
}

/// Runs the old command with its arguments (without the program's name). Returns the exit code like the Python
/// commands: 0, 1 for any failure, 2 for invalid arguments.
pub(crate) fn run(old: Old, args: &[OsString]) -> u8 {
    let arguments = match parse(old.syntax(), args) {
        Ok(arguments) => arguments,
        Err(Stop::Help(text)) => return print(&text, &context(0)),
        Err(Stop::Usage(text)) => {
            say(Text::block(text), &context(0));
            return Kind::Usage.exit_code();
        }
    };
    // `-v` reports every segment, like the log of the Python commands.
    let context = context(if arguments.has("verbose") { 2 } else { 0 });
    events::install(&context);
    let result = match old {
        Old::Hdf5 => commands::hdf5(&context, &arguments),
        Old::List => listing::list(&context, &arguments),
        Old::Unlink => commands::unlink(&context, &arguments),
    };
    match result {
        Ok(text) => print(&text, &context),
        Err(error) => report(&error, &context),
    }
}

fn context(verbose: u8) -> Context {
    Context { verbose, ..Context::resolve(None) }.with_color(ColorChoice::Auto)
}

fn print(text: &str, context: &Context) -> u8 {
    let text = Text::block(text).render(context.width.is_some(), false);
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // EPIPE is not an error: the reader closed the pipe early.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let error = Error::io("cannot write the result", error);
            say(format!("Error: {error}"), context);
            Kind::Io.exit_code()
        }
        _ => 0,
    }
}

fn report(error: &Error, context: &Context) -> u8 {
    say(format!("Error: {error}"), context);
    if let Some(hint) = error.hint() {
        say(format!("hint: {hint}"), context);
    }
    match error.kind() {
        kind @ Kind::Signal(_) => kind.exit_code(),
        _ => Kind::Io.exit_code(),
    }
}
