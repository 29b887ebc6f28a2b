//! `completions`: the completion script of a shell.

use clap_complete::Shell;

use super::Nothing;
use crate::complete::script;
use crate::error::Result;
use crate::output::{Output, Text};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm completions bash >~/.local/share/bash-completion/completions/cute-shm
  cute-shm completions zsh >~/.zfunc/_cute-shm
  cute-shm completions fish >~/.config/fish/completions/cute-shm.fish")]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Runs `completions`.
///
/// # Errors
/// None: the signature is that of every command.
pub fn run(args: &Args, output: &mut Output<'_, Nothing>) -> Result<()> {
    output.print(Text::block(script(args.shell)));
    Ok(())
}
