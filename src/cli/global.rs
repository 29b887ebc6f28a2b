//! Options of every command.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::context::{ColorChoice, Context};

/// Options that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,
    /// Print one JSON object to stdout, also on failure
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Suppress status messages and warnings
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more to stderr; -vv logs each segment created, attached or removed
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use color; also honors NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

impl Global {
    /// Returns the context that these options and the environment determine.
    pub(super) fn context(&self) -> Context {
        let context = Context::resolve(self.root.clone());
        Context { json: self.json, quiet: self.quiet, verbose: self.verbose, ..context }
            .with_color(self.color)
    }
}
