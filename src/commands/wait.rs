//! `wait`: for consumers that start before the loader.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::common::warn_of_root;
use super::described::describe;
use crate::error::{Error, Kind, Result};
use crate::output::{Output, json};
use crate::shm::format::name::ProjectName;
use crate::shm::store::wait::until_live;

/// Arguments of `wait`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm wait imagenet --timeout 60 && python train.py")]
pub struct Args {
    /// The project
    pub project: OsString,
    /// Give up after so many seconds, with exit code 7 [default: never]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<f64>,
}

/// The JSON fields of `wait`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body {
    /// The project, once it is live; null when it was waited for in vain.
    pub project: Option<json::Project>,
    /// How long it took.
    pub waited_seconds: f64,
}

/// Runs `wait`.
///
/// # Errors
/// [`Kind::Busy`] when the time is over.
pub fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let name = ProjectName::existing(&args.project)?;
    let begun = Instant::now();
    let limit = args.timeout.map(Duration::try_from_secs_f64).transpose();
    let limit = limit.map_err(|e| Error::new(Kind::Usage, format!("bad --timeout: {e}")))?;
    let waited = until_live(&output.context.paths, &name, limit);
    output.body.waited_seconds = begun.elapsed().as_secs_f64();
    let (dirs, project) = waited?;
    warn_of_root(&dirs, output);
    output.body.project = Some(describe(&dirs, &project, false, None));
    output.detail(format!("project '{name}' is live"));
    Ok(())
}
