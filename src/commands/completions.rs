//! `completions`: prints the completion script for a shell.

use clap_complete::Shell;

use super::common::Nothing;
use crate::complete::script;
use crate::output::{Output, Text};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm completions bash >~/.local/share/bash-completion/completions/cute-shm
  cute-shm completions zsh >~/.zfunc/_cute-shm
  cute-shm completions fish >~/.config/fish/completions/cute-shm.fish")]
pub(crate) struct Args {
    /// Shell to print the script for
    pub(crate) shell: Shell,
}

/// Runs `completions`.
pub(crate) fn run(args: &Args, program: clap::Command, output: &mut Output<'_, Nothing>) {
    output.print(Text::block(script(args.shell, program)));
}
