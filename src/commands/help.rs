//! `help`: prints the long help of the program or of a command.

use super::common::Nothing;
use crate::error::{Error, Kind, Result};
use crate::output::{Output, Text};

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm help
  cute-shm help load-hdf5")]
pub(crate) struct Args {
    /// Command to print help for [default: the program]
    #[arg(value_name = "COMMAND")]
    pub(crate) subcommand: Option<String>,
}

/// Runs `help`.
///
/// # Errors
/// Returns [`Kind::Usage`] if the command does not exist.
pub(crate) fn run(
    args: &Args,
    mut program: clap::Command,
    output: &mut Output<'_, Nothing>,
) -> Result<()> {
    program.build();
    let command = match &args.subcommand {
        None => &mut program,
        Some(name) => program.find_subcommand_mut(name).ok_or_else(|| unknown(name))?,
    };
    let help = command.render_long_help();
    let text = if output.context.color { help.ansi().to_string() } else { help.to_string() };
    output.print(Text::drawing(text));
    Ok(())
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::Usage, format!("unknown command '{name}'"))
        .with_hint("run 'cute-shm help' for the list of commands")
}
