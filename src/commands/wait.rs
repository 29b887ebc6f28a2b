//! `wait`: for consumers that start before the loader.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{describe, open};
use crate::output::{Output, json};
use crate::shm::name::ProjectName;
use crate::shm::state::{self, State};
use crate::{Error, Kind, Result};

/// How often it looks.
const POLL: Duration = Duration::from_millis(50);

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
    loop {
        let place = open(output)?;
        match state::find(&place, &name) {
            Ok(project) if project.state == State::Live => {
                output.body.project = Some(describe(&place, &project, false, None));
                output.body.waited_seconds = begun.elapsed().as_secs_f64();
                output.detail(&format!("project '{name}' is live"));
                return Ok(());
            }
            Err(error) if error.kind() != Kind::NotFound => return Err(error),
            _ => {}
        }
        output.body.waited_seconds = begun.elapsed().as_secs_f64();
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            let seconds = output.body.waited_seconds;
            return Err(Error::new(
                Kind::Busy,
                format!("project '{name}' was not live after {seconds:.1} s"),
            )
            .about(name.to_text())
            .with_hint("'cute-shm list -s' shows what is there"));
        }
        std::thread::sleep(POLL);
    }
}
