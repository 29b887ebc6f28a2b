//! `man`: prints the manual pages, generated from the definition of the command line.

mod page;
mod sections;

use std::path::PathBuf;

#[cfg(test)]
pub(crate) use self::page::examples_of;
pub(crate) use self::page::{codes, page};
#[cfg(test)]
pub(crate) use self::sections::{CODES, extra};
use super::common::Nothing;
use crate::error::{Error, Result};
use crate::output::{Output, Text};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm man | man -l -
  cute-shm man ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Create this directory and write all pages to it
    #[arg(value_hint = clap::ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// Runs `man`.
///
/// # Errors
/// Returns an I/O error if a page cannot be written.
pub(crate) fn run(
    args: &Args,
    program: clap::Command,
    output: &mut Output<'_, Nothing>,
) -> Result<()> {
    let pages = pages(program);
    match &args.dir {
        None => output.print(Text::block(&pages[0].1)),
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .map_err(|e| Error::io(format!("cannot create '{}'", dir.display()), e))?;
            for (name, text) in pages {
                let path = dir.join(name);
                std::fs::write(&path, text)
                    .map_err(|e| Error::io(format!("cannot write '{}'", path.display()), e))?;
            }
        }
    }
    Ok(())
}

/// Returns every page with its file name, starting with that of the program.
fn pages(mut program: clap::Command) -> Vec<(String, String)> {
    program.build();
    let name = |command: &clap::Command| format!("cute-shm-{}", command.get_name());
    let codes = codes(&program);
    let subcommands = program.get_subcommands().map(|command| (name(command), command));
    [("cute-shm".to_owned(), &program)]
        .into_iter()
        .chain(subcommands)
        .map(|(name, command)| (format!("{name}.1"), page(command, &name, &codes)))
        .collect()
}
