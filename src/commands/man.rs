//! `man`: the manual pages, made from the command line's definition.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::Nothing;
use crate::cli::Cli;
use crate::output::Output;
use crate::{Error, Result};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm man | man -l -
  cute-shm man ~/.local/share/man/man1")]
pub struct Args {
    /// Write all pages into this directory
    #[arg(value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// Runs `man`.
///
/// # Errors
/// When a page cannot be written.
pub fn run(args: &Args, output: &mut Output<'_, Nothing>) -> Result<()> {
    let pages = pages();
    match &args.dir {
        None => output.print(&pages[0].1),
        Some(dir) => {
            for (name, text) in pages {
                let path = dir.join(name);
                std::fs::write(&path, text)
                    .map_err(|e| Error::io(format!("cannot write '{}'", path.display()), e))?;
            }
        }
    }
    Ok(())
}

/// Every page with its file name, the program's first.
pub fn pages() -> Vec<(String, String)> {
    let mut program = Cli::command();
    program.build();
    let mut pages = vec![page(&program, "cute-shm")];
    for command in program.get_subcommands() {
        pages.push(page(command, &format!("cute-shm-{}", command.get_name())));
    }
    pages
}

fn page(command: &clap::Command, name: &str) -> (String, String) {
    let mut text = Vec::new();
    // clap wants names that live as long as the program; there are a dozen, made once.
    let title: &'static str = name.to_owned().leak();
    let man = clap_mangen::Man::new(command.clone().name(title).version(env!("CARGO_PKG_VERSION")));
    // Writing into memory cannot fail.
    let _ = man.render(&mut text);
    (format!("{name}.1"), String::from_utf8_lossy(&text).into_owned())
}
