//! Options of every command.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::output::{ColorChoice, Context};

/// Options that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// Print exactly one JSON object on standard output, also on failure
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no status and no warnings
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Tell more on standard error; twice: every segment created, attached and removed, with times
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour; NO_COLOR counts too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

impl Global {
    /// Returns the context that these options and the environment determine.
    pub(super) fn context(&self) -> Context {
        let context = Context::resolve(self.root.clone());
        Context { json: self.json, quiet: self.quiet, verbose: self.verbose, ..context }
            .with_color(self.color)
    }
}
