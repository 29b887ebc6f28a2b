//! `help`: what `--help` says, of the program or of one command.

use super::common::Nothing;
use crate::error::{Error, Kind, Result};
use crate::output::{Output, Text};

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm help
  cute-shm help load-hdf5")]
pub struct Args {
    /// The command; without it, help of the program
    #[arg(value_name = "COMMAND")]
    pub subcommand: Option<String>,
}

/// Runs `help`.
///
/// # Errors
/// [`Kind::Usage`] for a command that there is not.
pub fn run(
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
    Error::new(Kind::Usage, format!("there is no command '{name}'"))
        .with_hint("'cute-shm help' lists the commands")
}
