//! `wait`: waits until a project is live, for consumers that start before the load.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::common::warn_of_root;
use super::described::describe;
use super::parse::parse_seconds;
use crate::error::Result;
use crate::output::{Output, json};
use crate::shm::format::name::ProjectName;
use crate::shm::store::wait::until_live;

/// Arguments of `wait`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm wait imagenet --timeout 60 && python train.py")]
pub(crate) struct Args {
    /// Name of the project
    pub(crate) project: OsString,
    /// Exit with code 7 after this time [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// The JSON fields of `wait`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// The live project; null after a timeout.
    pub(crate) project: Option<json::Project>,
    /// Time spent waiting.
    pub(crate) waited_seconds: f64,
}

/// Runs `wait`.
///
/// # Errors
/// Returns `Kind::Busy` if the project is not live after the timeout.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let name = ProjectName::existing(&args.project)?;
    let begun = Instant::now();
    let waited = until_live(&output.context.paths, &name, args.timeout);
    output.body.waited_seconds = begun.elapsed().as_secs_f64();
    let (dirs, project) = waited?;
    warn_of_root(&dirs, output);
    output.body.project = Some(describe(&dirs, &project, false, None));
    output.detail(format!("project '{name}' is live"));
    Ok(())
}
